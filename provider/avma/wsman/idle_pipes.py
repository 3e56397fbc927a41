"""The open connections of a process that wait for their next request.

Each costs about a tenth of a megabyte here and a socket on the machine. A run over the network opens one for each
guest, and most guests need it only once.
"""

from __future__ import annotations

import threading

from avma.wsman.pipe import Pipe

_MOST = 128
"""Enough for sixteen hosts with `maxConcurrency` of 8."""


class IdlePipes:
    """A store of idle pipes. If it is full, it closes the one that has waited for the longest time."""

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._pipes: list[tuple[object, Pipe]] = []

    def take(self, owner: object) -> Pipe | None:
        """Return the pipe that this owner used last, or None."""
        with self._lock:
            for index in reversed(range(len(self._pipes))):
                if self._pipes[index][0] is owner:
                    return self._pipes.pop(index)[1]
        return None

    def put(self, owner: object, pipe: Pipe) -> None:
        """Keep a pipe for its owner."""
        with self._lock:
            self._pipes.append((owner, pipe))
            oldest = self._pipes.pop(0) if len(self._pipes) > self._most else None
        if oldest is not None:
            oldest[1].close()
