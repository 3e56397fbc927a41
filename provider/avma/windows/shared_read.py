"""Reads that several threads share, if they ask in parallel. No answer is older than its question.

One `pulumi up` reads the same state for many resources in parallel. So a read waits a moment for other callers before
it starts. Callers that arrive during a read share the next one. N parallel questions cost a machine one or two reads.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from avma import errors
from avma.deadline import Deadline

T = TypeVar("T")

_GATHERING = 0.05
"""Seconds that a read waits for more callers. A request to Windows takes 10 to 1000 ms."""


@dataclass
class _Read(Generic[T]):
    """One read for several callers. `before` is the active read, whose end it must wait for."""

    before: _Read[T] | None
    done: threading.Event = field(default_factory=threading.Event)
    answer: list[T] = field(default_factory=list)
    error: Exception | None = None


class SharedRead(Generic[T]):
    """A shared query to one machine. `read` runs it."""

    def __init__(self, read: Callable[[Deadline], T], tried: str, where: str) -> None:
        self._read = read
        self._tried = tried
        self._where = where
        self._lock = threading.Lock()
        self._under_way: _Read[T] | None = None
        self._gathering: _Read[T] | None = None

    def ask(self, deadline: Deadline) -> T:
        """Return an answer from a read that began after this call.

        Raises:
            AvmaError: the machine could not be queried.
        """
        while True:
            shared, leads = self._join()
            if leads:
                self._lead(shared, deadline)
            else:
                self._wait(shared, deadline)
            if shared.error is None:
                return shared.answer[0]
            if leads or not isinstance(shared.error, (errors.TimedOut, errors.Cancelled)):
                raise shared.error
            deadline.check(self._tried, self._where)  # Only the leader timed out: ask again.

    def _join(self) -> tuple[_Read[T], bool]:
        """Return the read to share, and whether this thread leads it."""
        with self._lock:
            if self._gathering is not None:
                return self._gathering, False
            self._gathering = _Read(before=self._under_way)
            return self._gathering, True

    def _lead(self, shared: _Read[T], deadline: Deadline) -> None:
        try:
            self._gather(shared, deadline)
            shared.answer.append(self._read(deadline))
        except Exception as error:  # Each waiting thread raises it.
            shared.error = error
        finally:
            self._finish(shared)

    def _gather(self, shared: _Read[T], deadline: Deadline) -> None:
        """Wait for others to join, then start. Later callers get a later read."""
        if shared.before is None:
            deadline.wait(_GATHERING, self._tried, self._where)
        else:
            self._wait(shared.before, deadline)
        with self._lock:
            shared.before = None
            self._gathering, self._under_way = None, shared

    def _finish(self, shared: _Read[T]) -> None:
        with self._lock:
            if self._under_way is shared:
                self._under_way = None
            if self._gathering is shared:
                self._gathering = None
            shared.done.set()

    def _wait(self, shared: _Read[T], deadline: Deadline) -> None:
        deadline.until(shared.done.wait, self._tried, self._where)
