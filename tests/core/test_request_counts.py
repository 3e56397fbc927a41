"""What a run costs its hosts, counted by the simulator, with 1, 8 and 64 calls under way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from avma.configuration import Configuration, Transport
from avma.deadline import Deadline
from avma.resources.resource import Result, Stored
from avma.windows.licensing import LicenseStatus
from avma_simulator import EstateServer, load_estate, running
from core.runner import ADMINISTRATOR, HOST_KEY, PASSWORD, Runner
from loopback import address

NODES, GUESTS = 4, 16
ACCOUNT = f"username: {ADMINISTRATOR}, password: {PASSWORD}"
ALL_NODES = [address(10 + node) for node in range(NODES)]
CALLS = pytest.mark.parametrize("calls", [1, 8, 64])


def estate_file() -> str:
    lines = ["keys:", f'  - {{key: {HOST_KEY}, channel: MAK, version: "2022", edition: Datacenter}}', "hosts:"]
    for node in range(NODES):
        licensed = f'version: "2022", edition: Datacenter, license: {{key: {HOST_KEY}}}, {ACCOUNT}'
        lines += [f"  - name: hv{node}", f"    address: {address(10 + node)}", "    http: {port: 5985}"]
        lines += [*(f"    {part}" for part in licensed.split(", ")), "    vms:"]
        for guest in range(GUESTS):
            where = f"address: {address(20 + node * GUESTS + guest)}, http: {{port: 5985}}"
            lines += [f'      - {{name: vm{node}-{guest}, version: "2022", edition: Standard, {where}, {ACCOUNT}}}']
    return "\n".join(lines)


@dataclass(frozen=True)
class Vm:
    """A VM and the hosts that its resource names."""

    name: str
    hosts: list[str]


def vms(*, on_all_nodes: bool = False) -> list[Vm]:
    """Return all VMs. Neighbors in the list are on different hosts, as in a program that lists them by role."""
    return [
        Vm(f"vm{node}-{guest}", ALL_NODES if on_all_nodes else [ALL_NODES[node]])
        for guest in range(GUESTS)
        for node in range(NODES)
    ]


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[EstateServer]:
    file = tmp_path / "nodes.yaml"
    file.write_text(estate_file())
    with running(load_estate(file)) as server:
        yield server


@pytest.fixture
def new_run(new_runner: Callable[..., Runner]) -> Callable[..., Runner]:
    def make(transport: Transport, *, read_ahead: bool = False) -> Runner:
        runner = new_runner()
        assert runner.configuration.guest is not None
        guest = replace(runner.configuration.guest, transport=transport)
        runner.configuration = replace(runner.configuration, guest=guest, read_ahead=read_ahead)
        return runner

    return make


def refresh(run: Runner, calls: int, wanted: list[Vm]) -> None:
    def read(vm: Vm) -> Result | None:
        operation = replace(run.operation(), deadline=Deadline(120, max_age=3600))
        return run.vm.read(f"{','.join(vm.hosts)}/{vm.name}", None, operation)

    with ThreadPoolExecutor(calls) as threads:
        assert None not in list(threads.map(read, wanted))


def activate(run: Runner, calls: int, wanted: list[Vm]) -> None:
    with ThreadPoolExecutor(calls) as threads:
        results = list(threads.map(lambda vm: run.vm.create(inputs(vm), run.operation()), wanted))
    assert {result.outputs.license_status for result in results} == {LicenseStatus.LICENSED}


def inputs(vm: Vm) -> dict[str, object]:
    return {"vm_name": vm.name, **({"hosts": vm.hosts} if len(vm.hosts) > 1 else {"host": vm.hosts[0]})}


def of_nodes(estate: EstateServer) -> list[Counter[str]]:
    """Return the counts of each node. Operations stand next to the other counts."""
    counts = estate.counts()
    found = []
    for node in range(NODES):
        counted = counts[f"hv{node}"]
        numbers = {name: value for name, value in counted.items() if isinstance(value, int)}
        found.append(Counter({**numbers, **counted["operations"]}))
    return found


@CALLS
def test_a_refresh_lists_the_vms_of_a_host_once_and_opens_one_pool(nodes, new_run, calls):
    refresh(new_run(Transport.POWERSHELL_DIRECT), calls, vms())
    for counts in of_nodes(nodes):
        assert (counts["Enumerate"], counts["pools"]) == (1, 1)
        assert counts["handshakes"] <= 6  # three for WMI, three for PowerShell
        assert counts["pipelines"] <= GUESTS
        assert counts["requests"] <= 12 + 6 * counts["pipelines"]


def test_guests_that_wait_share_a_pipeline(nodes, new_run):
    refresh(new_run(Transport.POWERSHELL_DIRECT), 64, vms())
    for counts in of_nodes(nodes):
        assert counts["pipelines"] <= 4


@CALLS
def test_with_read_ahead_the_requests_do_not_depend_on_the_guests(nodes, new_run, calls):
    refresh(new_run(Transport.POWERSHELL_DIRECT, read_ahead=True), calls, vms())
    for counts in of_nodes(nodes):
        assert (counts["Enumerate"], counts["pools"]) == (2, 1)  # the VMs, and the reports of their guests
        assert counts["pipelines"] <= 2
        assert counts["requests"] <= 45


@CALLS
def test_a_refresh_over_the_network_makes_each_listing_once(nodes, new_run, calls):
    refresh(new_run(Transport.WINRM), calls, vms())
    for counts in of_nodes(nodes):
        assert (counts["Enumerate"], counts["pools"]) == (3, 0)  # the VMs, their reports, and their firmware
    guest = nodes.counts()["vm0-0"]
    assert (guest["operations"]["Enumerate"], guest["handshakes"]) == (4, 3)


@CALLS
def test_each_node_of_a_cluster_is_listed_once(nodes, new_run, calls):
    refresh(new_run(Transport.POWERSHELL_DIRECT, read_ahead=True), calls, vms(on_all_nodes=True))
    for counts in of_nodes(nodes):
        assert (counts["Enumerate"], counts["pools"]) == (2, 1)
        assert counts["requests"] <= 45


@CALLS
def test_an_activation_takes_two_pipelines(nodes, new_run, calls):
    run = new_run(Transport.POWERSHELL_DIRECT)
    wanted = [vm for vm in vms() if vm.hosts == ALL_NODES[:1]]
    activate(run, calls, wanted)
    counts = of_nodes(nodes)[0]
    assert counts["pools"] == 1
    assert counts["pipelines"] <= 2 * len(wanted)
    if calls == 64:
        assert counts["pipelines"] <= 8


@CALLS
def test_an_activation_does_not_list_all_nodes_for_each_vm(nodes, new_run, calls):
    run = new_run(Transport.POWERSHELL_DIRECT)
    run.configuration = replace(run.configuration, read_freshness="1h")
    activate(run, 1, vms(on_all_nodes=True)[:1])
    nodes.reset_counts()
    wanted = [vm for vm in vms(on_all_nodes=True) if vm.name.startswith("vm3")]
    activate(run, calls, wanted)
    first, *_, last = of_nodes(nodes)
    assert first["Enumerate"] == 0
    assert last["Enumerate"] > 0


def test_a_stored_resource_costs_the_same(nodes, new_run):
    run = new_run(Transport.POWERSHELL_DIRECT)
    vm = vms()[0]
    created = run.vm.create(inputs(vm), run.operation())
    nodes.reset_counts()
    operation = replace(run.operation(), deadline=Deadline(120, max_age=3600))
    run.vm.read(created.identifier, Stored(created.inputs, {"vm_name": vm.name}), operation)
    assert of_nodes(nodes)[0]["pools"] == 0  # the pool of the activation
    assert of_nodes(nodes)[0]["pipelines"] == 1


def test_the_default_of_the_setting_is_ten_seconds() -> None:
    assert Configuration().max_age == 10
