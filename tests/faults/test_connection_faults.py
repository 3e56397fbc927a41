"""A fault of a connection in process raises the error that the real connection raises."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import count

import pytest

from avma import errors
from avma.configuration import Transport
from avma.connection import Connection, resolve
from avma.context import Context
from avma.deadline import Deadline
from avma.wsman.envelope import CimMethod
from avma.wsman.pipe import Pipe
from avma.wsman.wsman_client import WsmanClient
from avma_simulator import EstateServer, running
from faults import estates
from faults.faults import FAULTS, Fault
from faults.lab import Lab
from faults.simulation import Simulation
from faults.sockets import SocketWire, has_socket_form
from faults.wire import LabWire, Planned, Request

METHOD = CimMethod("root/cimv2", "SoftwareLicensingService", "RefreshLicenseStatus")
REQUEST = Request("hv01", "RefreshLicenseStatus SoftwareLicensingService", 1)
KEYS = {"Version": "10.0.20348.1"}
COMPARED = [fault for fault in FAULTS if has_socket_form(fault) and fault.fits(REQUEST)]
SECONDS = 2.0


@pytest.fixture(scope="module")
def server() -> Iterator[EstateServer]:
    with running(estates.declared("hosts")) as started:
        yield started


def outcome(new_pipe: Callable[[Connection], Pipe], connection: Connection) -> tuple[type, str]:
    """Call a method once. Return the class and the topic of its error."""
    with closing(WsmanClient(connection, 1, new_pipe)) as cim, pytest.raises(errors.AvmaError) as caught:
        cim.invoke(Context("refresh", cim.where, Deadline(SECONDS)), METHOD, KEYS, {})
    return type(caught.value), caught.value.topic


@pytest.mark.parametrize("https", [False, True], ids=["http", "https"])
@pytest.mark.parametrize("fault", COMPARED, ids=[fault.name for fault in COMPARED])
def test_a_fault_in_process_is_that_of_a_real_connection(server: EstateServer, fault: Fault, https: bool) -> None:
    settings = estates.configuration(Transport.WINRM, https, ca_cert=server.ca_certificate)
    connection = resolve("hv01", settings)
    planned = Planned(REQUEST, fault.happen, fault.rule, lasting=True)
    real = outcome(SocketWire(server, planned).new_pipe, connection)
    with closing(Simulation()) as simulation:
        lab = Lab(simulation, estates.declared("hosts"))
        assert outcome(LabWire(lab, planned).new_pipe, connection) == real


def test_a_machine_answers_while_other_threads_move_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(Simulation()) as simulation:
        lab = Lab(simulation, estates.declared("hosts"))
        monkeypatch.setattr(lab.pauses, "clock", count().__next__)
        assert lab.is_reachable(lab.state.host("hv01"))
