"""The suite as tests: each fact on each machine. The default machines are simulated.

`--machines FILE` observes the machines of a host list instead. Then a fact with a harmless change needs `--harmless`,
and a fact that uses something up needs `--spend FACT`. A fact without an observation is skipped, with the reason.
`--report FOLDER` writes a report for each machine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from avma_conformance.fact import Effect
from avma_conformance.facts import FACTS
from avma_conformance.suite import Suite
from avma_simulator import EstateServer, load_estate, running
from conformance import targets
from conformance.runs import Runs

if TYPE_CHECKING:
    from _pytest.mark import ParameterSet

_SAFE = (Effect.READS, Effect.HARMLESS)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--machines", type=Path, help="a host list with real machines")
    parser.addoption("--harmless", action="store_true", help="also request changes that Windows rejects")
    parser.addoption("--spend", action="append", default=[], help="also observe this fact, which uses something up")
    parser.addoption("--report", type=Path, help="write a report for each machine of --machines to this folder")


def pytest_configure(config: pytest.Config) -> None:
    observed = {fact.name for fact in FACTS if fact.observe is not None}
    unknown = [name for name in config.getoption("--spend", []) if name not in observed]
    if unknown:
        raise pytest.UsageError(f"--spend: there is no fact with an observation of the name {unknown[0]}")
    if config.getoption("--report", None) and not config.getoption("--machines", None):
        raise pytest.UsageError("--report: add --machines")


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
def runs(request: pytest.FixtureRequest) -> Iterator[Runs]:
    """Return the runs of all machines. With `--report`, their reports are written at the end."""
    file, folder = (request.config.getoption(option, None) for option in ("--machines", "--report"))
    if file:
        permitted = {Effect.READS, *([Effect.HARMLESS] if request.config.getoption("--harmless") else [])}
        found = Runs(targets.listed(file), permitted, request.config.getoption("--spend"))
    else:
        request.getfixturevalue("simulators")
        found = Runs({name: targets.simulated(name) for name in targets.MACHINES}, _SAFE, ())
    with closing(found):
        yield found
        if folder:
            found.write(folder)


@pytest.fixture(scope="package")
def suite_of(runs: Runs) -> Callable[[str], Suite]:
    """Return a function that returns the suite of a machine. Each machine has one, with open connections."""
    return runs.suite
