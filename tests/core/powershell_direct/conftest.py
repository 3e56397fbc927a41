"""Fixtures for the PowerShell Direct tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from avma.configuration import Configuration, GuestDefaults
from avma_simulator import EstateServer, load_estate, running
from core.powershell_direct.lab import ESTATE, GUEST_PASSWORD
from core.runner import ADMINISTRATOR, PASSWORD, Runner


@pytest.fixture
def estate(tmp_path: Path, run: Runner) -> Iterator[EstateServer]:
    file = tmp_path / "estate.yaml"
    file.write_text(ESTATE)
    with running(load_estate(file)) as server:
        yield server
        run.machines.close()
        assert all(machine["openShells"] == 0 for machine in server.counts().values())


@pytest.fixture
def configuration() -> Configuration:
    guest = GuestDefaults(username=ADMINISTRATOR, password=GUEST_PASSWORD, ready_timeout="1s")
    return Configuration(https=False, username=ADMINISTRATOR, password=PASSWORD, guest=guest)


@pytest.fixture(autouse=True)
def no_guest_password_is_told(run: Runner) -> Iterator[None]:
    yield
    assert not any(GUEST_PASSWORD in text for text in run.told)
