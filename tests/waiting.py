"""Waits for other threads and processes, and a clock that a test advances. The limit only ends a test that hangs."""

from __future__ import annotations

import time
from collections.abc import Callable

from avma.cancellation import Cancellation
from avma.deadline import Deadline
from avma_simulator import EstateServer

PATIENCE = 60.0
"""Seconds until a test counts as blocked, even on a busy machine."""


def wait_until(condition: Callable[[], object]) -> None:
    """Wait until the condition is true.

    Raises:
        AssertionError: it is still false after a minute.
    """
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


class Clock:
    """A clock for `Deadline` that stands still until the test advances it."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class SkippedPauses(Cancellation):
    """A cancellation for `Deadline` whose pauses end at once.

    Each pause moves `clock` forward by its length. With `estate`, it also advances the clock of that simulator.
    """

    def __init__(self, estate: EstateServer | None = None) -> None:
        super().__init__()
        self.clock = Clock()
        self._estate = estate

    def wait(self, timeout: float) -> bool:
        self.clock.now += timeout
        if self._estate is not None:
            self._estate.advance_clock(timeout)
        return self.is_set()


def unpaused(seconds: float) -> Deadline:
    """Return a deadline whose pauses end at once. Only they use up its time."""
    pauses = SkippedPauses()
    return Deadline(seconds, pauses, pauses.clock)


def advance_until(estate: EstateServer, seconds: float, condition: Callable[[], object]) -> None:
    """Advance the clock of a simulator by some seconds, again and again, until the condition is true.

    A test cannot see when a request starts to wait in the simulator. So one advance can come too early.

    Raises:
        AssertionError: the condition is still false after a minute.
    """

    def met_after_advance() -> object:
        estate.advance_clock(seconds)
        return condition()

    wait_until(met_after_advance)
