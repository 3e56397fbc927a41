"""Reads that are asked for at the same time share one answer, never one that is older than the question.

Whoever asks while a read is in flight gets the next read, together with all others who asked meanwhile; so N questions
at once cost a machine at most two reads. The module knows neither what is read nor how.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from avma import errors
from avma.deadline import Deadline

T = TypeVar("T")

_POLL = 0.1
"""Seconds between two looks at the deadline while another thread reads."""


@dataclass
class _Flight(Generic[T]):
    """One read, under way or about to start once the one before has landed."""

    before: _Flight[T] | None
    landed: threading.Event = field(default_factory=threading.Event)
    answer: list[T] = field(default_factory=list)
    error: Exception | None = None


class SharedRead(Generic[T]):
    """One question to one machine, asked through `read`."""

    def __init__(self, read: Callable[[Deadline], T], tried: str, where: str) -> None:
        self._read = read
        self._tried = tried
        self._where = where
        self._lock = threading.Lock()
        self._current: _Flight[T] | None = None
        self._next: _Flight[T] | None = None

    def __call__(self, deadline: Deadline) -> T:
        """Return an answer from a read that began after this call.

        Raises:
            AvmaError: the machine could not be asked.
        """
        while True:
            flight, leads = self._board()
            if leads:
                self._fly(flight, deadline)
            else:
                self._wait(flight, deadline)
            if flight.error is None:
                return flight.answer[0]
            if leads or not isinstance(flight.error, (errors.TimedOut, errors.Cancelled)):
                raise flight.error
            deadline.check(self._tried, self._where)  # only the leader's time was over: ask again

    def _board(self) -> tuple[_Flight[T], bool]:
        """Return the flight to take, and whether this thread leads it."""
        with self._lock:
            if self._current is None:
                self._current = _Flight(before=None)
                return self._current, True
            if self._next is None:
                self._next = _Flight(before=self._current)
                return self._next, True
            return self._next, False

    def _fly(self, flight: _Flight[T], deadline: Deadline) -> None:
        try:
            if flight.before is not None:
                self._wait(flight.before, deadline)
                flight.before = None
            flight.answer.append(self._read(deadline))
        except Exception as error:  # kept for all who wait, and raised by each of them
            flight.error = error
        finally:
            self._land(flight)

    def _land(self, flight: _Flight[T]) -> None:
        with self._lock:
            if self._current is flight:
                self._current, self._next = self._next, None
            elif self._next is flight:
                self._next = None
            flight.landed.set()

    def _wait(self, flight: _Flight[T], deadline: Deadline) -> None:
        while not flight.landed.wait(_POLL):
            deadline.check(self._tried, self._where)
