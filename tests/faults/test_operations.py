"""A part of the faults of `make faults`: some cases of each operation, in process and over sockets."""

from __future__ import annotations

import pytest

from faults.runs import run, run_over_sockets
from faults.scenarios import SCENARIOS
from faults.sockets import SAMPLED

EVERY, EVERY_OVER_SOCKETS = 101, 211


@pytest.mark.parametrize("number", range(len(SCENARIOS)), ids=[scenario.name for scenario in SCENARIOS])
def test_an_operation_survives_faults(number: int) -> None:
    assert run(number, EVERY).details == []


@pytest.mark.parametrize("https", [False, True], ids=["http", "https"])
@pytest.mark.parametrize("name", SAMPLED)
def test_an_operation_survives_faults_over_sockets(name: str, https: bool) -> None:
    assert run_over_sockets(name, https, name, EVERY_OVER_SOCKETS).details == []
