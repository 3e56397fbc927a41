"""Script runs of one host for the guests on it: who waits at the same time shares one.

A run costs a PowerShell on the host, which takes seconds to start, and a wait for others costs little. The module knows
the script `cim-in-guest` by its input and output, and nothing of what the guests are asked.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from avma import errors
from avma.deadline import Deadline
from avma.windows import powershell
from avma.windows.powershell import PowerShell

SCRIPT = "cim-in-guest"
OVER_NETWORK = "reach the guest over the network (`guest.transport: winrm`)"

Operation = Mapping[str, Any]

_GATHERING = 0.05
"""Seconds that a run waits for others to share it; little beside the start of a PowerShell, which takes seconds."""
_POLL = 0.1
"""Seconds between two looks at the deadline while another thread leads a run."""
_THROTTLE = 16
"""Guests in which one run works at a time."""
_LONGEST_RUN = 300.0
"""Seconds after which a run gives up those guests that have not answered."""
_MARGIN = 5.0
"""Seconds that the script is given less than its caller waits, so that it can still say who has not answered."""


@dataclass(frozen=True)
class Account:
    """An account of the Windows inside a VM; the password is kept out of `repr`."""

    username: str
    password: str = field(repr=False)


@dataclass(eq=False)
class Request:
    """Operations in one guest, and what came of them."""

    vm_id: str
    account: Account
    operations: Sequence[Operation]
    deadline: Deadline
    begun: bool = False
    answer: Mapping[str, Any] | None = None
    error: Exception | None = None

    @property
    def done(self) -> bool:
        """Whether it is answered."""
        return self.answer is not None or self.error is not None

    def as_json(self) -> dict[str, Any]:
        """Return it as the script's input has it."""
        account = {"username": self.account.username, "password": self.account.password}
        return {"id": self.vm_id, **account, "operations": list(self.operations)}

    def secrets(self) -> list[str]:
        """Return what must not be told of it."""
        arguments = (operation.get("arguments", {}) for operation in self.operations)
        return [self.account.password, *(str(value) for given in arguments for value in given.values())]


class _Joint(Deadline):
    """The deadline of a run: over when those of all who share it are, and in any case after a while."""

    def __init__(self, deadlines: Iterable[Deadline]) -> None:
        super().__init__(_LONGEST_RUN)
        self._deadlines = tuple(deadlines)

    def remaining(self) -> float:
        """See `Deadline.remaining`."""
        return min(super().remaining(), max(deadline.remaining() for deadline in self._deadlines))

    def check(self, tried: str, where: str) -> None:
        """See `Deadline.check`."""
        super().check(tried, where)
        ends = [end for end in (_end_of(deadline, tried, where) for deadline in self._deadlines) if end is not None]
        if len(ends) == len(self._deadlines):
            raise ends[0]

    def wait(self, timeout: float, tried: str, where: str) -> None:
        """See `Deadline.wait`."""
        end = time.monotonic() + timeout
        while (left := end - time.monotonic()) > 0:
            self.check(tried, where)
            time.sleep(min(left, _POLL))
        self.check(tried, where)


class GuestRuns:
    """The script runs of one host, one at a time, each for all guests that wait for one. Safe for several threads."""

    def __init__(self, powershell: PowerShell) -> None:
        self._powershell = powershell
        self._changed = threading.Condition()
        self._waiting: list[Request] = []
        self._under_way = False

    @property
    def where(self) -> str:
        """The host as errors name it."""
        return self._powershell.where

    def ask(self, request: Request, tried: str) -> Mapping[str, Any]:
        """Return the script's answer for one guest: its results, or the error of its session.

        Raises:
            AnswerLost: the operations may have run.
            AvmaError: the script could not be run.
        """
        with self._changed:
            self._waiting.append(request)
        try:
            while not request.done:
                if self._leads():
                    self._lead(request.deadline, tried)
                else:
                    self._wait(request, tried)
        except (errors.TimedOut, errors.Cancelled) as end:
            raise self._left(request, end, tried) from end
        if request.error is not None:
            raise request.error
        return request.answer or {}

    def _leads(self) -> bool:
        """Say whether this thread is the one that leads the next run."""
        with self._changed:
            leads, self._under_way = not self._under_way, True
            return leads

    def _wait(self, request: Request, tried: str) -> None:
        with self._changed:
            if self._under_way and not request.done:
                self._changed.wait(_POLL)
        if not request.done:
            request.deadline.check(tried, self.where)

    def _left(self, request: Request, end: errors.AvmaError, tried: str) -> errors.AvmaError:
        """Take a request back whose own time is over; return the error to raise for it."""
        with self._changed:
            if request in self._waiting:
                self._waiting.remove(request)
        if not request.begun:
            return end
        return errors.AnswerLost(tried, self.where, f"{end.answer} while a script was running there", end.remedy)

    def _lead(self, deadline: Deadline, tried: str) -> None:
        """Wait for others to join, then run the script for all."""
        try:
            deadline.wait(_GATHERING, tried, self.where)
            requests = self._take()
            try:
                self._run(requests, tried)
            except Exception as error:  # kept for all who wait, and raised by each of them
                for request in requests:
                    request.error = error
        finally:
            with self._changed:
                self._under_way = False
                self._changed.notify_all()

    def _take(self) -> list[Request]:
        """Take what waits, of each VM the first only: the others are for the next run."""
        with self._changed:
            taken: dict[str, Request] = {}
            for request in self._waiting:
                taken.setdefault(request.vm_id, request)
            self._waiting = [request for request in self._waiting if request is not taken[request.vm_id]]
            for request in taken.values():
                request.begun = True
            return list(taken.values())

    def _run(self, requests: Sequence[Request], tried: str) -> None:
        deadline = _Joint(request.deadline for request in requests)
        document = {
            "throttleLimit": _THROTTLE,
            "timeout": round(max(1.0, deadline.remaining() - _MARGIN), 1),
            "vms": [request.as_json() for request in requests],
        }
        secrets = [secret for request in requests for secret in request.secrets()]
        try:
            answers = self._powershell.run(SCRIPT, document, secrets, deadline, tried)
        except errors.AccessDenied as error:
            raise errors.AccessDenied(tried, error.where, error.answer, f"{error.remedy}; or {OVER_NETWORK}") from error
        by_vm = {str(answer.get("id", "")).lower(): answer for answer in answers.objects}
        for request in requests:
            request.answer = by_vm.get(request.vm_id)
            if request.answer is None:
                request.error = powershell.failure(answers.complaint, tried, self.where)


def _end_of(deadline: Deadline, tried: str, where: str) -> errors.AvmaError | None:
    try:
        deadline.check(tried, where)
    except errors.AvmaError as end:
        return end
    return None
