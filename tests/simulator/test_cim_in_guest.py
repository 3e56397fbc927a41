from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from pypsrp.powershell import PowerShell, RunspacePool

from avma_simulator import EstateServer
from avma_simulator.shells import cim_in_guest
from avma_simulator.state.estate_state import EstateState
from avma_simulator.state.groups import Groups
from avma_simulator.state.machine import Machine
from simulator.client import PASSWORD
from simulator.psrp import connected
from simulator.remoting import guest, in_guests, run
from simulator.test_estate_file import HOST, mistakes
from waiting import wait_until

DIRECT = "System.Management.Automation.Remoting.PSDirectException"
AVMA_2022 = "YDFWN-MJ9JR-3DYRK-FXXRW-78VHK"
INSTALLED = {
    "query": "SELECT ID, LicenseStatus, LicenseIsAddon, PartialProductKey, ProcessorURL, TrustedTime"
    " FROM SoftwareLicensingProduct WHERE PartialProductKey IS NOT NULL",
    "namespace": "root\\cimv2",
}
GUEST = "username: Admin, password: Pa55w.rd, edition: Standard"
ESTATE = f"""
hosts:
- name: hv01
  version: "2025"
  edition: Datacenter
  username: Administrator
  password: Pa55w.rd
  vms:
  - {{name: web, version: "2022", {GUEST}, network: false}}
  - {{name: slow, version: "2022", {GUEST}, http: null, https: null, delays: {{powershell: 5}}}}
  - {{name: old, version: "2012 R2", {GUEST}}}
  - {{name: asleep, version: "2022", {GUEST}, state: "off"}}
  - {{name: nobody, version: "2022", edition: Standard}}
- {{name: hv02, version: "2012 R2", edition: Datacenter, username: Administrator, password: Pa55w.rd,
   vms: [{{name: elsewhere, version: "2012 R2", {GUEST}}}]}}
"""


@pytest.fixture
def estate(serve: Callable[[str], EstateServer]) -> EstateServer:
    estate = serve(ESTATE)
    estate.set_license("hv01", "Licensed")
    return estate


def ask(estate: EstateServer, guests: list[dict[str, Any]], throttle: int = 8, host: str = "hv01") -> list[Any]:
    return in_guests(estate, host, guests, throttle)


def vm(
    estate: EstateServer,
    name: str,
    *operations: dict[str, Any],
    username: str = "Admin",
    password: str = PASSWORD,
    **fields: Any,
) -> dict[str, Any]:
    asked = operations or (INSTALLED,)
    return guest(estate.machine(name)["id"], *asked, account=(username, password), **fields)


def install(key: str) -> dict[str, Any]:
    return {
        "method": "InstallProductKey",
        "class": "SoftwareLicensingService",
        "namespace": "root/cimv2",
        "keys": {"Version": "10.0.20348.1"},
        "arguments": {"ProductKey": key},
    }


def test_a_query_in_a_guest_without_a_network(estate: EstateServer) -> None:
    with pytest.raises(KeyError):
        estate.url("web")
    (answer,) = ask(estate, [vm(estate, "web")])
    assert answer["id"] == estate.machine("web")["id"]
    ((row,),) = (result["rows"] for result in answer["results"])
    assert {name: value for name, value in row.items() if name != "ID"} == {
        "LicenseStatus": 2,
        "LicenseIsAddon": False,
        "PartialProductKey": "VMK7H",
        "ProcessorURL": None,
        "TrustedTime": "16010101000000.000000+000",
    }


def test_methods_in_a_guest(estate: EstateServer) -> None:
    (answer,) = ask(estate, [vm(estate, "web", install(AVMA_2022), INSTALLED)])
    assert answer["results"][0] == {"returnValue": 0}
    assert answer["results"][1]["rows"][0]["LicenseStatus"] == 1
    assert estate.machine("web")["activatedByHost"] == "HV01"
    assert estate.counts()["web"]["operations"]["Invoke SoftwareLicensingService/InstallProductKey"] == 1


def test_what_follows_a_failed_operation_is_not_run(estate: EstateServer) -> None:
    (answer,) = ask(estate, [vm(estate, "web", INSTALLED, install("junk"), INSTALLED)])
    assert len(answer["results"]) == 2
    assert answer["results"][1] == {
        "error": {
            "hresult": 0xC004F050 - (1 << 32),
            "errorId": "HRESULT 0xc004f050,Microsoft.Management.Infrastructure.CimCmdlets.InvokeCimMethodCommand",
            "message": "the product key is invalid",
        }
    }


@pytest.mark.parametrize(
    ("operation", "number"),
    [
        ({"query": "SELECT"}, 0x80041017),
        ({"query": "SELECT Nothing FROM SoftwareLicensingService"}, 0x80041017),
        ({"query": "SELECT * FROM Nothing"}, 0x80041010),
        ({"query": "SELECT * FROM Win32_OperatingSystem", "namespace": "root/nowhere"}, 0x80041010),
        ({"class": "Nothing", "method": "Sing", "keys": {}}, 0x80041010),
        ({"class": "SoftwareLicensingService", "method": "Sing", "keys": {}}, 0x8004102E),
        ({"class": "SoftwareLicensingService", "method": "RefreshLicenseStatus", "keys": {"Version": "1"}}, 0x80041002),
    ],
)
def test_operations_that_cim_refuses(estate: EstateServer, operation: dict[str, Any], number: int) -> None:
    (answer,) = ask(estate, [vm(estate, "web", operation)])
    assert answer["results"][0]["error"]["hresult"] == number - (1 << 32)


def test_guests_that_are_not_reached(estate: EstateServer) -> None:
    unknown = str(uuid.uuid4())
    asked = [
        vm(estate, "web", password="wrong"),
        vm(estate, "nobody"),
        vm(estate, "old"),
        vm(estate, "asleep"),
        vm(estate, "elsewhere"),
        vm(estate, "web", id=unknown),
        vm(estate, "web", username="WEB\\admin"),
    ]
    answers = ask(estate, asked, throttle=1)
    found = [answer.get("error", {}).get("errorId", "").partition(",")[0] for answer in answers]
    assert found == [
        "PSSessionStateBroken",
        "PSSessionStateBroken",
        "2100",
        "InvalidVMState",
        "InvalidParameter",
        "InvalidParameter",
        "",
    ]
    assert answers[0]["error"] == answers[1]["error"]
    assert answers[0]["error"]["message"].endswith("might have ended. The credential is invalid.")
    assert answers[0]["error"]["exceptions"][1] == DIRECT
    assert DIRECT not in answers[2]["error"]["exceptions"]
    assert answers[4]["error"]["errorId"] == "InvalidParameter,Microsoft.HyperV.PowerShell.Commands.GetVM"
    (old,) = ask(estate, [vm(estate, "elsewhere")], host="hv02")
    assert old["error"]["errorId"].startswith("NamedParameterNotFound,")


def test_guests_are_asked_together_as_far_as_the_throttle_lets_them(
    estate: EstateServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    together: list[int] = []

    async def counted(
        state: EstateState, host: Machine, given: dict[str, Any], run_as: Groups | None, left: float
    ) -> dict[str, Any]:
        asked.append(given["id"])
        together.append(len(asked))
        try:
            return await in_guest(state, host, given, run_as, left)
        finally:
            asked.remove(given["id"])

    in_guest = cim_in_guest._in_guest
    monkeypatch.setattr(cim_in_guest, "_in_guest", counted)
    slow = vm(estate, "slow")
    with ThreadPoolExecutor() as pool:
        answers = pool.submit(ask, estate, [slow, slow, vm(estate, "web")])
        wait_until(lambda: len(together) == 3 and len(asked) == 2)  # web has answered
        estate.advance_clock(5)
        assert answers.result()[0]["id"] == estate.machine("web")["id"]
        assert together == [1, 2, 3]
        together.clear()
        answers = pool.submit(ask, estate, [slow, slow], throttle=1)
        wait_until(lambda: len(together) == 1)
        estate.advance_clock(5)
        wait_until(lambda: len(together) == 2)
        estate.advance_clock(5)
        assert len(answers.result()) == 2
        assert together == [1, 1]


def test_a_guest_whose_operation_has_ended_is_not_asked_any_more(estate: EstateServer) -> None:
    web = vm(estate, "web", install(AVMA_2022), seconds=4.0)
    with ThreadPoolExecutor() as pool:
        answers = pool.submit(ask, estate, [vm(estate, "slow"), web], throttle=1)
        wait_until(lambda: estate.module_log("hv01"))  # the session of the first guest begins
        estate.advance_clock(5)
    late = {answer["id"]: answer["error"]["errorId"] for answer in answers.result() if "error" in answer}
    assert late == {estate.machine("web")["id"]: "AvmaNotAsked"}
    assert not [operation for operation in estate.counts()["web"]["operations"] if operation.startswith("Invoke")]


@pytest.mark.parametrize(("seconds", "begins"), [(4.0, False), (6.0, True)])
def test_a_change_begins_only_if_its_session_has_started_in_time(
    estate: EstateServer, seconds: float, begins: bool
) -> None:
    asked = vm(estate, "slow", INSTALLED, install(AVMA_2022), INSTALLED, seconds=seconds)
    with ThreadPoolExecutor() as pool:
        answers = pool.submit(ask, estate, [asked])
        wait_until(lambda: [record for record in estate.module_log("hv01") if record["command"] == "Invoke-Command"])
        estate.advance_clock(5)
    read, *others = answers.result()[0]["results"]
    assert read["rows"]
    found = [result.get("error", {}).get("errorId") for result in others]
    assert found == ([None, None] if begins else ["AvmaNotAsked"])
    assert estate.counts()["slow"]["operations"].get("Invoke SoftwareLicensingService/InstallProductKey", 0) == begins


def test_troubles_of_a_guest(estate: EstateServer) -> None:
    method = "SoftwareLicensingService/InstallProductKey"
    asked = [vm(estate, "web", install(AVMA_2022))]
    estate.faults("web", [{"operation": method, "hresult": 0xC004FD00, "times": 1}])
    assert ask(estate, asked)[0]["results"][0]["error"]["hresult"] == 0xC004FD00 - (1 << 32)
    estate.faults("web", [{"operation": method, "answer": "drop", "times": 1}])
    assert ask(estate, asked)[0]["error"]["errorId"] == "2100,PSSessionStateBroken"
    assert estate.machine("web")["status"] == "OOBGrace"
    estate.faults("web", [{"operation": method, "answer": "drop", "times": 1, "after": True}])
    assert ask(estate, asked)[0]["error"]["errorId"] == "2100,PSSessionStateBroken"
    assert estate.machine("web")["status"] == "Licensed"
    estate.faults("web", [{"operation": "Enumerate", "answer": "accessDenied"}])
    assert ask(estate, [vm(estate, "web")])[0]["results"][0]["error"]["hresult"] == 0x80070005 - (1 << 32)


@pytest.mark.parametrize("given", [{}, {"Guests": 1}, {"Guests": [], "ThrottleLimit": 0}])
def test_parameters_that_are_not_the_scripts(estate: EstateServer, given: dict[str, Any]) -> None:
    assert run(estate, "hv01", "cim-in-guest 4", **given) == ([], ["RuntimeException"])


def test_without_guests_it_reports_what_the_host_has(estate: EstateServer) -> None:
    def facts(host: str) -> dict[str, Any]:
        (text,), _ = run(estate, host, "cim-in-guest 4", Guests=[], ThrottleLimit=1, Timeout=1.0)
        return dict(json.loads(text)["host"])

    assert facts("hv01") == {
        "hyperV": "Hyper-V",
        "direct": True,
        "languageMode": "FullLanguage",
        "version": "5.1",
    }
    assert facts("hv02")["direct"] is False


def test_a_guest_that_does_not_answer_and_one_whose_turn_does_not_come(estate: EstateServer) -> None:
    estate.faults("web", [{"operation": "PowerShellDirect/Connect", "answer": "timeout"}])
    asked = [vm(estate, "web"), vm(estate, "slow")]
    output, _ = run(estate, "hv01", "cim-in-guest 4", Guests=asked, ThrottleLimit=1, Timeout=0.2)
    ids = {answer["id"]: answer["error"]["errorId"] for answer in map(json.loads, output) if "id" in answer}
    assert ids == {estate.machine("web")["id"]: "AvmaNoAnswer", estate.machine("slow")["id"]: "AvmaNotAsked"}


def test_the_script_reports_which_guest_it_connects_to(estate: EstateServer) -> None:
    asked = [vm(estate, "web"), vm(estate, "nobody")]
    output, _ = run(estate, "hv01", "cim-in-guest 4", Guests=asked, ThrottleLimit=2, Timeout=20.0)
    ids = [estate.machine(name)["id"] for name in ("web", "nobody")]
    starting = [answer["starting"] for answer in map(json.loads, output) if "starting" in answer]
    assert starting == [ids[0], None, ids[1], None]


def test_a_guest_that_takes_no_credentials_blocks_the_script(estate: EstateServer) -> None:
    estate.faults("web", [{"operation": "PowerShellDirect/Credentials", "answer": "timeout"}])
    asked = [vm(estate, "nobody"), vm(estate, "web"), vm(estate, "old")]
    parameters = {"Guests": asked, "ThrottleLimit": 8, "Timeout": 0.2}
    with connected(estate, "hv01") as client, RunspacePool(client) as pool:
        pool.exchange_keys()
        shell = PowerShell(pool).add_script("# avma-script: cim-in-guest 4\n").add_parameters(parameters)
        shell.begin_invoke()
        while f'{{"starting": "{asked[1]["id"]}"}}' not in shell.output:
            shell.poll_invoke()
        shell.stop()
        written = [json.loads(text) for text in shell.output]
        shell.close()
    assert written[-1] == {"starting": asked[1]["id"]}


@pytest.mark.parametrize(
    ("answer", "error_id", "text"),
    [
        ("garbage", "PSSessionStateBroken", "an invalid Credential response."),
        ("accessDenied", "PSSessionStateBroken", "Negotiating a secure connection to Hyper-V failed."),
        ("drop", "2100,PSSessionStateBroken", "The Hyper-V socket target process has ended."),
    ],
)
def test_a_session_that_goes_wrong_on_demand(estate: EstateServer, answer: str, error_id: str, text: str) -> None:
    estate.faults("web", [{"operation": "PowerShellDirect/Connect", "answer": answer}])
    error = ask(estate, [vm(estate, "web")])[0]["error"]
    assert error["errorId"] == error_id
    assert text in error["message"]


def test_more_output_than_an_envelope_holds(estate: EstateServer) -> None:
    asked = [guest(str(uuid.uuid4()), account=("", "")) for _ in range(1000)]
    answers = ask(estate, asked)
    assert {answer["id"] for answer in answers} == {one["id"] for one in asked}


def test_a_vm_without_a_network_has_no_listener(tmp_path: Path) -> None:
    text = f"{HOST}  vms:\n  - {{name: a, version: 2022, {GUEST}, network: false, http: {{}}}}\n"
    assert mistakes(tmp_path, text) == ["8: hosts[0].vms[0].network: must be true for a VM with listeners"]
