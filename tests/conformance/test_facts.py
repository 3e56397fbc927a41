"""Each fact on each machine. See `conftest` for the machines."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing

import pytest

from avma.wsman.pipe import new_winrm_pipe
from avma_conformance.fact import Area, Effect, Fact, Observation, fact
from avma_conformance.facts import FACTS
from avma_conformance.subject import Subject
from avma_conformance.suite import FactVerdict, Suite
from avma_simulator import EstateServer
from conformance import targets
from conformance.runs import Runs

_WITHOUT_OBSERVATION = (FactVerdict.NOT_HERE, FactVerdict.NOT_RUN)


def test_machine_confirms_fact(machine: str, fact: Fact, runs: Runs, request: pytest.FixtureRequest) -> None:
    result = runs.observe(machine, fact)
    if result.verdict in _WITHOUT_OBSERVATION:
        if request.config.getoption("--machines", None):
            pytest.skip(f"{result.verdict.value}: {result.found}")
        return  # the next test requires each fact of at least one simulated machine
    assert result.verdict is FactVerdict.HOLDS, f"{fact.statement}\nexpected: {result.expected}\nfound: {result.found}"


def test_each_fact_is_observed_on_a_simulated_machine(simulators: EstateServer) -> None:
    left = {fact for fact in FACTS if fact.effect in (Effect.READS, Effect.HARMLESS)}
    for machine in targets.MACHINES:
        with closing(Suite(targets.simulated(machine), (Effect.READS, Effect.HARMLESS), (), new_winrm_pipe)) as suite:
            suite.begin()
            results = list(suite.run(sorted(left, key=FACTS.index)))
            left -= {result.fact for result in results if result.verdict not in _WITHOUT_OBSERVATION}
    assert {fact.name for fact in left} == set()


@fact(Area.WSMAN, "no source")
def answer_without_parts(subject: Subject) -> Observation:
    """Each answer has a part."""
    raise IndexError


def test_answer_of_another_form_does_not_end_the_run(suite_of: Callable[[str], Suite]) -> None:
    (result,) = suite_of("2022").run([answer_without_parts])
    assert (result.verdict, result.found) == (FactVerdict.DIFFERS, "IndexError")
