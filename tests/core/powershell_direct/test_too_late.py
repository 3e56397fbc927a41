"""A change of a guest does not begin after its operation has ended, although the script goes on for other guests.

The sessions of all guests take a minute of the simulator's clock. No test waits for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pytest

from avma import errors
from avma.deadline import Deadline
from avma.keys import KeyKind
from avma.windows import licensing
from avma.wsman.script import Credential
from avma_simulator import EstateServer, load_estate, running
from core.powershell_direct.lab import GUEST, GUEST_PASSWORD, HOST, LICENSED
from core.runner import ADMINISTRATOR, OTHER_KEY, Runner, methods, published_key
from waiting import Clock, wait_until

SESSION = 60.0
"""Seconds until a session in a guest has started."""
LONG = 250.0
VERSION = "10.0.20348.1"
NAMES = ("first", "short", "long")
VMS = ", ".join(f"{{name: {name}, {GUEST}, delays: {{powershell: {SESSION}}}}}" for name in NAMES)
ESTATE = f"""
keys:
  - {{key: {OTHER_KEY}, channel: Retail, version: "2022", edition: Datacenter}}
hosts:
  - {{name: hv01, version: "2022", address: {HOST}, http: {{port: 5985}}, {LICENSED}, vms: [{VMS}]}}
"""


@pytest.fixture
def estate(tmp_path) -> Iterator[EstateServer]:
    file = tmp_path / "estate.yaml"
    file.write_text(ESTATE)
    with running(load_estate(file)) as server:
        yield server


@dataclass
class Changes:
    """Changes of several guests of one host, each in a thread of its own."""

    estate: EstateServer
    run: Runner
    pool: ThreadPoolExecutor = field(default_factory=ThreadPoolExecutor)

    def __post_init__(self) -> None:
        operation = self.run.operation()
        server = operation.machine(HOST, operation.configuration)
        account = Credential(ADMINISTRATOR, GUEST_PASSWORD)
        listed = {vm.name: vm.id for vm in server.virtual_machines(operation.deadline)}
        self.guests = {name: server.guest(listed[name], name, account).wmi for name in NAMES}
        self.runs: Any = vars(server)["_runs"]

    def begin(self, name: str, deadline: Deadline) -> Future[object]:
        """Begin to install a key in a guest."""
        key = published_key(KeyKind.AVMA, "2022", "Standard")
        return self.pool.submit(licensing.install_product_key, self.guests[name], VERSION, key, deadline)

    def begin_both(self, short: Deadline) -> tuple[Future[object], Future[object]]:
        """Begin changes of two guests that share one run of the script. Return once both sessions are starting."""
        first = self.begin("first", Deadline(LONG))
        self.await_sessions(1)
        both = self.begin("short", short), self.begin("long", Deadline(LONG))
        wait_until(lambda: len(self.runs._waiting) == len(both))
        self.estate.advance_clock(SESSION)
        first.result()
        self.await_sessions(3)
        assert self.estate.counts()["hv01"]["pipelines"] == 2
        return both

    def await_sessions(self, number: int) -> None:
        """Wait until the host has begun that many sessions."""
        wait_until(lambda: self._sessions() == number)

    def _sessions(self) -> int:
        return sum(record["parameter"] == "VMId" for record in self.estate.module_log("hv01"))


@pytest.fixture
def changes(estate, run) -> Iterator[Changes]:
    begun = Changes(estate, run)
    with begun.pool:
        yield begun


def test_a_change_whose_session_starts_after_its_operation_has_ended_does_not_begin(estate, changes):
    clock = Clock()
    short, long = changes.begin_both(Deadline(SESSION - 1, clock=clock))
    clock.now = SESSION
    with pytest.raises(errors.AnswerLost):
        short.result()
    estate.advance_clock(SESSION)
    long.result()
    assert methods(estate, "long") == {"InstallProductKey": 1}
    assert methods(estate, "short") == {}


def test_a_change_that_a_guest_has_left_out_is_reported_before_its_operation_ends(estate, changes):
    """The script has less time than the operation. The rest is for that answer."""
    short, long = changes.begin_both(Deadline(SESSION + 1, clock=Clock()))
    estate.advance_clock(SESSION)
    with pytest.raises(errors.Unreachable, match="started too late, so the change did not begin"):
        short.result()
    long.result()
    assert methods(estate, "short") == {}


def test_a_change_whose_session_starts_in_time_begins(estate, changes):
    short, long = changes.begin_both(Deadline(SESSION + 6, clock=Clock()))
    estate.advance_clock(SESSION)
    short.result()
    long.result()
    assert methods(estate, "short") == {"InstallProductKey": 1}
