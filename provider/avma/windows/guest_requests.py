"""Requests to Windows inside VMs, for `guest_runs`: what to do in a guest, with which account, and until when."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from avma import errors
from avma.cancellation import JointCancellation
from avma.context import Context
from avma.deadline import Deadline, text_of
from avma.wording import RUN_AGAIN
from avma.wsman.script import Credential, Secret, TimeLeft

_LONGEST_RUN = 300.0
"""Seconds until a run gives up on guests without an answer."""
TIME_LEFT = TimeLeft(margin=5.0, share=0.2)
"""The time of the script: 5 seconds less than its caller has, but at most a fifth of the time less.

In the reserve, the script reports the guests without an answer. The reserve also covers the time that neither the
script nor the guest can measure: the way of the script to the host, and the exchange of credentials with the guest.
"""

GuestOperation = Mapping[str, Any]
"""A query or a method call in a guest, as a parameter of the script."""


@dataclass(eq=False)
class GuestRequest:
    """Operations in one guest, and their result. The values of a method's `arguments` are secret.

    `vm_id` is in lower case. `begun` is True once a script with the request was sent.
    """

    vm_id: str
    account: Credential
    operations: Sequence[GuestOperation]
    context: Context
    begun: bool = False
    answer: Mapping[str, Any] | None = None
    error: Exception | None = None
    thread: int = field(default_factory=threading.get_ident)
    """The thread that waits for the answer."""

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
        # One text instead of a tree of objects: each object of [MS-PSRP] is about twenty XML elements.
        text = json.dumps(operations)
        seconds = TIME_LEFT.without_reserve(self.context.deadline.remaining())
        guest = {"id": self.vm_id, "credential": self.account, "operations": text, "secrets": secrets}
        return {**guest, "seconds": seconds}


@dataclass(eq=False, kw_only=True)
class Companion(GuestRequest):
    """A read that no thread waits for. It only goes along with a run for other guests.

    `may_begin` returns False if the guest must not be asked now. Otherwise `on_end` receives the answer, or None
    without one.
    """

    may_begin: Callable[[], bool]
    on_end: Callable[[Mapping[str, Any] | None], None]
    ended: bool = False

    def end(self) -> None:
        """Report the end, once."""
        if not self.ended:
            self.ended = True
            self.on_end(self.answer)


class JointDeadline(Deadline):
    """The deadline of a run. It ends with the last deadline of its requests, and after `_LONGEST_RUN` at the latest."""

    def __init__(self, deadlines: Iterable[Deadline]) -> None:
        self._deadlines = tuple(deadlines)
        super().__init__(_LONGEST_RUN, JointCancellation(deadline.cancellation for deadline in self._deadlines))

    def remaining(self) -> float:
        """See `Deadline.remaining`. A canceled request needs no more time."""
        continuing = (deadline for deadline in self._deadlines if not deadline.cancellation.is_set())
        return min(super().remaining(), max((deadline.remaining() for deadline in continuing), default=0.0))

    def wait(self, timeout: float, tried: str, where: str) -> None:
        """See `Deadline.wait`. The run waits with one of its requests, as long as one continues."""
        continuing = (deadline.cancellation for deadline in self._deadlines if not deadline.cancellation.is_set())
        next(continuing, self.cancellation).wait(min(timeout, self.remaining()))
        self.check(tried, where)

    def check(self, tried: str, where: str) -> None:
        """See `Deadline.check`. The error names the user's timeout, or the guests if the user allowed more time."""
        ends = [end for end in (_end_of(deadline, tried, where) for deadline in self._deadlines) if end is not None]
        if len(ends) == len(self._deadlines):
            raise ends[0]
        if super().remaining() <= 0:
            answer = f"the guests did not answer within {text_of(_LONGEST_RUN)}"
            raise errors.TimedOut(tried, where, answer, f"check the guests on this host, then {RUN_AGAIN}")


def _end_of(deadline: Deadline, tried: str, where: str) -> errors.AvmaError | None:
    try:
        deadline.check(tried, where)
    except errors.AvmaError as end:
        return end
    return None
