"""200 VMs on 8 hosts with 64 calls in parallel, while Windows admits only a few requests and operations at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from avma_simulator import EstateServer
from e2e.estate import ADMINISTRATOR, HOST_KEY, PASSWORD, machine
from loopback import address
from workspace import Workspace

HOSTS = [f"h{number}" for number in range(1, 9)]
VMS_PER_HOST = 25


def estate(quotas: dict[str, int]) -> dict[str, Any]:
    account = {"username": ADMINISTRATOR, "password": PASSWORD}
    hosts = [
        machine(
            host,
            "2022",
            "Datacenter",
            address(number),
            quotas=quotas,
            vms=[
                {"name": f"{host}-{vm}", "version": "2022", "edition": "Standard", "network": False, **account}
                for vm in range(VMS_PER_HOST)
            ],
        )
        for number, host in enumerate(HOSTS, 11)
    ]
    key = {"key": HOST_KEY, "channel": "MAK", "version": "2022", "edition": "Datacenter", "activations": len(HOSTS)}
    return {"keys": [key], "hosts": hosts}


def program() -> dict[str, Any]:
    """Return the licenses of all hosts and the activations of all VMs. Neighbors are on different hosts."""
    licenses = {
        host: {"type": "avma:HostLicense", "properties": {"host": address(number), "productKey": "${productKey}"}}
        for number, host in enumerate(HOSTS, 11)
    }
    activations = {
        f"{host}-{vm}": {
            "type": "avma:VmActivation",
            "properties": {"host": f"${{{host}.host}}", "vmName": f"{host}-{vm}"},
        }
        for vm in range(VMS_PER_HOST)
        for host in HOSTS
    }
    return {**licenses, **activations}


@pytest.mark.parametrize(
    "quotas",
    [
        pytest.param({}, id="defaults of Windows"),
        pytest.param({"connections": 3, "operations": 3, "shells": 3, "processes": 3}, id="three of each"),
    ],
)
def test_all_vms_are_activated_in_one_run(
    serve: Callable[..., EstateServer], workspace: Callable[..., Workspace], quotas: dict[str, int]
) -> None:
    server = serve(estate(quotas))
    stack = workspace(program(), {"productKey": HOST_KEY}, **{"avma:guest.transport": "powershellDirect"})
    stack.run("up", "--yes", "--skip-preview", "--parallel", "64")
    states = [server.machine(f"{host}-{vm}") for host in HOSTS for vm in range(VMS_PER_HOST)]
    assert {(state["status"], state["activatedByHost"].lower()) for state in states} == {
        ("Licensed", host) for host in HOSTS
    }
    assert set(server.keys().values()) == {0}
    stack.run("refresh", "--yes", "--expect-no-changes", "--skip-preview", "--parallel", "64")
    pools = [server.counts()[host]["pools"] for host in HOSTS]
    assert max(pools) <= 3  # one for the licenses of guests in each command, and one for the lock of the host's license
