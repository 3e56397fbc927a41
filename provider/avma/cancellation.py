"""The user's request to stop. All operations of a process share one `Cancellation`."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterable, Iterator
from weakref import WeakSet


class Cancellation:
    """The user's request to stop. It is set once, and every wait checks it."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._parts: WeakSet[Cancellation] = WeakSet()
        self._waiters: set[threading.Event] = set()
        self._lock = threading.Lock()

    def set(self) -> None:
        """End every wait."""
        with self._lock:
            self._event.set()
            waiters, parts = list(self._waiters), list(self._parts)
        for waiter in waiters:
            waiter.set()
        for part in parts:
            part.set()

    def part(self) -> Cancellation:
        """Return a child cancellation. It is set together with this one, and can also be set alone."""
        part = Cancellation()
        self.add(part)
        return part

    def add(self, part: Cancellation) -> None:
        """Set another cancellation together with this one."""
        with self._lock:
            self._parts.add(part)
            is_set = self._event.is_set()
        if is_set:
            part.set()

    @contextlib.contextmanager
    def waking(self, waiter: threading.Event) -> Iterator[None]:
        """Set an event too when the user requests to stop within the body. A thread can then wait for two things."""
        with self._lock:
            self._waiters.add(waiter)
            is_set = self._event.is_set()
        if is_set:
            waiter.set()
        try:
            yield
        finally:
            with self._lock:
                self._waiters.discard(waiter)

    def is_set(self) -> bool:
        """Return True if the user requested to stop."""
        return self._event.is_set()

    def wait(self, timeout: float) -> bool:
        """Sleep for that many seconds, or until the user requests to stop. Return True in the second case."""
        return self._event.wait(timeout)


class JointCancellation(Cancellation):
    """The cancellation of work for several operations. It is set once all of theirs are."""

    def __init__(self, members: Iterable[Cancellation]) -> None:
        super().__init__()
        self._members = tuple(members)
        for member in self._members:
            member.add(self)

    def set(self) -> None:
        """See `Cancellation.set`. Do nothing while another operation continues."""
        if all(member.is_set() for member in self._members):
            super().set()
