"""Waiting for what another thread or process does. The limit ends a test that hangs, and decides nothing else."""

from __future__ import annotations

import time
from collections.abc import Callable

PATIENCE = 60.0
"""Seconds after which a test has hung, also on a busy machine."""


def wait_until(condition: Callable[[], object]) -> None:
    """Return once the condition holds.

    Raises:
        AssertionError: it has not held for a minute.
    """
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)
