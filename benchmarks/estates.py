"""Simulated hosts with guests that they have activated, in a process of their own."""

from __future__ import annotations

import json
import random
import socket
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Any

from avma import keys
from avma.keys import KeyKind
from benchmarks.processes import running
from benchmarks.resources import Stored, activated
from benchmarks.run_ps import PASSWORD, USER
from demo import Simulator

_HOST_KEY = "BCDFG-HJKMN-PQRTV-WXY23-46789"
_GUARD_PORT = 5987
DELAYS = {"request": 0.02, "powershell": 0.5}
"""Seconds of each request, and of each start of PowerShell on a host or in a guest."""


@dataclass(frozen=True)
class Estate:
    """Some hosts with the same number of guests each. The addresses of all hosts and guests differ."""

    hosts: int
    guests: int
    delays: Mapping[str, float] = field(default_factory=dict)
    network: bool = True
    """Whether guests have a network. Without one, only PowerShell Direct reaches them."""
    fresh: int = 0
    """How many guests of the first host have no license yet."""

    @property
    def addresses(self) -> list[str]:
        """The addresses of the hosts."""
        return [_host_address(host) for host in range(self.hosts)]

    @property
    def guest_addresses(self) -> list[str]:
        """The addresses of the guests."""
        return [_guest_address(host, guest) for host, guest in self._places]

    def stored(self, **inputs: Any) -> list[Stored]:
        """Return a resource for each guest. Neighbors are on different hosts. `inputs` replace `host`."""
        places = [(host, guest) for guest in range(self.guests) for host in range(self.hosts)]
        return [
            activated(_vm(host, guest), _vm_id(host, guest), _host(host), **(inputs or {"host": _host_address(host)}))
            for host, guest in places
        ]

    def document(self) -> dict[str, Any]:
        """Return the estate file."""
        key = {"key": _HOST_KEY, "channel": "MAK", "version": "2022", "edition": "Datacenter", "activations": 1000}
        return {"keys": [key], "hosts": [self._host(host) for host in range(self.hosts)]}

    def _host(self, host: int) -> dict[str, Any]:
        return {
            "name": _host(host).lower(),
            **self._windows("Datacenter"),
            **_listener(_host_address(host)),
            "license": {"key": _HOST_KEY},
            "vms": [self._guest(host, guest) for guest in range(self.guests)],
        }

    def _guest(self, host: int, guest: int) -> dict[str, Any]:
        licensed = host > 0 or guest >= self.fresh
        return {
            "name": _vm(host, guest),
            "id": _vm_id(host, guest),
            **self._windows("Standard"),
            **({"license": {"key": _guest_key()}} if licensed else {}),
            **(_listener(_guest_address(host, guest)) if self.network else {"network": False}),
        }

    def _windows(self, edition: str) -> dict[str, Any]:
        account = {"username": USER, "password": PASSWORD}
        return {"version": "2022", "edition": edition, "delays": dict(self.delays), **account}

    @property
    def _places(self) -> list[tuple[int, int]]:
        return [(host, guest) for host in range(self.hosts) for guest in range(self.guests)]


@contextmanager
def simulated(estate: Estate) -> Iterator[Simulator]:
    """Run the simulator until the block ends."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "estate.yaml"
        file.write_text(json.dumps(estate.document()))
        avma = Path(sys.executable).parent / "avma"
        with running([avma, "simulate", file, "--json"]) as (_, announced):
            yield Simulator(json.loads(announced))


@dataclass(frozen=True)
class Counts:
    """What all hosts together have counted since the last reset."""

    requests: int
    handshakes: int
    connections: int
    pools: int
    processes: int
    pipelines: int

    @property
    def powershells(self) -> int:
        """The PowerShell processes."""
        return self.pools + self.processes


def counts(simulator: Simulator, hosts: int) -> Counts:
    """Return the counts of the hosts, and reset them."""
    found = simulator.get("/counts")
    simulator.reset_counts()
    own = [found[_host(host).lower()] for host in range(hosts)]
    return Counts(**{field.name: sum(each[field.name] for each in own) for field in fields(Counts)})


def _host(host: int) -> str:
    return f"HV{host + 1:02}"


def _vm(host: int, guest: int) -> str:
    return f"vm{host + 1:02}-{guest + 1:03}"


def _vm_id(host: int, guest: int) -> str:
    return f"{host + 1:08x}-0000-4000-8000-{guest + 1:012x}"


def _host_address(host: int) -> str:
    return f"127.{_block()}.0.{host + 1}"


def _guest_address(host: int, guest: int) -> str:
    return f"127.{_block()}.{host + 1}.{guest + 1}"


def _listener(address: str) -> dict[str, Any]:
    return {"address": address, "http": {"port": 5985}}


def _guest_key() -> str:
    found = keys.find(KeyKind.AVMA, "2022", "Standard")
    if found is None:
        raise LookupError("no AVMA key for 2022 Standard")
    return found.key


@cache
def _block() -> int:
    """Return the second part of all addresses. A socket holds them until the process ends, see `tools/loopback.py`."""
    for block in random.sample(range(64, 127), 63):
        guard = socket.socket()
        try:
            guard.bind((f"127.{block}.0.1", _GUARD_PORT))
        except OSError:
            guard.close()
        else:
            guard.detach()
            return block
    raise RuntimeError("found no free block of loopback addresses")
