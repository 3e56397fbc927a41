"""A part of the crashes of `make faults`: one of each command."""

from __future__ import annotations

import pytest

from faults.crashes import COMMANDS
from faults.runs import run_crashes

pytestmark = pytest.mark.engine
NO_SECOND = 1001
"""More than the number of cases of a command."""


@pytest.mark.parametrize("number", range(len(COMMANDS)), ids=[command.name for command in COMMANDS])
def test_a_crash_loses_nothing(number: int) -> None:
    assert run_crashes(number, COMMANDS[number].name, NO_SECOND).details == []
