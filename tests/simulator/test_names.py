"""Computer names: NetBIOS names are cut where Windows cuts them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from avma_simulator import EstateServer
from simulator.client import CIMV2, HYPERV, WMI, Client

LONG, CUT = "HYPERV-HOST-RACK12", "HYPERV-HOST-RAC"
ESTATE = f"""
hosts:
- name: {LONG.lower()}
  version: 2025
  edition: Datacenter
  username: LAB\\admin
  password: Pa55w.rd
  vms:
  - {{name: application server 01, version: 2022, edition: Standard, domain: LAB, username: local, password: x}}
clusters:
- {{name: cl01, nodes: [{LONG.lower()}]}}
"""


@pytest.fixture
def estate(serve: Callable[[str], EstateServer]) -> EstateServer:
    return serve(ESTATE)


@pytest.mark.parametrize(
    ("name", "resource", "expected"),
    [
        ("Win32_ComputerSystem.Name", f"{CIMV2}/*", CUT),
        ("Win32_ComputerSystem.DNSHostName", f"{CIMV2}/*", LONG),
        ("Win32_OperatingSystem.CSName", f"{CIMV2}/*", CUT),
        ("MSCluster_Node.Name", f"{WMI}/root/mscluster/*", CUT),
        ("MSCluster_NetworkInterface.Node", f"{WMI}/root/mscluster/*", CUT),
        ("Msvm_VirtualSystemManagementService.SystemName", f"{HYPERV}/*", CUT),
    ],
)
def test_names_of_a_host(estate: EstateServer, name: str, resource: str, expected: str) -> None:
    class_name, _, column = name.partition(".")
    with Client(estate.url(LONG), r"LAB\admin") as client:
        assert client.query(f"SELECT {column} FROM {class_name}", resource)[0][column] == [expected]


def test_data_exchange_reports_the_name_in_dns(estate: EstateServer) -> None:
    with Client(estate.url(LONG), r"LAB\admin") as client:
        rows = client.query("SELECT GuestIntrinsicExchangeItems FROM Msvm_KvpExchangeComponent", f"{HYPERV}/*")
    assert "APPLICATION-SERVER-01.lab<" in "".join(map(str, rows[0]["GuestIntrinsicExchangeItems"]))


@pytest.mark.parametrize("username", [f"{CUT}\\local", ".\\local", "local"])
def test_the_local_account_goes_by_the_netbios_name(serve: Callable[[str], EstateServer], username: str) -> None:
    machine = "version: 2025, edition: Datacenter, username: local, password: Pa55w.rd"
    estate = serve(f"hosts:\n- {{name: {LONG}, {machine}}}\n")
    with Client(estate.url(LONG), username) as client:
        assert client.query("SELECT Name FROM Win32_ComputerSystem")[0]["Name"] == [CUT]
