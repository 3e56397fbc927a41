"""The simulator's event loop without a thread and without waiting: where it would wait, its clock jumps ahead."""

from __future__ import annotations

import asyncio
import selectors
import threading
from collections.abc import Callable, Coroutine
from datetime import datetime, timedelta, timezone
from typing import Any, TypeVar

from avma.cancellation import Cancellation
from avma_simulator.clock import Clock

_T = TypeVar("_T")
_START = datetime(2026, 1, 1, tzinfo=timezone.utc)


class _StandingClock(Clock):
    """A clock that only moves when it is advanced."""

    def monotonic(self) -> float:
        """See `Clock.monotonic`."""
        return self._ahead

    def now(self) -> datetime:
        """See `Clock.now`."""
        return _START + timedelta(seconds=self._ahead)


class _Jumping(selectors.SelectSelector):
    """A selector that advances the clock by the time that it would wait. trio's MockClock does the same."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """See `BaseSelector.select`.

        Raises:
            RuntimeError: nothing will ever happen.
        """
        found = super().select(0)
        if not found and timeout is None:
            raise RuntimeError("all tasks of the simulator wait forever")
        if not found and timeout:
            self._clock.advance(timeout)
        return found


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        super().__init__(_Jumping(clock))

    def time(self) -> float:
        """See `asyncio.AbstractEventLoop`."""
        return self._clock.monotonic()


class Simulation:
    """The event loop of the labs of a process, and their clock. One thread at a time runs it."""

    def __init__(self) -> None:
        self.clock: Clock = _StandingClock()
        self._loop = _Loop(self.clock)
        self._running = threading.Lock()

    def run(self, work: Coroutine[Any, Any, _T]) -> _T:
        """Run work to its end, and other tasks of the loop as far as they come until then."""
        with self._running:
            return self._loop.run_until_complete(work)

    def advance(self, seconds: float) -> None:
        """Let the time pass. Waits of the simulator that are over end."""
        self.run(asyncio.sleep(seconds))

    def close(self) -> None:
        """Close the loop."""
        self._loop.close()


class Pauses(Cancellation):
    """A cancellation whose pauses end at once. They advance a clock, which the deadlines follow too."""

    def __init__(self, clock: Callable[[], float], advance: Callable[[float], None]) -> None:
        super().__init__()
        self.clock = clock
        self._advance = advance

    def wait(self, timeout: float) -> bool:
        """See `Cancellation.wait`."""
        self._advance(timeout)
        return self.is_set()
