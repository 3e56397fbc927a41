"""The time limit of calls."""

from __future__ import annotations

import threading

import pytest

from avma.wsman.http_adapter import TimeIsOver, within
from waiting import PATIENCE


def test_a_late_call_is_left() -> None:
    release = threading.Event()
    with pytest.raises(TimeIsOver):
        within(0.05, lambda: release.wait(PATIENCE))
    release.set()


def test_a_call_in_time_returns_its_result_or_raises_its_error() -> None:
    assert within(PATIENCE, lambda: 7) == 7
    with pytest.raises(KeyError):
        within(PATIENCE, {}.popitem)
