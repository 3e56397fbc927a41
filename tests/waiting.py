"""Waiting for what another thread or process does. The limit ends a test that hangs, and decides nothing else."""

from __future__ import annotations

import time
from collections.abc import Callable

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
