"""The lock for license changes to one machine."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

from avma.deadline import Deadline
from avma.windows.shared_reads import Changes, Era


class LicenseLock:
    """A lock for license changes to one machine, and this process's changes to it."""

    def __init__(self) -> None:
        self.changes = Changes()
        self._taken = threading.Lock()

    @contextlib.contextmanager
    def exclusive(self, since: Era, deadline: Deadline, where: str) -> Iterator[bool]:
        """Hold the lock of the machine. Yield True if it may have changed since the era `since` of `changes`.

        Raises:
            TimedOut, Cancelled: the lock was not free in time.
        """
        deadline.acquire(self._taken, "change the license", where)
        try:
            yield since is None or self.changes.era != since
        finally:
            self._taken.release()
