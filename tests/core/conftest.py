"""Shared fixtures for the core against the simulator, over real sockets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from avma.configuration import Configuration, GuestDefaults, Transport
from avma.windows.machines import Machines
from avma_simulator import EstateServer, load_estate, running
from core.runner import ADMINISTRATOR, ESTATE, HOST_KEY, OTHER_KEY, PASSWORD, Runner


@pytest.fixture
def estate(tmp_path: Path) -> Iterator[EstateServer]:
    file = tmp_path / "estate.yaml"
    file.write_text(ESTATE)
    with running(load_estate(file)) as server:
        yield server


@pytest.fixture
def configuration() -> Configuration:
    account: dict[str, Any] = {"username": ADMINISTRATOR, "password": PASSWORD}
    guest = GuestDefaults(transport=Transport.WINRM, https=False, ready_timeout="1s", **account)
    return Configuration(https=False, username=ADMINISTRATOR, password=PASSWORD, guest=guest)


@pytest.fixture
def new_runner(configuration: Configuration) -> Iterator[Callable[..., Runner]]:
    """Return a function that creates runners with their own machines. Its arguments go to `Machines`."""
    made: list[Runner] = []

    def make(*arguments: Any, **keywords: Any) -> Runner:
        made.append(Runner(configuration, Machines(4, *arguments, **keywords)))
        return made[-1]

    yield make
    for runner in made:
        runner.machines.close()


@pytest.fixture
def run(new_runner: Callable[..., Runner]) -> Runner:
    runner: Runner = new_runner()
    return runner


@pytest.fixture(autouse=True)
def no_secret_is_told(run: Runner) -> Iterator[None]:
    yield
    assert not any(secret in text for text in run.told for secret in (HOST_KEY, OTHER_KEY, PASSWORD))
