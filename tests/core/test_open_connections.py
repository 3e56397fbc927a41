"""What stays open of the connections to a machine: as much after many as after one, and nothing after the last."""

from __future__ import annotations

import gc
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from dataclasses import replace

import pytest

from avma import errors
from avma.connection import Connection, resolve
from avma.context import Context
from avma.deadline import Deadline
from avma.settings import Auth
from avma.windows import computer
from avma.windows.powershell import load
from avma.wsman.idle_pipes import IdlePipes
from avma.wsman.runspaces import Runspaces
from avma.wsman.winrm_pipe import WinrmPipe
from avma.wsman.wsman_client import WsmanClient
from core.runner import HV01, STANDARD

BREAKS = [
    pytest.param({"answer": "drop"}, id="request lost"),
    pytest.param({"answer": "drop", "after": True}, id="response lost"),
    pytest.param({"answer": "garbage"}, id="no SOAP"),
    pytest.param({"answer": "accessDenied"}, id="access denied"),
]


def open_to(connection: Connection) -> int:
    """Return the number of this process's sockets that are connected to the machine."""
    sockets = [each for each in gc.get_objects() if isinstance(each, socket.socket) and each.fileno() >= 0]
    return sum(peer == (connection.address, connection.port) for peer in _peers(sockets))


def _peers(sockets: list[socket.socket]) -> Iterator[object]:
    for each in sockets:
        with suppress(OSError):
            yield each.getpeername()


def read(cim: WsmanClient) -> None:
    computer.read_system(cim, Deadline(20))


@pytest.mark.parametrize("auth", [Auth.NTLM, Auth.NEGOTIATE])
def test_a_connection_that_is_ended_is_not_kept_open(estate, configuration, auth):
    connection = resolve(HV01, replace(configuration, auth=auth))
    for _ in range(3):
        with closing(WsmanClient(connection, 2, WinrmPipe)) as cim:
            read(cim)
            assert open_to(connection) == 1
        assert open_to(connection) == 0


@pytest.mark.parametrize("fault", BREAKS)
@pytest.mark.parametrize("auth", [Auth.NTLM, Auth.NEGOTIATE])
def test_a_connection_that_broke_is_not_kept_open(estate, configuration, auth, fault):
    connection = resolve(HV01, replace(configuration, auth=auth))
    with closing(WsmanClient(connection, 2, WinrmPipe)) as cim:
        for _ in range(3):
            estate.faults("hv01", [{"operation": "Enumerate", "times": 1, **fault}])
            with suppress(errors.AvmaError):
                read(cim)
            assert open_to(connection) <= 1
    assert open_to(connection) == 0


def test_remote_powershell_that_is_ended_is_not_kept_open(estate, configuration):
    connection = resolve(HV01, configuration)
    for _ in range(3):
        runspaces = Runspaces(connection, WinrmPipe)
        try:
            runspaces.run(Context("run a script", "hv01", Deadline(20)), load("server-avma-manager"), {})
        finally:
            runspaces.close(20)
        assert open_to(connection) == 0


def test_many_machines_share_a_limit_of_open_connections(estate, configuration):
    connections, idle = [resolve(name, configuration) for name in (HV01, STANDARD)], IdlePipes(most=1)
    clients = [WsmanClient(connection, 2, WinrmPipe, idle) for connection in connections]
    with ExitStack() as stack:
        for cim in clients:
            stack.enter_context(closing(cim))
        for _ in range(2):
            for cim, connection in zip(clients, connections, strict=True):
                read(cim)
                assert [open_to(each) for each in connections] == [int(each is connection) for each in connections]
    assert [open_to(each) for each in connections] == [0, 0]


class EndedMeanwhile:
    """A pipe whose machine closes all connections during a request."""

    def __init__(self, end: Callable[[], None]) -> None:
        self._end = end
        self.closed = False

    def send(self, context: Context, message: bytes) -> bytes:
        self._end()
        return b""

    def close(self) -> None:
        self.closed = True


def test_a_connection_is_ended_after_its_last_request_if_the_machine_is_closed_meanwhile(configuration):
    pipe = EndedMeanwhile(lambda: cim.close())
    cim = WsmanClient(resolve(HV01, configuration), 2, lambda _connection: pipe)
    with pytest.raises(errors.UnexpectedAnswer):
        read(cim)
    assert pipe.closed
