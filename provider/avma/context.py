"""The context of an operation on one machine: its purpose, the machine, and the deadline.

The code that begins an operation creates the context, and passes this one value on. Code below it knows the answer
and the remedy of an error, and the context adds the rest.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Concatenate, ParamSpec, TypeVar

from avma import errors
from avma.deadline import Deadline

P = ParamSpec("P")
E = TypeVar("E", bound=errors.AvmaError)


@dataclass(frozen=True)
class Context:
    """The context of one operation.

    Args:
        tried: the purpose as a verb phrase, such as "install the product key".
        where: the machine, as errors name it.
        deadline: the end of every wait.
    """

    tried: str
    where: str
    deadline: Deadline

    def error(
        self,
        kind: Callable[Concatenate[str, str, str, str, P], E],
        answer: str,
        remedy: str,
        *details: P.args,
        **named: P.kwargs,
    ) -> E:
        """Return an error of that kind, for this operation. `details` are its further arguments."""
        return kind(self.tried, self.where, answer, remedy, *details, **named)

    def check(self) -> None:
        """Raise TimedOut or Cancelled unless the operation may continue. See `Deadline.check`."""
        self.deadline.check(self.tried, self.where)

    def wait(self, seconds: float) -> None:
        """Sleep for that many seconds, unless the deadline or the user ends the wait. See `Deadline.wait`."""
        self.deadline.wait(seconds, self.tried, self.where)

    def acquire(self, lock: threading.Lock | threading.Semaphore) -> None:
        """Acquire a lock or a semaphore. See `Deadline.acquire`."""
        self.deadline.acquire(lock, self.tried, self.where)
