"""A part of the faults of `make faults`: a few cases of each operation."""

from __future__ import annotations

import pytest

from faults.runs import run
from faults.scenarios import SCENARIOS

EVERY = 101


@pytest.mark.parametrize("number", range(len(SCENARIOS)), ids=[scenario.name for scenario in SCENARIOS])
def test_an_operation_survives_faults(number: int) -> None:
    assert run(number, EVERY).details == []
