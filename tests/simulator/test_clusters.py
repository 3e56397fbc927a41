from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import requests
from winrm.exceptions import InvalidCredentialsError, WSManFaultError

from avma_simulator import EstateServer
from avma_simulator.control import BadCommand
from avma_simulator.state.estate_state import UnknownMachine
from simulator.client import WMI, Client
from simulator.conftest import RETAIL
from simulator.test_estate_file import HOST, mistakes

CLUSTER = f"{WMI}/root/mscluster"
AVMA = "YQB4H-NKHHJ-Q6K4R-4VMY6-VCH67"
NODE = (
    "- {{name: {0}, version: '{1}', edition: Datacenter, username: Administrator, password: {2},\n"
    "   license: {{key: {3}}}, vms: [{4}]}}\n"
)
GUEST = (
    "{name: web, version: '2025', edition: Datacenter, username: Administrator, password: Pa55w.rd,"
    f" license: {{key: {AVMA}}}}}"
)
ESTATE = (
    f"keys:\n- {{key: {RETAIL}, channel: Retail, version: '2025', edition: Datacenter}}\nhosts:\n"
    + NODE.format("hv01", "2025", "Pa55w.rd", RETAIL, GUEST)
    + NODE.format("hv02", "2025", "second", RETAIL, "")
    + NODE.format("hv03", "2022", "Pa55w.rd", "WX4NM-KYWYW-QJJR4-XV3QB-6VM33", "")
    + "clusters:\n- {name: cl01, nodes: [hv01, hv02], http: {}, https: {}}\n"
)


@pytest.fixture
def estate(serve: Callable[[str], EstateServer]) -> EstateServer:
    return serve(ESTATE)


def nodes(client: Client) -> dict[str, str]:
    rows = client.query("SELECT Name,State FROM MSCluster_Node", f"{CLUSTER}/*")
    return {str(row["Name"][0]): str(row["State"][0]) for row in rows}


def test_each_node_knows_the_cluster(estate: EstateServer) -> None:
    for name, password in (("hv01", "Pa55w.rd"), ("hv02", "second")):
        with Client(estate.url(name), password=password) as client:
            assert client.query("SELECT Name FROM MSCluster_Cluster", f"{CLUSTER}/*") == [{"Name": ["cl01"]}]
            assert nodes(client) == {"HV01": "0", "HV02": "0"}
    with Client(estate.url("hv03")) as client, pytest.raises(WSManFaultError) as caught:
        nodes(client)
    assert caught.value.wmierror_code == 2150858778


def test_the_clusters_name_answers_as_the_first_node_that_is_up(estate: EstateServer) -> None:
    with Client(estate.url("cl01", "https"), ca=estate.ca_certificate) as client:
        assert client.query("SELECT CSName FROM Win32_OperatingSystem") == [{"CSName": ["HV01"]}]
    estate.power("hv01", "off")
    assert estate.clusters()[0]["owner"] == "hv02"
    with Client(estate.url("cl01")) as client, pytest.raises(InvalidCredentialsError):
        client.installed()
    with Client(estate.url("cl01"), password="second") as client:
        assert client.query("SELECT CSName FROM Win32_OperatingSystem") == [{"CSName": ["HV02"]}]
        assert nodes(client) == {"HV01": "1", "HV02": "0"}
    estate.power("hv02", "off")
    with Client(estate.url("cl01")) as client, pytest.raises(requests.ConnectionError):
        client.installed()
    estate.power("hv02", "running")
    assert estate.clusters() == [
        {
            "name": "cl01",
            "urls": [estate.url("cl01"), estate.url("cl01", "https")],
            "owner": "hv02",
            "nodes": [{"name": "hv01", "state": "Down"}, {"name": "hv02", "state": "Up"}],
        }
    ]


def test_a_connection_does_not_outlive_the_owner(estate: EstateServer) -> None:
    with Client(estate.url("cl01")) as client:
        client.installed()
        estate.power("hv01", "off")
        with pytest.raises((requests.ConnectionError, InvalidCredentialsError)):
            client.installed()


def test_vms_go_off_and_come_back_with_their_host(estate: EstateServer) -> None:
    estate.power("hv01", "off")
    assert estate.machine("web")["running"] is False
    with Client(estate.url("web")) as client, pytest.raises(requests.ConnectionError):
        client.installed()
    estate.power("hv01", "running")
    assert estate.machine("web")["running"] is True
    with Client(estate.url("web")) as client:
        client.installed()
    estate.power("web", "off")
    estate.power("hv01", "off")
    with pytest.raises(BadCommand, match="hv01 is off, so no VM can run there"):
        estate.power("web", "running")
    estate.power("hv01", "running")
    assert estate.machine("web")["running"] is False


def test_nodes_come_and_go(estate: EstateServer) -> None:
    estate.change_nodes("cl01", "add", "hv03")
    estate.change_nodes("cl01", "remove", "hv01")
    estate.change_nodes("cl01", "pause", "hv02")
    with Client(estate.url("hv03")) as client:
        assert nodes(client) == {"HV02": "2", "HV03": "0"}
        estate.change_nodes("cl01", "join", "hv02")
        assert nodes(client) == {"HV02": "3", "HV03": "0"}
        estate.change_nodes("cl01", "resume", "hv02")
        assert nodes(client) == {"HV02": "0", "HV03": "0"}


def test_nodes_over_the_control_endpoint(estate: EstateServer) -> None:
    with requests.Session() as session:
        session.trust_env = False
        url = f"{estate.control_url}/clusters"
        assert session.post(f"{url}/CL01/nodes", json={"add": "hv03"}).json() == {}
        assert session.get(url).json() == estate.clusters()
        assert session.post(f"{url}/cl01/nodes", json={}).status_code == 400
        assert session.post(f"{url}/cl01/nodes", json={"explode": "hv01"}).json() == {
            "error": "the body must contain exactly one of add, remove, pause, join, resume"
        }
    with pytest.raises(BadCommand, match="hv03 is already a node of a cluster"):
        estate.change_nodes("cl01", "add", "hv03")
    estate.change_nodes("cl01", "remove", "hv03")
    with pytest.raises(BadCommand, match="hv03 is not a node of cl01"):
        estate.change_nodes("cl01", "remove", "hv03")
    with pytest.raises(UnknownMachine, match="no cluster has the name cl02"):
        estate.change_nodes("cl02", "add", "hv03")


def test_a_guest_that_moves_is_bound_to_its_new_host(estate: EstateServer) -> None:
    with Client(estate.url("web")) as client:
        assert client.installed()["AutomaticVMActivationHostMachineName"] == ["HV01"]
        estate.move("web", "hv02")
        assert client.installed()["AutomaticVMActivationHostMachineName"] == ["HV02"]
        assert client.installed()["LicenseStatus"] == ["1"]
        estate.move("web", "hv03")
        row = client.installed()
        assert (row["LicenseStatus"], row["LicenseStatusReason"]) == (["5"], [str(0xC004FD04)])
        estate.move("web", "hv01")
        assert client.installed()["LicenseStatus"] == ["1"]


def test_a_guest_that_moves_from_a_dead_host_starts_anew(estate: EstateServer) -> None:
    estate.power("hv02", "off")
    with pytest.raises(BadCommand, match="hv02 is off, so a running VM cannot move there"):
        estate.move("web", "hv02")
    estate.power("hv02", "running")
    estate.power("hv01", "off")
    estate.move("web", "hv02")
    with Client(estate.url("web")) as client:
        assert client.installed()["AutomaticVMActivationHostMachineName"] == ["HV02"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("- {name: hv01, nodes: [hv01]}", "clusters[0].name: is the name of a host or of another cluster"),
        ("- {name: c, nodes: []}", "clusters[0].nodes: must not be empty"),
        ("- {name: c, nodes: [hv09]}", "clusters[0].nodes[0]: is not the name of a host"),
        (
            "- {name: c, nodes: [hv01, HV01]}",
            "clusters[0].nodes[1]: is already a node of a cluster (see clusters[0].nodes[0])",
        ),
    ],
)
def test_clusters_that_cannot_be(tmp_path: Path, text: str, expected: str) -> None:
    (found,) = mistakes(tmp_path, HOST + "clusters:\n" + text + "\n")
    assert found.startswith(f"8: {expected}")
