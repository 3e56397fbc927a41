"""The clock of an estate, which tests can advance, and the event loop that runs by it."""

from __future__ import annotations

import asyncio
import time
from datetime import datetime, timedelta, timezone


class Clock:
    """The time of an estate: that of the computer, plus the seconds by which commands have advanced it."""

    def __init__(self) -> None:
        self._ahead = 0.0

    def monotonic(self) -> float:
        """Return seconds for the measurement of durations, like `time.monotonic`."""
        return time.monotonic() + self._ahead

    def now(self) -> datetime:
        """Return the date and the time in UTC."""
        return datetime.now(timezone.utc) + timedelta(seconds=self._ahead)

    def advance(self, seconds: float) -> None:
        """Move the clock forward."""
        self._ahead += seconds


class ClockLoop(asyncio.SelectorEventLoop):
    """An event loop whose time is that of a clock.

    All delays and timeouts of asyncio and aiohttp use the time of their loop. So they end when the clock is advanced,
    and the simulator needs no sleep of its own. trio's MockClock works in the same way.
    """

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        super().__init__()

    def time(self) -> float:
        """See `asyncio.AbstractEventLoop`."""
        return self.clock.monotonic()
