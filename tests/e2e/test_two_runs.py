"""Two stacks that license the same hosts at once, with two real engines and two plugin processes."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from avma_simulator import EstateServer
from e2e.estate import HOST_KEY, machine
from e2e.interrupting import plugins, up
from ending import kill
from loopback import address
from waiting import PATIENCE, wait_until

HOSTS = 20
LONG = 30
"""Seconds of an activation that a test ends, by the clock of the simulator."""
STEP = 1
"""Seconds of a request, by the same clock."""
IDLE = 140
"""Seconds, by the same clock. By then, the lock of a dead process has ended."""
ACTIVATE = "Invoke SoftwareLicensingProduct/Activate"
SECRETS = {"productKey": HOST_KEY}


def hosts(count: int, **more: Any) -> dict[str, Any]:
    """Return an estate of hosts without a license. Their key has an activation for each."""
    key = {"key": HOST_KEY, "channel": "MAK", "version": "2022", "edition": "Datacenter", "activations": count}
    machines = [machine(f"hv{n}", "2022", "Datacenter", address(11 + n), **more) for n in range(count)]
    return {"keys": [key], "hosts": machines}


def program(count: int) -> dict[str, Any]:
    """Return a HostLicense for each host."""
    properties = [{"host": address(11 + n), "productKey": "${productKey}"} for n in range(count)]
    return {f"hv{n}": {"type": "avma:HostLicense", "properties": each} for n, each in enumerate(properties)}


def activations(server: EstateServer) -> dict[str, int]:
    """Return how often Activate took effect on each host, also on one that was licensed already."""
    return {name: counted["activations"] for name, counted in server.counts().items()}


def await_round(server: EstateServer, runs: Sequence[Future[Any]]) -> None:
    """Wait until the hosts have received as many further requests as there are hosts, or until all runs have ended."""

    def requests() -> int:
        return sum(counted["requests"] for counted in server.counts().values())

    expected = requests() + HOSTS
    wait_until(lambda: requests() >= expected or all(run.done() for run in runs))


def test_two_stacks_activate_each_of_twenty_hosts_once(serve, workspace):
    """The clock goes on after each round of requests. So both stacks ask a host before one of them changes it."""
    server = serve(hosts(HOSTS, delays={"request": STEP}))
    stacks = [workspace(program(HOSTS), SECRETS) for _ in range(2)]
    with ThreadPoolExecutor(len(stacks)) as threads:
        command = ("up", "--yes", "--skip-preview", "--parallel", "64")
        runs = [threads.submit(stack.run, *command) for stack in stacks]
        wait_until(lambda: all(counted["connections"] >= len(stacks) for counted in server.counts().values()))
        while not all(run.done() for run in runs):
            server.advance_clock(STEP)
            await_round(server, runs)
        for run in runs:
            run.result()
    assert {server.machine(f"hv{n}")["status"] for n in range(HOSTS)} == {"Licensed"}
    assert list(activations(server).values()) == [1] * HOSTS
    assert all(counted["openShells"] == 0 for counted in server.counts().values())


def test_a_stack_takes_over_from_one_that_was_killed(serve, workspace):
    server = serve(hosts(1, delays={"activation": LONG}))
    killed, other = (workspace(program(1), SECRETS) for _ in range(2))
    running = up(killed)
    wait_until(lambda: ACTIVATE in server.counts()["hv0"]["operations"])
    for plugin in plugins(killed):
        kill(plugin)
    running.process.communicate(timeout=PATIENCE)
    with ThreadPoolExecutor(1) as threads:
        late = threads.submit(other.run, "up", "--yes", "--skip-preview")
        wait_until(lambda: server.counts()["hv0"]["pools"] == 2)
        server.advance_clock(IDLE)
        late.result()
    assert server.machine("hv0")["status"] == "Licensed"
    assert activations(server) == {"hv0": 1}
