from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
from winrm.exceptions import WinRMOperationTimeoutError, WinRMTransportError, WSManFaultError

from avma_simulator import EstateServer
from avma_simulator.control import BadCommand
from simulator.client import SERVICE, Client
from simulator.conftest import MAK
from simulator.test_estate_file import HOST, mistakes

QUERY = "SELECT Version FROM SoftwareLicensingService"
ACTIVATE = "SoftwareLicensingProduct/Activate"


def fault(call: Callable[[], object]) -> WSManFaultError:
    with pytest.raises(WSManFaultError) as caught:
        call()
    return caught.value


def test_a_fault_of_the_file_happens_as_often_as_it_says(serve: Callable[[str], EstateServer]) -> None:
    rule = f"{{operation: {ACTIVATE}, hresult: 0xC004FD00, times: 2}}"
    estate = serve(
        f"keys:\n- {{key: {MAK}, channel: MAK, version: '2025', edition: Datacenter}}\n"
        "hosts:\n- {name: h, version: '2025', edition: Datacenter, username: Administrator, password: Pa55w.rd,\n"
        f"   license: {{key: {MAK}, status: OOBGrace}}, faults: [{rule}]}}\n"
    )
    with Client(estate.url("h")) as client:
        for left in (1, 0):
            assert fault(client.activate).wmierror_code == 0xC004FD00
            assert estate.present_faults("h") == [{"operation": ACTIVATE, "hresult": 0xC004FD00, "times": left}]
        client.activate()
    assert estate.machine("h")["status"] == "Licensed"


def test_a_fault_without_times_stays_until_it_is_replaced(estate: EstateServer) -> None:
    estate.faults("hv02", [{"operation": "enumerate", "hresult": 0x8004106C}])
    with Client(estate.url("hv02")) as client:
        for _ in range(3):
            assert fault(lambda: client.query(QUERY)).wmierror_code == 0x8004106C
        estate.faults("hv02", [{"operation": "enumerate", "hresult": 0x8004106C - (1 << 32)}])
        assert fault(lambda: client.query(QUERY)).wmierror_code == 0x8004106C
        estate.faults("hv02", [])
        assert client.query(QUERY)


@pytest.mark.parametrize(("after", "partial"), [(False, "YP6DF"), (True, MAK[-5:])])
def test_a_dropped_answer(estate: EstateServer, after: bool, partial: str) -> None:
    rule = {"operation": "SoftwareLicensingService/InstallProductKey", "answer": "drop", "times": 1, "after": after}
    estate.faults("hv02", [rule])
    with Client(estate.url("hv02")) as client, pytest.raises(requests.ConnectionError):
        client.install(MAK)
    assert estate.machine("hv02")["partialProductKey"] == partial


def test_answers_that_are_none(estate: EstateServer) -> None:
    with Client(estate.url("hv02")) as client:
        estate.faults("hv02", [{"operation": "Enumerate", "answer": "timeout"}])
        with pytest.raises(WinRMOperationTimeoutError):
            client.query(QUERY)
        estate.faults("hv02", [{"operation": "Enumerate", "answer": "accessDenied"}])
        assert fault(lambda: client.query(QUERY)).wsman_fault_code == 5
        estate.faults("hv02", [{"operation": "Enumerate", "answer": "quota"}])
        assert fault(lambda: client.query(QUERY)).wmierror_code == 0x803381A6
        estate.faults("hv02", [{"operation": "Enumerate", "answer": "garbage"}])
        with pytest.raises(SyntaxError):
            client.query(QUERY)
        estate.faults("hv02", [{"operation": "Enumerate", "answer": "unavailable"}])
        with pytest.raises(WinRMTransportError) as caught:
            client.query(QUERY)
        assert caught.value.code == 503


def test_a_timeout_can_come_after_the_operation(estate: EstateServer) -> None:
    rule = {"operation": "Invoke SoftwareLicensingService/InstallProductKey", "answer": "timeout", "after": True}
    estate.faults("hv02", [rule])
    with Client(estate.url("hv02")) as client:
        with pytest.raises(WinRMOperationTimeoutError):
            client.install(MAK)
        client.invoke(SERVICE, "RefreshLicenseStatus", {"Version": "10.0.26100.1"})
    assert estate.machine("hv02")["partialProductKey"] == MAK[-5:]


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        ({"operation": "Enumerate"}, "faults[0]: must contain either `hresult` or `answer`"),
        (
            {"operation": "Sing", "hresult": 1},
            "must be Enumerate, Pull, Get, Class/Method, Shell/Create or Pipeline/Command",
        ),
        (
            {"operation": "Get", "answer": "quota", "after": True},
            "faults[0]: `after` requires the answer drop, timeout, garbage, emptyBody or hang",
        ),
        ({"operation": "Get", "answer": "no"}, "must be 'drop', 'timeout', 'accessDenied', 'quota', 'unavailable'"),
    ],
)
def test_faults_that_make_no_sense(estate: EstateServer, tmp_path: Path, rule: dict[str, Any], text: str) -> None:
    with pytest.raises(BadCommand) as caught:
        estate.faults("hv02", [rule])
    assert text in str(caught.value)
    (found,) = mistakes(tmp_path, HOST + f"  faults: {json.dumps([rule])}\n")
    assert found.startswith("7: hosts[0].faults[0]")
    assert text.removeprefix("faults[0]: ") in found
    with requests.Session() as session:
        session.trust_env = False
        answer = session.post(f"{estate.control_url}/machines/hv02/faults", json={"faults": [rule]})
    assert answer.status_code == 400
    assert text in answer.json()["error"]
