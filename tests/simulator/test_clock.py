from __future__ import annotations

import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pytest
import requests
from winrm.exceptions import WinRMOperationTimeoutError

from avma_simulator import EstateServer
from avma_simulator.control import BadCommand
from simulator.client import HYPERV, Client
from simulator.shell import encoded
from waiting import PATIENCE, advance_until

AVMA_2025 = "YQB4H-NKHHJ-Q6K4R-4VMY6-VCH67"
GUEST = "username: Administrator, password: Pa55w.rd, version: '2025', edition: Datacenter"
ESTATE = f"""
hosts:
- {{name: hv01, version: "2025", edition: Datacenter, username: Administrator, password: Pa55w.rd,
   delays: {{powershell: 30}},
   vms: [{{name: web01, {GUEST}, delays: {{activation: 3600}}}},
         {{name: web02, {GUEST}, delays: {{activation: 30}}}}]}}
"""
DAY = 24 * 3600.0
BOOTED = "SELECT LastBootUpTime,LocalDateTime FROM Win32_OperatingSystem"


@pytest.fixture
def estate(serve: Callable[[str], EstateServer]) -> EstateServer:
    estate = serve(ESTATE)
    estate.set_license("hv01", "Licensed")
    return estate


def moment(row: dict[str, list[str]], name: str) -> datetime:
    return datetime.fromisoformat(row[name][0])


def test_times_move_and_the_start_of_windows_stays(estate: EstateServer) -> None:
    with Client(estate.url("hv01")) as client:
        (before,) = client.query(BOOTED)
    estate.advance_clock(DAY)
    with Client(estate.url("hv01")) as client:
        (after,) = client.query(BOOTED)
    assert after["LastBootUpTime"] == before["LastBootUpTime"]
    assert moment(after, "LocalDateTime") - moment(before, "LocalDateTime") >= timedelta(days=1)


def test_the_time_that_a_vm_has_been_on_grows(estate: EstateServer) -> None:
    def on_for() -> list[int]:
        with Client(estate.url("hv01")) as client:
            rows = client.query("SELECT Name,OnTimeInMilliseconds FROM Msvm_ComputerSystem", f"{HYPERV}/*")
        return [int(row["OnTimeInMilliseconds"][0]) for row in rows if row["OnTimeInMilliseconds"][0]]

    before = max(on_for())
    estate.advance_clock(DAY)
    assert max(on_for()) >= before + DAY * 1000


def test_an_event_has_the_time_of_the_estate(estate: EstateServer) -> None:
    def written() -> datetime:
        with Client(estate.url("hv01")) as client:
            rows = client.query("SELECT TimeGenerated FROM Win32_NTLogEvent WHERE EventCode = 12310")
        return moment(rows[0], "TimeGenerated")

    estate.install_key("web02", AVMA_2025)
    estate.advance_clock(30)
    assert estate.machine("web02")["status"] == "Licensed"
    before = written()
    estate.advance_clock(DAY)
    estate.reboot("web02")
    estate.advance_clock(30)
    assert estate.machine("web02")["status"] == "Licensed"
    assert written() - before >= timedelta(days=1)


def test_a_guest_activates_itself_when_its_delay_is_over(estate: EstateServer) -> None:
    estate.install_key("web01", AVMA_2025)
    estate.advance_clock(1800)
    assert estate.machine("web01")["status"] == "OOBGrace"
    estate.advance_clock(1800)
    assert estate.machine("web01")["status"] == "Licensed"


def test_a_running_activation_ends(estate: EstateServer) -> None:
    estate.install_key("web02", AVMA_2025)
    estate.advance_clock(30)
    estate.set_license("web02", "Notification")
    with ThreadPoolExecutor() as pool, Client(estate.url("web02")) as client:
        activation = pool.submit(client.activate, timeout="PT60S")
        advance_until(estate, 31, activation.done)
        activation.result()
    assert estate.machine("web02")["status"] == "Licensed"


def test_the_timeout_of_an_operation_ends(estate: EstateServer) -> None:
    estate.install_key("web01", AVMA_2025)
    estate.advance_clock(DAY)
    with ThreadPoolExecutor() as pool, Client(estate.url("web01")) as client:
        activation = pool.submit(client.activate, timeout="PT60S")
        advance_until(estate, 61, activation.done)
        with pytest.raises(WinRMOperationTimeoutError):
            activation.result()


def test_an_idle_connection_ends(estate: EstateServer) -> None:
    with socket.create_connection(estate.address("hv01"), PATIENCE) as connection:
        connection.sendall(b"POST /wsman HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n")
        received = connection.recv(65536)
        assert received.startswith(b"HTTP/1.1 401 ")
        estate.advance_clock(120)
        while received:
            received = connection.recv(65536)


def test_a_program_that_sleeps_ends(estate: EstateServer) -> None:
    with ThreadPoolExecutor() as pool, Client(estate.url("hv01")) as client:
        shell = client.protocol.open_shell()
        command = client.protocol.run_command(shell, "powershell.exe", encoded("Start-Sleep 600; hostname"))
        output = pool.submit(client.protocol.get_command_output, shell, command)
        advance_until(estate, 60, output.done)
        assert output.result()[0].strip() == b"HV01"


def test_the_control_endpoint_advances_the_clock(estate: EstateServer) -> None:
    with requests.Session() as session:
        session.trust_env = False
        url = f"{estate.control_url}/clock"
        before = datetime.fromisoformat(session.get(url).json()["now"])
        after = datetime.fromisoformat(session.post(url, json={"advance": 3600}).json()["now"])
        assert after - before >= timedelta(hours=1)
        wrong = [session.post(url, json={"advance": value}).json() for value in (-1, 1e9, "60")]
    outside = {"error": "advance must be between 0 and 31622400 seconds"}
    assert wrong == [outside, outside, {"error": "`advance` must be a number"}]
    with pytest.raises(BadCommand, match="advance must be between"):
        estate.advance_clock(float("nan"))
