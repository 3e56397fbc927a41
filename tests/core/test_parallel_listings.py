"""The listings of a host run in parallel if the operation only reads."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

import pytest

from avma.configuration import Transport
from avma.connection import Connection
from avma.context import Context
from avma.deadline import Deadline
from avma.wsman.winrm_pipe import WinrmPipe
from core.runner import LICENSED, Runner
from waiting import PATIENCE


class Meeting(WinrmPipe):
    """A pipe that holds the second listing of a host until the third is under way. The first one signs in."""

    both = threading.Barrier(2)
    listings = 0

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self._host = connection.address == LICENSED

    def send(self, context: Context, message: bytes) -> bytes:
        if self._host and b"FROM" in message:
            Meeting.listings += 1
            if Meeting.listings in (2, 3):
                self.both.wait(PATIENCE)
        return super().send(context, message)


@pytest.fixture
def run(new_runner: Callable[..., Runner]) -> Runner:
    Meeting.both, Meeting.listings = threading.Barrier(2), 0
    return new_runner(Meeting)


def test_a_preview_lists_in_parallel(estate, run):
    estate.move("web01", "licensed")
    guest = replace(run.configuration.guest, transport=Transport.POWERSHELL_DIRECT)
    run.configuration = replace(run.configuration, guest=guest)
    operation = replace(run.operation(), deadline=Deadline(PATIENCE, max_age=60))
    assert run.vm.probe({"host": LICENSED, "vm_name": "web01"}, operation)["vm_name"] == "web01"
    assert Meeting.listings > 3
