"""One run of the script `cim-in-guest`: what guests are asked for in it, its deadline, and what it has reported."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from avma import errors
from avma.deadline import Deadline
from avma.wsman.script import Credential, Secret

Operation = Mapping[str, Any]

_POLL = 0.1
"""Seconds between two looks at the deadline while a run is under way."""
SILENCE = 10.0
"""Seconds in which a run reports nothing, after which other guests no longer wait for its end."""
_LONGEST_RUN = 300.0
"""Seconds after which a run gives up those guests that have not answered."""


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

    @property
    def reads(self) -> bool:
        """Whether it changes nothing, so that it may be sent twice."""
        return all("query" in operation for operation in self.operations)

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


class Joint(Deadline):
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


class Run:
    """One run of the script: the requests that it has to answer, and what it has reported."""

    def __init__(self, requests: Sequence[Request]) -> None:
        self.requests = list(requests)
        self._starting: str | None = None
        self._started: set[str] = set()
        self._reported_at = time.monotonic()

    @property
    def silent(self) -> bool:
        """Whether it has reached a guest, and reported nothing for long. Before that, it is the host that is slow."""
        begun = self._starting is not None or self._started
        return bool(begun) and time.monotonic() - self._reported_at >= SILENCE

    @property
    def open(self) -> list[Request]:
        """The requests that it has not answered."""
        return [request for request in self.requests if not request.done]

    def starts(self, vm_id: str | None) -> None:
        """Note which guest the script is connecting to now, None if it has begun the session."""
        self.reports()
        if self._starting is not None:
            self._started.add(self._starting)
        self._starting = vm_id

    def reports(self) -> None:
        """Note that it is alive."""
        self._reported_at = time.monotonic()

    def suspects(self) -> set[str]:
        """Return the VMs that keep a silent run: the one that blocks the script, or those with a session."""
        if self._starting is not None:
            return {self._starting}
        return self._started & {key_of(request) for request in self.open}


def lower(text: object) -> str:
    """Return a text of the script in lower case."""
    return str(text).lower()


def key_of(request: Request) -> str:
    """Return the id of the VM that a request is for, as runs compare it."""
    return lower(request.vm_id)


def _end_of(deadline: Deadline, tried: str, where: str) -> errors.AvmaError | None:
    try:
        deadline.check(tried, where)
    except errors.AvmaError as end:
        return end
    return None
