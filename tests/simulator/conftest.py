"""Simulators for these tests: a shared one for reading, and a new one for each test that changes it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from pypsrp.powershell import RunspacePool

from avma_simulator import EstateServer, load_estate, running
from simulator.psrp import connected

MAK = "BCDFG-HJKMN-PQRTV-WXY23-46789"
RETAIL = "BCDFG-HJKMN-PQRTV-WXY23-4678B"
OEM = "BCDFG-HJKMN-PQRTV-WXY23-4678C"
STANDARD_MAK = "BCDFG-HJKMN-PQRTV-WXY23-4678D"
ESTATE = f"""
keys:
- {{key: {MAK}, channel: MAK, version: "2025", edition: Datacenter, activations: 1}}
- {{key: {RETAIL}, channel: Retail, version: "2025", edition: Datacenter}}
- {{key: {OEM}, channel: OEM, version: "2025", edition: Datacenter, activations: 0}}
- {{key: {STANDARD_MAK}, channel: MAK, version: "2025", edition: Standard}}
hosts:
- name: hv01
  version: "2025"
  edition: Datacenter
  license: {{key: {RETAIL}}}
  http: {{}}
  https: {{}}
  logons: [ntlm, basic]
  username: Administrator
  password: Pa55w.rd
  vms:
  - {{name: web01, version: "2022", edition: Standard, username: Administrator, password: guest,
      http: {{}}, https: {{certificate: selfSigned}}}}
  - {{name: web02, version: "2025", edition: Datacenter, username: Administrator, password: Pa55w.rd}}
  - {{name: sleeper, version: "2019", edition: Essentials, state: "off", username: Administrator,
      password: Pa55w.rd}}
  - {{name: silent, version: "2016", edition: Datacenter, dataExchange: false}}
- name: hv02
  version: "2025"
  edition: Datacenter
  username: Administrator
  password: Pa55w.rd
- name: evaluation
  version: "2025"
  edition: Datacenter
  evaluation: true
  username: Administrator
  password: Pa55w.rd
- name: visitor
  version: "2022"
  edition: Standard
  rights: none
  license: none
  username: Administrator
  password: Pa55w.rd
"""


def write(directory: Path, text: str) -> Path:
    path = directory / "estate.yaml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EstateServer]:
    """The simulated machines for tests that do not change them."""
    with running(load_estate(write(tmp_path_factory.mktemp("estate"), ESTATE))) as server:
        yield server


@pytest.fixture
def estate(tmp_path: Path) -> Iterator[EstateServer]:
    """The simulated machines for one test."""
    with running(load_estate(write(tmp_path, ESTATE))) as server:
        yield server


@pytest.fixture
def pool(estate: EstateServer) -> Iterator[RunspacePool]:
    """Return an open runspace pool of the host of that simulator."""
    with connected(estate) as client, RunspacePool(client) as opened:
        yield opened


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[[str], EstateServer]]:
    """Return a function that serves an estate file from its text."""
    with ExitStack() as stack:
        yield lambda text: stack.enter_context(running(load_estate(write(tmp_path, text))))
