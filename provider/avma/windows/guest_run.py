"""One run of the script `cim-in-guest`: the requests to guests, the deadline, and the progress of the run."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from avma import errors
from avma.context import Context
from avma.deadline import POLL, Deadline, text_of
from avma.windows.batches import Batch
from avma.wording import RUN_AGAIN
from avma.wsman.script import Credential, Secret

Operation = Mapping[str, Any]

SILENCE = 10.0
"""Seconds without a report from a run. After this time, other guests no longer wait for the run to end."""
_LONGEST_RUN = 300.0
"""Seconds until a run gives up on guests without an answer."""


@dataclass(frozen=True)
class GuestAccount:
    """An account of Windows inside a VM. `repr` hides the password."""

    username: str
    password: str = field(repr=False)


@dataclass(eq=False)
class GuestRequest:
    """Operations in one guest, and their result. The values of a method's `arguments` are secret."""

    vm_id: str
    account: GuestAccount
    operations: Sequence[Operation]
    context: Context
    begun: bool = False
    answer: Mapping[str, Any] | None = None
    error: Exception | None = None

    @property
    def done(self) -> bool:
        """Whether the request has an answer or an error."""
        return self.answer is not None or self.error is not None

    @property
    def reads(self) -> bool:
        """Whether the request only reads. Then it may run twice."""
        return all("query" in operation for operation in self.operations)

    def as_parameter(self) -> dict[str, Any]:
        """Return the request as a parameter of the script. Each argument of a method is an index into the secrets."""
        secrets: list[Secret] = []
        operations = [dict(operation) for operation in self.operations]
        for operation in operations:
            arguments = operation.get("arguments")
            if arguments is not None:
                operation["arguments"] = {name: len(secrets) + place for place, name in enumerate(arguments)}
                secrets += [Secret(str(value)) for value in arguments.values()]
        credential = Credential(self.account.username, self.account.password)
        return {"id": self.vm_id, "credential": credential, "operations": operations, "secrets": secrets}


class Joint(Deadline):
    """The deadline of a run. It ends with the last deadline of its requests, and after `_LONGEST_RUN` at the latest."""

    def __init__(self, deadlines: Iterable[Deadline]) -> None:
        super().__init__(_LONGEST_RUN)
        self._deadlines = tuple(deadlines)

    def remaining(self) -> float:
        """See `Deadline.remaining`."""
        return min(super().remaining(), max(deadline.remaining() for deadline in self._deadlines))

    def check(self, tried: str, where: str) -> None:
        """See `Deadline.check`. The error names the user's timeout, or the guests if the user allowed more time."""
        ends = [end for end in (_end_of(deadline, tried, where) for deadline in self._deadlines) if end is not None]
        if len(ends) == len(self._deadlines):
            raise ends[0]
        if super().remaining() <= 0:
            answer = f"the guests did not answer within {text_of(_LONGEST_RUN)}"
            raise errors.TimedOut(tried, where, answer, f"check the guests on this host, then {RUN_AGAIN}")

    def wait(self, timeout: float, tried: str, where: str) -> None:
        """See `Deadline.wait`."""
        end = time.monotonic() + timeout
        while (left := end - time.monotonic()) > 0:
            self.check(tried, where)
            time.sleep(min(left, POLL))
        self.check(tried, where)


class GuestRun(Batch[GuestRequest]):
    """One run of the script: its requests and their progress."""

    def __init__(self, leader: GuestRequest, requests: list[GuestRequest]) -> None:
        super().__init__(leader, requests)
        self._starting: str | None = None
        self._started: set[str] = set()
        self._reported_at = time.monotonic()

    @property
    def silent(self) -> bool:
        """Whether the run has reached a guest, but reported nothing for `SILENCE`. Before that, the host is slow."""
        begun = self._starting is not None or self._started
        return bool(begun) and time.monotonic() - self._reported_at >= SILENCE

    def note_start(self, vm_id: str | None) -> None:
        """Record the guest to which the script is connecting. None if the session has started."""
        self.note_report()
        if self._starting is not None:
            self._started.add(self._starting)
        self._starting = vm_id

    def note_report(self) -> None:
        """Record that the script reported something."""
        self._reported_at = time.monotonic()

    def suspects(self) -> set[str]:
        """Return the VMs that hold up a silent run: the one that blocks the script, or those with a session."""
        if self._starting is not None:
            return {self._starting}
        return self._started & {key_of(request) for request in self.open}


def lower(text: object) -> str:
    """Return a text from the script in lower case."""
    return str(text).lower()


def key_of(request: GuestRequest) -> str:
    """Return the VM id of a request in the form for comparison."""
    return lower(request.vm_id)


def _end_of(deadline: Deadline, tried: str, where: str) -> errors.AvmaError | None:
    try:
        deadline.check(tried, where)
    except errors.AvmaError as end:
        return end
    return None
