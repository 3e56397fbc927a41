"""Guests without a network, activated through their host by the real engine."""

import pytest

from avma.keys import KeyKind
from e2e.estate import ADMINISTRATOR, HOST_KEY, PASSWORD, estate, host_license, published, vm_activation
from loopback import address

ADDRESS = address(31)
NAMES = ("web01", "web02", "web03")


def without_a_network(name: str) -> dict:
    fixed = {"name": name, "version": "2022", "edition": "Standard", "network": False}
    return {**fixed, "username": ADMINISTRATOR, "password": PASSWORD}


@pytest.fixture
def server(serve):
    return serve(estate(*map(without_a_network, NAMES), address=ADDRESS))


def runs(server) -> int:
    counts = server.counts()["hv01"]
    assert counts["openShells"] == 0
    return counts["pipelines"]


def test_guests_without_a_network_share_script_runs(server, workspace):
    host = host_license(productKey="${productKey}")
    host["properties"]["host"] = ADDRESS
    program = {"hv01": host, **{name: vm_activation(name) for name in NAMES}}
    stack = workspace(program, {"productKey": HOST_KEY}, **{"avma:guest.transport": "powershellDirect"})
    stack.run("preview")
    assert runs(server) <= 3
    server.reset_counts()

    stack.run("up", "--yes", "--skip-preview")
    assert {server.machine(name)["status"] for name in NAMES} == {"Licensed"}
    assert runs(server) <= 6
    stack.run("preview", "--expect-no-changes")
    server.reset_counts()
    stack.run("refresh", "--yes", "--expect-no-changes")
    assert runs(server) <= 2

    server.install_key("web02", published(KeyKind.KMS_CLIENT, "2022", "Standard"))
    stack.run("refresh", "--yes", "--skip-preview")
    assert stack.preview_steps() == {"web02": "update"}
    stack.run("up", "--yes", "--skip-preview")
    assert server.machine("web02")["channel"] == "VIRTUAL_MACHINE_ACTIVATION"
    stack.run("destroy", "--yes")
    assert server.machine("web01")["status"] == "Licensed"


def test_wrong_credentials_of_a_guest_that_has_started_are_told_at_once(server, workspace):
    program = {"web01": {"type": "avma:VmActivation", "properties": {"host": ADDRESS, "vmName": "web01"}}}
    server.install_key("hv01", HOST_KEY)
    server.set_license("hv01", "Licensed")
    stack = workspace(program, **{"avma:guest.transport": "powershellDirect", "avma:guest.username": "Somebody"})
    failed = stack.run("up", "--yes", "--skip-preview", check=False)
    assert failed.returncode != 0
    text = " ".join(failed.stdout.split())
    assert "Windows (build 20348) has started" in text
    assert "Correct `guest.username` and `guest.password`" in text
