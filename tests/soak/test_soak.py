"""A few hundred steps of random runs. `make soak` makes as many as time allows."""

from __future__ import annotations

import pytest

from soak.estate_machine import EstateMachine
from soak.real_machine import RealEngineMachine
from soak.runs import run


@pytest.mark.parametrize("number", range(4))
def test_nothing_is_lost_or_spent_twice_in_random_runs(number: int) -> None:
    run(EstateMachine, number, examples=2, steps=15)


@pytest.mark.engine
def test_nothing_is_lost_or_spent_twice_with_the_real_engine() -> None:
    run(RealEngineMachine, 1, examples=2, steps=10)
