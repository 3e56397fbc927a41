"""Facts that use something up, on simulated machines of their own. Each fact begins with a new estate."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from avma.wsman.pipe import new_winrm_pipe
from avma_conformance.fact import Effect, Fact
from avma_conformance.facts import FACTS
from avma_conformance.suite import FactVerdict, Suite
from avma_simulator import load_estate, running
from conformance import targets
from loopback import relocated

_OTHERS = 100
"""Added to the last number of each address, because other simulated machines listen on those of `targets`."""
_SPENDING = [fact for fact in FACTS if fact.effect is Effect.SPENDS]


@pytest.mark.parametrize("spending", _SPENDING, ids=[fact.name for fact in _SPENDING])
def test_new_machines_confirm_a_fact_that_uses_something_up(spending: Fact, tmp_path: Path) -> None:
    file = tmp_path / "estate.yaml"
    file.write_text(relocated(targets.ESTATE, _OTHERS), encoding="utf-8")
    found = {}
    with running(load_estate(file)):
        for machine in (name for name, roles in targets.ROLES.items() if spending.on in roles):
            with closing(Suite(targets.simulated(machine, _OTHERS), (), [spending.name], new_winrm_pipe)) as suite:
                suite.begin()
                (result,) = suite.run([spending])
            if result.verdict is not FactVerdict.NOT_HERE:
                found[machine] = f"{result.verdict.value}: {result.found}, expected {result.expected}"
    assert found
    assert {machine: text for machine, text in found.items() if not text.startswith(FactVerdict.HOLDS.value)} == {}
