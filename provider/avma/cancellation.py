"""The user's request to stop. All operations of a process share one `Cancellation`."""

from __future__ import annotations

import threading
from weakref import WeakSet


class Cancellation:
    """The user's request to stop. It is set once, and every wait checks it."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._parts: WeakSet[Cancellation] = WeakSet()
        self._lock = threading.Lock()

    def set(self) -> None:
        """End every wait."""
        with self._lock:
            self._event.set()
            parts = list(self._parts)
        for part in parts:
            part.set()

    def part(self) -> Cancellation:
        """Return a child cancellation. It is set together with this one, and can also be set alone."""
        part = Cancellation()
        with self._lock:
            self._parts.add(part)
            if self._event.is_set():
                part.set()
        return part

    def is_set(self) -> bool:
        """Return True if the user requested to stop."""
        return self._event.is_set()

    def wait(self, timeout: float) -> bool:
        """Sleep for that many seconds, or until the user requests to stop. Return True in the second case."""
        return self._event.wait(timeout)
