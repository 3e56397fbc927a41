"""The suite as tests: each fact on each machine. The default machines are simulated.

`--machines FILE` observes the machines of a host list instead. Then a fact with a harmless change needs `--harmless`,
and a fact that uses something up needs `--spend FACT`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from avma.wsman.pipe import new_winrm_pipe
from avma_conformance.fact import Effect
from avma_conformance.facts import FACTS
from avma_conformance.suite import Suite
from avma_simulator import EstateServer, load_estate, running
from conformance import targets

if TYPE_CHECKING:
    from _pytest.mark import ParameterSet

_SAFE = (Effect.READS, Effect.HARMLESS)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--machines", type=Path, help="a host list with real machines")
    parser.addoption("--harmless", action="store_true", help="also request changes that Windows rejects")
    parser.addoption("--spend", action="append", default=[], help="also observe this fact, which uses something up")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Parametrize the tests of single facts. Each machine belongs to one worker."""
    if "fact" in metafunc.fixturenames:
        metafunc.parametrize(("machine", "fact"), list(_observations(metafunc.config.getoption("--machines", None))))


def _observations(file: Path | None) -> Iterator[ParameterSet]:
    for machine in targets.listed(file) if file else targets.MACHINES:
        for fact in FACTS:
            if file or (fact.on in targets.ROLES[machine] and fact.effect in _SAFE):
                group = pytest.mark.xdist_group(machine)
                yield pytest.param(machine, fact, marks=group, id=f"{machine}-{fact.name}")


@pytest.fixture(scope="package")
def simulators(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EstateServer]:
    file = tmp_path_factory.mktemp("conformance") / "estate.yaml"
    file.write_text(targets.ESTATE, encoding="utf-8")
    with running(load_estate(file)) as server:
        yield server


@pytest.fixture(scope="package")
def suite_of(request: pytest.FixtureRequest) -> Iterator[Callable[[str], Suite]]:
    """Return a function that returns the suite of a machine. Each machine has one, with open connections."""
    file = request.config.getoption("--machines", None)
    suites: dict[str, Suite] = {}

    def suite(machine: str) -> Suite:
        if machine not in suites:
            if file:
                permitted = {Effect.READS, *([Effect.HARMLESS] if request.config.getoption("--harmless") else [])}
                suites[machine] = Suite(
                    targets.listed(file)[machine], permitted, request.config.getoption("--spend"), new_winrm_pipe
                )
            else:
                request.getfixturevalue("simulators")
                suites[machine] = Suite(targets.simulated(machine), _SAFE, (), new_winrm_pipe)
            suites[machine].begin()
        return suites[machine]

    yield suite
    for opened in suites.values():
        opened.close()
