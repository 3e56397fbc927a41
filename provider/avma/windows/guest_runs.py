"""Script runs of one host for the guests on it: who waits at the same time shares one.

Only one pipeline runs on a host at a time, and each session in a guest takes seconds to start. The module knows the
script `cim-in-guest` by its parameters and output, and nothing of what the guests are asked.
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
from avma.windows.powershell import Answers, PowerShell
from avma.wsman.script import Credential, Secret, TimeLeft

SCRIPT = "cim-in-guest"
OVER_NETWORK = "reach the guest over the network (`guest.transport: winrm`)"

Operation = Mapping[str, Any]

_GATHERING = 0.05
"""Seconds that a run waits for others to share it; little beside the start of a session in a guest."""
_POLL = 0.1
"""Seconds between two looks at the deadline while a run is under way."""
_THROTTLE = 16
"""Guests in which one run works at a time."""
_LONGEST_RUN = 300.0
"""Seconds after which a run gives up those guests that have not answered."""
_MARGIN, _SHARE = 5.0, 0.2
"""The script gets so many seconds, or this share, less than its caller waits, to report who has not answered."""
NO_ANSWER, NOT_ASKED = "AvmaNoAnswer", "AvmaNotAsked"
"""The script's own error ids: a guest did not answer in time, or it was not its turn."""


@dataclass(frozen=True)
class Account:
    """An account of the Windows inside a VM; the password is kept out of `repr`."""

    username: str
    password: str = field(repr=False)


@dataclass(eq=False)
class Request:
    """Operations in one guest, and what came of them. The values of a method's `arguments` are secret."""

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

    def as_parameter(self) -> dict[str, Any]:
        """Return it as the script takes it: each argument of a method is the place of its value among the secrets."""
        secrets: list[Secret] = []
        operations = [dict(operation) for operation in self.operations]
        for operation in operations:
            arguments = operation.get("arguments")
            if arguments is not None:
                operation["arguments"] = {name: len(secrets) + place for place, name in enumerate(arguments)}
                secrets += [Secret(str(value)) for value in arguments.values()]
        credential = Credential(self.account.username, self.account.password)
        return {"id": self.vm_id, "credential": credential, "operations": operations, "secrets": secrets}


class _Joint(Deadline):
    """The deadline of a run: over when those of all who share it are, and in any case after a while."""

    def __init__(self, deadlines: Iterable[Deadline]) -> None:
        super().__init__(_LONGEST_RUN)
        self._deadlines = tuple(deadlines)

    def remaining(self) -> float:
        """See `Deadline.remaining`."""
        return min(super().remaining(), max(deadline.remaining() for deadline in self._deadlines))

    def check(self, tried: str, where: str) -> None:
        """See `Deadline.check`. The error names the time that the user allowed, not the longest one of a run."""
        ends = [end for end in (_end_of(deadline, tried, where) for deadline in self._deadlines) if end is not None]
        if len(ends) == len(self._deadlines):
            raise ends[0]
        if super().remaining() <= 0:
            super().check(tried, where)

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
                self._lead_if_none_does(tried)
                self._wait(request, tried)
        except (errors.TimedOut, errors.Cancelled) as end:
            raise self._left(request, end, tried) from end
        if isinstance(request.error, errors.AvmaError):
            raise request.error.of(tried) from request.error  # whoever led the run tried something else
        if request.error is not None:
            raise request.error
        return request.answer or {}

    def _lead_if_none_does(self, tried: str) -> None:
        """Begin a run, in a thread of its own: whoever asks first must not have to stay until all are answered."""
        with self._changed:
            if self._under_way or not self._waiting:
                return
            self._under_way = True
        threading.Thread(target=self._lead, args=(tried,), daemon=True).start()

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
        return errors.AnswerLost(tried, self.where, f"{end.answer}. The script may have run", end.remedy)

    def _lead(self, tried: str) -> None:
        """Wait for others to join, then run the script for all."""
        time.sleep(_GATHERING)
        try:
            requests = self._take()
            try:
                self._run(requests, tried)
            except Exception as error:  # kept for all who wait, and raised by each of them
                for request in requests:
                    request.error = None if request.done else error
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
        if not requests:
            return
        answers = self._answers(requests, tried)
        for request in requests:
            if not request.done:
                request.error = powershell.failure(answers.complaint, tried, self.where)
        if any(_error_id(answer) == NO_ANSWER for answer in answers.objects):
            # The session in that guest goes on, and ends with the PowerShell that began it.
            self._powershell.restart()

    def _answers(self, requests: Sequence[Request], tried: str) -> Answers:
        deadline = _Joint(request.deadline for request in requests)
        parameters = {
            "Guests": [request.as_parameter() for request in requests],
            "ThrottleLimit": _THROTTLE,
            "Timeout": TimeLeft(_MARGIN, _SHARE),
        }
        by_vm = {request.vm_id.lower(): request for request in requests}

        def heard(answer: Mapping[str, Any]) -> None:
            """Let the guest's own asker go on: the other guests may take long, or never answer."""
            request = by_vm.get(str(answer.get("id", "")).lower())
            if request is not None and not request.done:
                with self._changed:
                    request.answer = answer
                    self._changed.notify_all()

        try:
            return self._powershell.run(SCRIPT, parameters, deadline, tried, heard)
        except errors.AccessDenied as error:
            raise errors.AccessDenied(tried, error.where, error.answer, f"{error.remedy}; or {OVER_NETWORK}") from error


def _error_id(answer: Mapping[str, Any]) -> str:
    error = answer.get("error")
    return str(error.get("errorId", "")) if isinstance(error, Mapping) else ""


def _end_of(deadline: Deadline, tried: str, where: str) -> errors.AvmaError | None:
    try:
        deadline.check(tried, where)
    except errors.AvmaError as end:
        return end
    return None
