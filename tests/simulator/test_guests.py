"""Linux guests, computer names, nested hosts, and replicas on a second host."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import requests
from defusedxml.ElementTree import fromstring

from avma_simulator import EstateServer
from avma_simulator.control import BadCommand
from avma_simulator.state.estate_state import UnknownMachine
from simulator.client import HYPERV, PASSWORD, Client
from simulator.conftest import RETAIL
from simulator.test_estate_file import HOST, mistakes
from simulator.test_licensing import AVMA_2025, refusal
from waiting import PATIENCE

MACHINE = f"version: 2025, edition: Datacenter, username: Administrator, password: {PASSWORD}"
ESTATE = f"""
keys:
- {{key: {RETAIL}, channel: Retail, version: 2025, edition: Datacenter, activations: 9}}
hosts:
- name: hv01
  license: {{key: {RETAIL}}}
  version: 2025
  edition: Datacenter
  computerName: RACK-07
  username: Administrator
  password: {PASSWORD}
  vms:
  - {{name: penguin, linux: {{}}}}
  - {{name: web, {MACHINE}, computerName: WIN-ABC123, replica: hv02, address: 127.0.0.1}}
  - {{name: nested, {MACHINE}, license: {{key: {RETAIL}}}, vms: [{{name: inner, {MACHINE}}}]}}
- {{name: hv02, license: {{key: {RETAIL}}}, {MACHINE}}}
"""


@pytest.fixture
def estate(serve: Callable[[str], EstateServer]) -> EstateServer:
    return serve(ESTATE)


def reported(estate: EstateServer, host: str, vm: str) -> dict[str | None, str | None]:
    query = "SELECT SystemName,GuestIntrinsicExchangeItems FROM Msvm_KvpExchangeComponent"
    with Client(estate.url(host)) as client:
        rows = {str(row["SystemName"][0]): row for row in client.query(query, f"{HYPERV}/*")}
    items = rows[estate.machine(vm)["id"]].get("GuestIntrinsicExchangeItems", [])
    instances = [fromstring(str(item)) for item in items]
    return {i.findtext("PROPERTY[@NAME='Name']/VALUE"): i.findtext("PROPERTY[@NAME='Data']/VALUE") for i in instances}


def systems(estate: EstateServer, host: str) -> dict[str, tuple[object, object]]:
    columns = "ElementName,EnabledState,ReplicationMode"
    with Client(estate.url(host)) as client:
        rows = client.query(f"SELECT {columns} FROM Msvm_ComputerSystem", f"{HYPERV}/*")
    return {str(row["ElementName"][0]): (row["EnabledState"][0], row["ReplicationMode"][0]) for row in rows}


def test_what_a_linux_guest_reports(estate: EstateServer) -> None:
    found = reported(estate, "hv01", "penguin")
    assert (found["OSName"], found["OSMajorVersion"], found["OSVersion"]) == ("Ubuntu", "24.04", "6.8.0")
    assert (found["OSBuildNumber"], found["ProcessorArchitecture"]) == ("6.8.0-31-generic", "x86_64")
    assert (found["FullyQualifiedDomainName"], found["IntegrationServicesVersion"]) == ("penguin", "3.1")
    assert found["NetworkAddressIPv4"] == "127.0.0.1"
    assert "OSPlatformId" not in found


def test_a_linux_guest_has_no_license(estate: EstateServer) -> None:
    found = estate.machine("penguin")
    assert (found["linux"], found["version"], found["edition"]) == ("Ubuntu 24.04", None, None)
    assert (found["status"], found["partialProductKey"]) == ("Unlicensed", None)
    for change in (lambda: estate.install_key("penguin", AVMA_2025), lambda: estate.set_license("penguin", "Licensed")):
        with pytest.raises(BadCommand, match="penguin runs Linux and has no license"):
            change()
    with pytest.raises(KeyError):
        estate.url("penguin")


def test_a_machine_may_have_another_name_than_its_vm(estate: EstateServer) -> None:
    assert reported(estate, "hv01", "web")["FullyQualifiedDomainName"] == "WIN-ABC123"
    with Client(estate.url("web"), r"WIN-ABC123\Administrator") as client:
        assert client.query("SELECT Name FROM Win32_ComputerSystem") == [{"Name": ["WIN-ABC123"]}]
    assert "RACK-07" in systems(estate, "hv01")


def test_a_nested_host_lists_its_vms_and_activates_none(estate: EstateServer) -> None:
    assert list(systems(estate, "hv01")) == ["RACK-07", "penguin", "web", "nested"]
    assert list(systems(estate, "nested")) == ["NESTED", "inner"]
    with Client(estate.url("inner")) as client:
        client.install(AVMA_2025)
        assert refusal(client.activate) == 0xC004FD02
    estate.power("hv01", "off")
    assert not estate.machine("inner")["running"]
    estate.power("hv01", "running")
    assert estate.machine("inner")["running"]


def test_a_replica_has_the_same_id_and_is_off_until_it_fails_over(estate: EstateServer) -> None:
    assert systems(estate, "hv01")["web"] == ("2", "1")
    assert systems(estate, "hv02")["web"] == ("3", "2")
    with Client(estate.url("web")) as client:
        client.install(AVMA_2025)
    assert estate.machine("web")["activatedByHost"] == "RACK-07"
    assert requests.post(f"{estate.control_url}/machines/web/fail-over", timeout=PATIENCE).ok
    assert systems(estate, "hv01")["web"] == ("3", "2")
    assert systems(estate, "hv02")["web"] == ("2", "1")
    found = estate.machine("web")
    assert (found["host"], found["activatedByHost"]) == ("hv02", "HV02")
    estate.fail_over("web")
    assert estate.machine("web")["host"] == "hv01"
    with pytest.raises(UnknownMachine, match="inner has no replica"):
        estate.fail_over("inner")


@pytest.mark.parametrize(
    ("vm", "expected"),
    [
        ("{name: a, linux: {}, version: 2025}", "8: hosts[0].vms[0]: a Linux guest cannot have `version`"),
        ("{name: a, linux: {}, username: x, password: y}", "8: hosts[0].vms[0]: a Linux guest cannot have `username`"),
        (
            "{name: a, version: 2025, edition: Standard, replica: hv01}",
            "8: hosts[0].vms[0].replica: is not the name of another host",
        ),
        (
            "{name: a, version: 2025, edition: Standard, computerName: a b}",
            "8: hosts[0].vms[0].computerName: must be a computer name: at most 63 letters, digits, underscores "
            "and inner hyphens",
        ),
        (
            "{name: a, version: 2025, edition: Standard, vms: [{name: b, version: 2025, edition: Essentials}]}",
            "8: hosts[0].vms[0].vms[0].edition: is not available: Windows Server 2025 has no edition Essentials",
        ),
    ],
)
def test_mistakes(tmp_path: Path, vm: str, expected: str) -> None:
    assert mistakes(tmp_path, f"{HOST}  vms:\n  - {vm}\n") == [expected]
