"""Run a state machine with a seed."""

from __future__ import annotations

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test


def run(machine: type[RuleBasedStateMachine], number: int, examples: int, steps: int) -> None:
    """Run a state machine with a seed. The first example of Hypothesis is always the simplest one.

    Raises:
        Exception: a step failed. Its notes contain the steps before it.
    """
    chosen = settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
    run_state_machine_as_test(seed(number)(machine), settings=chosen)
