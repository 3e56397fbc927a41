"""Shared reads of one machine, and the changes that make their answers unusable.

A `SharedRead` answers all questions that wait in one read, and keeps its last answer. An operation that changes
nothing accepts an answer of a certain age (`Deadline.max_age`). So a refresh costs a machine one read of each kind,
however many questions come at once. The rules:

- The age of an answer counts from the start of its read.
- An operation that changes a machine accepts no answer from before its question.
- A change of this process to a machine makes all earlier answers of that machine unusable. The answers of reads during
  the change are unusable too.
- A change to a host makes the answers of all machines unusable. Guests depend on their host, and a host can have
  several names.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar, cast

from avma import errors
from avma.context import Context
from avma.deadline import Deadline
from avma.windows.batches import Activity, Batch, Batches

T = TypeVar("T")


class Changes:
    """The changes of this process to one machine, or to all hosts. Safe for several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ended = 0
        self._under_way = 0

    @contextlib.contextmanager
    def change(self) -> Iterator[None]:
        """Change a machine in the body. It counts as a change even if it fails."""
        with self._lock:
            self._under_way += 1
        try:
            yield
        finally:
            with self._lock:
                self._under_way -= 1
                self._ended += 1

    @property
    def era(self) -> Era:
        """The time between two changes. None during a change."""
        with self._lock:
            return None if self._under_way else (self, self._ended)


Era: TypeAlias = tuple[object, object] | None
"""A time without a change: of one machine, or of a machine and all hosts. None during a change."""


@dataclass(frozen=True)
class History:
    """The changes that matter for one machine: its own, and those of all hosts."""

    own: Changes
    hosts: Changes
    is_guest: bool = False

    @contextlib.contextmanager
    def change(self) -> Iterator[None]:
        """Change the machine in the body."""
        with self.own.change(), contextlib.nullcontext() if self.is_guest else self.hosts.change():
            yield

    @property
    def era(self) -> Era:
        """The current era of the machine."""
        own, hosts = self.own.era, self.hosts.era
        return None if own is None or hosts is None else (own, hosts)


@dataclass(frozen=True)
class _Answer(Generic[T]):
    """An answer, and when its read began: the time, and the era."""

    value: T
    asked_at: float
    era: Era


@dataclass(eq=False)
class _Question(Generic[T]):
    """The question of one thread."""

    context: Context
    answer: _Answer[T] | None = None
    error: Exception | None = None

    @property
    def done(self) -> bool:
        """Whether the question has an answer or an error."""
        return self.answer is not None or self.error is not None


class SharedRead(Batches[_Question[T], Batch[_Question[T]]]):
    """A shared query to one machine. `read` runs it, in the thread of one of the callers, one query at a time."""

    def __init__(
        self,
        read: Callable[[Deadline], T],
        tried: str,
        where: str,
        era: Callable[[], Era],
        activity: Activity | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(activity)
        self._clock = clock
        self._read = read
        self._tried = tried
        self._where = where
        self._era = era
        self._last: _Answer[T] | None = None

    def ask(self, deadline: Deadline) -> T:
        """Return an answer from a read that began after this call, or at most `deadline.max_age` seconds before it.

        Raises:
            AvmaError: the machine could not be queried.
        """
        question = _Question[T](Context(self._tried, self._where, deadline))
        self._await(question)
        if question.error is not None:
            raise question.error
        return cast("_Answer[T]", question.answer).value

    def begin(self) -> Callable[[T], None]:
        """Return a function that keeps the answer of a read from elsewhere. The read begins after this call."""
        began, era = self._clock(), self._era()

        def keep(value: T) -> None:
            with self._changed:
                if self._last is None or self._last.asked_at < began:
                    self._last = _Answer(value, began, era)

        return keep

    def has_fresh(self, max_age: float) -> bool:
        """Return True if an operation that accepts answers of that age in seconds needs no read."""
        with self._changed:
            return self._last is not None and self._is_fresh(self._last, max_age)

    def recent(self, max_age: float) -> T | None:
        """Return the last answer up to that age in seconds, even if a change has made it unusable, otherwise None."""
        with self._changed:
            last = self._last
        return last.value if last is not None and self._clock() - last.asked_at < max_age else None

    def _due(self) -> list[_Question[T]]:
        for question in self._waiting:
            if self._last is not None and self._is_fresh(self._last, question.context.deadline.max_age):
                question.answer = self._last
        self._waiting = [question for question in self._waiting if not question.done]
        return [] if self._running else list(self._waiting)

    def _is_fresh(self, answer: _Answer[T], max_age: float) -> bool:
        return answer.era == self._era() is not None and self._clock() - answer.asked_at < max_age

    def _new_batch(self, leader: _Question[T], requests: list[_Question[T]]) -> Batch[_Question[T]]:
        return Batch(leader, requests)

    def _run(self, batch: Batch[_Question[T]]) -> None:
        began, era = self._clock(), self._era()
        try:
            answer = _Answer(self._read(batch.leader.context.deadline), began, era)
        except (errors.TimedOut, errors.Cancelled) as end:  # Only the leader timed out: the others ask again.
            batch.leader.error = end
            with self._changed:
                self._waiting = batch.open + self._waiting
        else:
            self._last = answer
            for question in batch.requests:
                question.answer = answer
