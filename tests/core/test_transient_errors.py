"""Transient errors are retried once for all concurrent reads. Other errors fail at once."""

from __future__ import annotations

import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import replace

import pytest

from avma import errors
from avma.connection import resolve
from avma.context import Context
from avma.deadline import Deadline
from avma.windows import licensing
from avma.windows.licensing import LicensingReader
from avma.windows.machines import Machines
from avma.windows.powershell import load
from avma.wsman.envelope import CimMethod
from avma.wsman.runspaces import Runspaces
from avma.wsman.winrm_pipe import WinrmPipe
from avma.wsman.wsman_client import WsmanClient
from avma_simulator import load_estate, running
from core.runner import ADMINISTRATOR, ESTATE, HV01
from waiting import PATIENCE, unpaused

POSTPONED = (0x80041033, 0xC004F075, 0xC004FD00, 0xC004E028, 0x803381E8)
"""The numbers with which Windows postpones an operation."""


@pytest.mark.parametrize(
    "fault", [{"answer": "unavailable"}, {"answer": "quota"}, *({"hresult": number} for number in POSTPONED)]
)
def test_a_shared_read_survives_six_answers_that_put_it_off(estate, configuration, fault):
    estate.faults("hv01", [{"operation": "Enumerate", "times": 6, **fault}])
    with closing(Machines(4)) as machines, ThreadPoolExecutor(20) as pool:
        server = machines.get(resolve(HV01, configuration))
        reads = [pool.submit(server.virtual_machines, unpaused(60)) for _ in range(20)]
        assert all(read.result() for read in reads)


def test_a_read_that_is_refused_until_the_timeout_quotes_the_last_answer(estate, configuration):
    estate.faults("hv01", [{"operation": "Enumerate", "answer": "unavailable"}])
    over = pytest.raises(errors.TimedOut, match=r"HTTP 503.*the time limit of 5 s expired")
    with closing(WsmanClient(resolve(HV01, configuration), 1, WinrmPipe)) as cim, over:
        LicensingReader(cim).read(unpaused(5))


def test_a_script_that_is_refused_until_the_timeout_quotes_the_last_answer(estate, configuration):
    runspaces, script = Runspaces(resolve(HV01, configuration), WinrmPipe), load("server-avma-manager")
    with ExitStack() as stack:
        stack.callback(runspaces.close, PATIENCE)
        runspaces.run(Context("run a script", "hv01", Deadline(PATIENCE)), script, {})
        estate.faults("hv01", [{"operation": "Pipeline/Command", "answer": "unavailable"}])
        with pytest.raises(errors.TimedOut, match=r"HTTP 503.*the time limit of 5 s expired"):
            runspaces.run(Context("run a script", "hv01", unpaused(5)), script, {})


def test_tls_to_a_plain_port_that_is_silent_loses_no_answer(configuration):
    with socket.create_server(("127.0.0.1", 0)) as server:
        # The socket's own timeout ends the handshake. A connection to loopback takes less than a millisecond.
        given = replace(configuration, https=True, port=server.getsockname()[1], connect_timeout="200ms")
        unreachable = pytest.raises(errors.Unreachable)
        with closing(WsmanClient(resolve("127.0.0.1", given), 1, WinrmPipe)) as cim, unreachable as caught:
            cim.invoke(
                Context("call", cim.where, Deadline(PATIENCE)), CimMethod("root/cimv2", "X", "Go"), {"ID": "1"}, {}
            )
    assert type(caught.value) is errors.Unreachable


def test_an_endpoint_is_asked_for_its_certificate_once(configuration, monkeypatch):
    asked: list[tuple[str, int]] = []
    monkeypatch.setattr("avma.wsman.tls._look", lambda endpoint, _: asked.append(endpoint))
    with socket.create_server(("127.0.0.1", 0)) as server:
        ending = threading.Thread(target=hang_up, args=(server,), daemon=True)
        ending.start()
        given = replace(configuration, port=server.getsockname()[1])
        broken = pytest.raises(errors.Unreachable, match="broke before the provider sent a message")
        with closing(WsmanClient(resolve("127.0.0.1", given), 1, WinrmPipe)) as cim, broken:
            LicensingReader(cim).read(unpaused(20))
        server.shutdown(socket.SHUT_RDWR)
        ending.join()
    assert len(asked) == 1


def hang_up(server: socket.socket) -> None:
    while True:
        try:
            server.accept()[0].close()
        except OSError:
            return


def test_the_build_is_that_of_windows_and_not_that_of_its_licensing_service(tmp_path, configuration):
    file = tmp_path / "estate.yaml"
    account = f"    username: {ADMINISTRATOR}\n"
    file.write_text(ESTATE.replace(account, f"{account}    serviceVersion: 10.0.19041.8737\n", 1))
    with running(load_estate(file)), closing(WsmanClient(resolve(HV01, configuration), 1, WinrmPipe)) as cim:
        found = LicensingReader(cim).read(Deadline(20))
        licensing.refresh_license_status(cim, found.service_version, Deadline(20))
    assert (found.service_version, found.system.build) == ("10.0.19041.8737", 20348)
