"""Fixtures for the tests of ClusterActivation."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from avma.configuration import Configuration, GuestDefaults
from avma_simulator import EstateServer, load_estate, running
from core.runner import ADMINISTRATOR, PASSWORD
from core.whole_cluster.lab import (
    ESTATE,
    GUEST_PASSWORD,
)


@pytest.fixture
def configuration() -> Configuration:
    guest = GuestDefaults(username=ADMINISTRATOR, password=GUEST_PASSWORD, ready_timeout="1s")
    return Configuration(https=False, username=ADMINISTRATOR, password=PASSWORD, guest=guest)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[EstateServer]:
    file = tmp_path / "cluster.yaml"
    file.write_text(ESTATE)
    with running(load_estate(file)) as server:
        yield server
