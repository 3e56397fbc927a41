"""Fixtures for the unit tests of script runs."""

from __future__ import annotations

import pytest

from avma.windows.guest_runs import GuestRuns
from unit.guest_scripts import Script, runs_of


@pytest.fixture
def script() -> Script:
    return Script()


@pytest.fixture
def runs(script: Script) -> GuestRuns:
    return runs_of(script)
