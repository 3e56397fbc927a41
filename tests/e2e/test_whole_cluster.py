"""ClusterActivation with the real engine: four nodes and forty guests of all releases in one resource."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from avma_simulator import EstateServer, load_estate, running
from e2e.estate import ADMINISTRATOR, HOST_KEY, PASSWORD, SPARE_KEY, machine
from loopback import address
from workspace import Workspace

CLUSTER = address(60)
NODES = {f"n{number}": address(60 + number) for number in range(1, 5)}
ACCOUNT = {"username": ADMINISTRATOR, "password": PASSWORD}
WITH_DIRECT = [
    *((version, edition) for version in ("2016", "2019", "2022", "2025") for edition in ("Standard", "Datacenter")),
    *((version, "Essentials") for version in ("2016", "2019")),
]
"""The releases and editions that PowerShell Direct reaches."""
OLD = [("2012 R2", edition) for edition in ("Standard", "Datacenter", "Essentials")]
MAK = SPARE_KEY


def windows(name: str, version: str, edition: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "version": version, "edition": edition, "network": False, **ACCOUNT, **more}


def forty() -> list[dict[str, Any]]:
    """Return forty VMs: all releases and editions, two Linux, an evaluation, two stopped ones, and one with a MAK."""
    named = [windows(f"w{number:02}", *WITH_DIRECT[number % len(WITH_DIRECT)]) for number in range(31)]
    old = [
        windows(f"old{number}", *each, network=True, address=address(70 + number), http={"port": 5985})
        for number, each in enumerate(OLD)
    ]
    return [
        *named,
        *old,
        {"name": "penguin1", "linux": {"name": "Ubuntu", "version": "24.04"}},
        {"name": "penguin2", "linux": {"name": "Debian", "version": "13"}},
        windows("eval", "2022", "Standard", evaluation=True),
        windows("off1", "2022", "Standard", state="off"),
        windows("off2", "2025", "Datacenter", state="saved"),
        windows("mak", "2025", "Standard", license={"key": MAK, "status": "Licensed"}),
    ]


def cluster_of(vms: list[dict[str, Any]]) -> dict[str, Any]:
    """Return an estate with these VMs on four licensed nodes."""
    nodes = [
        machine(name, "2025", "Datacenter", place, license={"key": HOST_KEY}, vms=vms[number::4])
        for number, (name, place) in enumerate(NODES.items())
    ]
    product_keys = [
        {"key": HOST_KEY, "channel": "MAK", "version": "2025", "edition": "Datacenter", "activations": 4},
        {"key": MAK, "channel": "MAK", "version": "2025", "edition": "Standard", "activations": 1},
    ]
    named = {"name": "cl01", "nodes": list(NODES), "address": CLUSTER, "http": {"port": 5985}}
    return {"keys": product_keys, "hosts": nodes, "clusters": [named]}


def whole_cluster(**properties: Any) -> dict[str, Any]:
    """Return a ClusterActivation. The guests without PowerShell Direct are reached over the network."""
    guests = {f"old{number}": {"transport": "winrm", "https": False} for number in range(len(OLD))}
    return {"type": "avma:ClusterActivation", "properties": {"cluster": CLUSTER, "guests": guests, **properties}}


DIRECT = {"avma:guest.transport": "powershellDirect"}


def stored_guests(stack: Workspace) -> dict[str, dict[str, Any]]:
    resources = stack.export()["deployment"]["resources"]
    (state,) = [each["outputs"] for each in resources if each["type"] == "avma:index:ClusterActivation"]
    return {guest["vmName"]: guest for guest in state["guestActivations"]}


def show(server: EstateServer, what: str) -> None:
    """Print the requests and script runs of each node, and forget them."""
    for name in NODES:
        counts = server.counts()[name]
        print(
            f"{what}: {name}: {counts['requests']} requests, {counts['pipelines']} pipelines, {counts['pools']} pools"
        )
    server.reset_counts()


def changed(server: EstateServer) -> set[str]:
    counts = server.counts().items()
    return {name for name, each in counts if any(operation.startswith("Invoke") for operation in each["operations"])}


def test_a_whole_cluster_in_one_resource(
    serve: Callable[..., EstateServer], workspace: Callable[..., Workspace]
) -> None:
    server = serve(cluster_of(forty()))
    stack = workspace({"guests": whole_cluster()}, **DIRECT)
    previewed = stack.run("preview").stdout
    assert "w00: `pulumi up` will activate it (Windows Server 2016 Standard, on n1)" in previewed
    assert "penguin1: stays as it is: the guest penguin1 runs Ubuntu" in previewed
    assert not changed(server)
    show(server, "preview")

    stack.run("up", "--yes", "--skip-preview")
    guests = stored_guests(stack)
    assert len(guests) == 40
    states = {name: guest["state"] for name, guest in guests.items()}
    others = {name: state for name, state in states.items() if state != "activated"}
    assert others == {
        "eval": "notApplicable",
        "mak": "notApplicable",
        "off1": "stopped",
        "off2": "stopped",
        "penguin1": "notApplicable",
        "penguin2": "notApplicable",
    }
    assert server.machine("mak")["channel"] == "VOLUME_MAK"
    show(server, "up")
    stack.run("preview", "--expect-no-changes")
    assert not any(counts["requests"] for counts in server.counts().values())

    server.create("n2", windows("new", "2022", "Standard"))
    server.move("w00", "n3")
    server.rename("w01", "renamed")
    refreshed = stack.run("refresh", "--yes", "--skip-preview", "--diff").stdout
    assert refreshed.count("vmName") == 2  # only the new guest and the renamed one
    assert "new: drift: `state` is" in refreshed or "new: drift: state is" in refreshed
    assert "w00: drift" not in refreshed
    show(server, "refresh")
    assert stack.preview_steps() == {"guests": "update"}
    server.reset_counts()
    stack.run("up", "--yes", "--skip-preview")
    assert "new" in changed(server)
    assert changed(server) <= {"new", "w00"}  # the new host of w00 may activate it again
    show(server, "up for one new guest")
    guests = stored_guests(stack)
    assert (guests["new"]["state"], guests["renamed"]["state"]) == ("activated", "activated")
    assert guests["w00"]["host"] == "n3"

    server.move("w05", "n4")
    stack.run("refresh", "--yes", "--expect-no-changes", "--skip-preview")
    server.delete("w02")
    stack.run("refresh", "--yes", "--skip-preview")
    assert "w02" not in stored_guests(stack)
    stack.run("destroy", "--yes")
    assert server.machine("w03")["status"] == "Licensed"


def test_a_failed_guest_is_named_and_the_next_up_continues_with_it(
    serve: Callable[..., EstateServer], workspace: Callable[..., Workspace]
) -> None:
    server = serve(cluster_of([windows(f"w{number}", "2022", "Standard") for number in range(4)]))
    install = "SoftwareLicensingService/InstallProductKey"
    server.faults("w2", [{"operation": install, "hresult": 0xC004F050}])
    stack = workspace({"guests": {"type": "avma:ClusterActivation", "properties": {"cluster": CLUSTER}}}, **DIRECT)
    failed = stack.run("up", "--yes", "--skip-preview", check=False)
    assert failed.returncode != 0
    assert "w2" in failed.stdout
    assert "0xC004F050" in failed.stdout
    assert {name: guest["state"] for name, guest in stored_guests(stack).items()} == {
        "w0": "activated",
        "w1": "activated",
        "w2": "notActivated",
        "w3": "activated",
    }
    server.faults("w2", [])
    server.reset_counts()
    stack.run("up", "--yes", "--skip-preview")
    assert changed(server) == {"w2"}
    stack.run("preview", "--refresh", "--expect-no-changes")


@pytest.mark.parametrize("identifier", [CLUSTER, ",".join(NODES.values())], ids=["cluster", "hosts"])
def test_import(serve: Callable[..., EstateServer], workspace: Callable[..., Workspace], identifier: str) -> None:
    server = serve(cluster_of([windows(f"w{number}", "2022", "Standard") for number in range(4)]))
    properties = {"cluster": CLUSTER} if identifier == CLUSTER else {"hosts": list(NODES.values())}
    program = {"guests": {"type": "avma:ClusterActivation", "properties": properties}}
    stack = workspace(program, **DIRECT)
    stack.run("up", "--yes", "--skip-preview")
    stack.run("state", "delete", "--yes", stack.export()["deployment"]["resources"][-1]["urn"])
    server.reset_counts()
    stack.run("import", "avma:index:ClusterActivation", "guests", identifier, "--yes", "--protect=false")
    stack.run("preview", "--expect-no-changes")
    assert not changed(server)


def test_forty_resources_beside_one(tmp_path: Path, workspace: Callable[..., Workspace]) -> None:
    """The ratios are printed. Only the counts are checked, because times depend on the computer."""
    names = [f"w{number:02}" for number in range(40)]
    vms = [windows(name, *WITH_DIRECT[number % len(WITH_DIRECT)]) for number, name in enumerate(names)]
    single = {"type": "avma:ClusterActivation", "properties": {"hosts": list(NODES.values())}}
    each = {
        name: {"type": "avma:VmActivation", "properties": {"hosts": list(NODES.values()), "vmName": name}}
        for name in names
    }
    costs: dict[tuple[str, str], tuple[float, ...]] = {}
    for what, program in {"one": {"guests": single}, "forty": each}.items():
        file = tmp_path / f"{what}.yaml"
        file.write_text(yaml.safe_dump(cluster_of(vms)))
        with running(load_estate(file)) as server:
            stack = workspace(program, **DIRECT)
            for command in ("up", "refresh"):
                server.reset_counts()
                began = time.monotonic()
                stack.run(command, "--yes", "--skip-preview", "--parallel", "64")
                seconds = time.monotonic() - began
                counts = [server.counts()[name] for name in NODES]
                sums = (sum(count[kind] for count in counts) for kind in ("requests", "pipelines"))
                costs[what, command] = (*sums, seconds)
    for command in ("up", "refresh"):
        alone, together = costs["forty", command], costs["one", command]
        ratios = ", ".join(f"{many / one:.2f}" for many, one in zip(alone, together, strict=True))
        print(f"{command}: requests, pipelines, seconds: forty {alone}, one {together}, ratios {ratios}")
        assert together[0] < alone[0]
        assert together[1] <= alone[1]
