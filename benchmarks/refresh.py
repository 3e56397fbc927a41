"""A refresh of many guests with the delays of a network, against the ways to read them without the provider."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.environment import say
from benchmarks.estates import DELAYS, Estate, simulated
from benchmarks.plugin import in_parallel
from benchmarks.processes import PATIENCE
from benchmarks.reads import Refresh, refresh
from benchmarks.rows import Row
from benchmarks.run_ps import run_ps
from demo import Simulator

ESTATE = Estate(4, 50, DELAYS)
_THREADS = 16
_PROCESSES = 48
"""As 200 processes take a minute, the others are computed."""
_FEWEST_REQUESTS = 12
"""Of one host: sign in, list its VMs, and run one script."""
_NAME = "refresh of 200 on 4 hosts"
# The simulator does not run Invoke-Command. The script waits as long as a session in the guest takes to start.
_INTO_THE_GUEST = f"Start-Sleep -Milliseconds {DELAYS['powershell'] * 1000:.0f}\nhostname"


def measure() -> Iterator[Row]:
    """Run the provider and the other ways in turn."""
    hosts = [str(vm.inputs["host"]) for vm in ESTATE.stored()]
    with simulated(ESTATE) as simulator:
        host = _way("run_ps on the host, 16 threads", run_ps, hosts)
        direct = _ours(simulator, "powershellDirect", 8)
        inside = _way("a script through the host, 16 threads", _through_the_host, hosts)
        direct_64 = _ours(simulator, "powershellDirect", 64)
        guest = _way("run_ps in the guest, 16 threads", run_ps, ESTATE.guest_addresses)
        over_network = _ours(simulator, "winrm", 8)
        process = _way(f"a process per VM, 16 at once, scaled from {_PROCESSES}", _process, hosts[:_PROCESSES])
        over_network_64 = _ours(simulator, "winrm", 64)
        ahead = {calls: _ours(simulator, "powershellDirect", calls, readAhead=True) for calls in (8, 64)}
    for name, seconds in (host, inside, guest, process):
        yield Row(f"{_NAME}, powershellDirect, 8 calls", direct.seconds, "s", 1, seconds, name)
    least = limit_of_calls(ESTATE, 8)
    yield Row(f"{_NAME}, powershellDirect, 8 calls", direct.seconds, "s", None, least, "computed limit of 8 calls")
    fastest = min((host, inside, guest, process), key=lambda way: way[1])
    yield Row(f"{_NAME}, powershellDirect, 64 calls", direct_64.seconds, "s", 1, fastest[1], fastest[0])
    yield from _counts("powershellDirect, 8 calls", direct)
    yield from _counts("powershellDirect, 64 calls", direct_64)
    for calls, cost in ahead.items():
        yield Row(f"{_NAME}, readAhead, {calls} calls", cost.seconds, "s", 2, limit(ESTATE), "computed limit")
        yield from _counts(f"readAhead, {calls} calls", cost)
    yield Row(f"{_NAME}, winrm, 8 calls", over_network.seconds, "s", 0.7, guest[1], guest[0])
    yield Row(f"{_NAME}, winrm, 64 calls", over_network_64.seconds, "s", 0.7, guest[1], guest[0])
    yield from _counts("winrm, 8 calls", over_network)


def limit(estate: Estate) -> float:
    """Return the least seconds for one host: its requests, one start, and rounds of 16 guests."""
    rounds = math.ceil(estate.guests / _THREADS)
    return _FEWEST_REQUESTS * estate.delays["request"] + (1 + rounds) * estate.delays["powershell"]


def limit_of_calls(estate: Estate, at_once: int) -> float:
    """Return the least seconds if each call asks for one guest: rounds of calls, each with a session in the guest.

    A round has two requests: one starts the script, and one waits for its output.
    """
    rounds = math.ceil(estate.hosts * estate.guests / at_once)
    once = _FEWEST_REQUESTS * estate.delays["request"] + estate.delays["powershell"]
    return once + rounds * (estate.delays["powershell"] + 2 * estate.delays["request"])


def _ours(simulator: Simulator, transport: str, at_once: int, **settings: Any) -> Refresh:
    cost = refresh(simulator, ESTATE, ESTATE.stored(), at_once, transport=transport, **settings)
    say(f"   {transport}, {at_once} calls {settings or ''}: {cost.seconds:.1f} s")
    return cost


def _counts(name: str, cost: Refresh) -> Iterator[Row]:
    of_each = {kind: number / ESTATE.hosts for kind, number in asdict(cost.counted).items()}
    note = ", ".join(f"{of_each[kind]:g} {kind}" for kind in ("handshakes", "connections", "pipelines"))
    yield Row(f"{_NAME}, {name}: requests of each host", of_each["requests"], "", 80, note=note)
    if cost.counted.powershells:
        yield Row(f"{_NAME}, {name}: PowerShell processes of each host", of_each["pools"], "", 1)


def _way(name: str, read: Callable[[str], None], addresses: Sequence[str]) -> tuple[str, float]:
    _, seconds = in_parallel(read, addresses, _THREADS)
    seconds *= ESTATE.hosts * ESTATE.guests / len(addresses)
    say(f"   {name}: {seconds:.1f} s")
    return name, seconds


def _through_the_host(address: str) -> None:
    run_ps(address, _INTO_THE_GUEST)


def _process(address: str) -> None:
    program = Path(__file__).parent / "run_ps.py"
    subprocess.run([sys.executable, program, address], check=True, timeout=PATIENCE)
