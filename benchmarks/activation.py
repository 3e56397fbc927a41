"""One fresh activation, against the sum of its own requests."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from statistics import median

from benchmarks.estates import Estate, simulated
from benchmarks.plugin import plugin
from benchmarks.processes import PATIENCE
from benchmarks.resources import Stored
from benchmarks.rows import Row

_ROUNDS = 5
_TRANSPORTS = ("powershellDirect", "winrm")
_ESTATE = Estate(2, len(_TRANSPORTS) * _ROUNDS, fresh=len(_TRANSPORTS) * _ROUNDS)
_REQUEST = re.compile(r"^avma\.wsman: .* received, (\d+) ms")


def measure() -> Iterator[Row]:
    """Activate the guests of the first host one after the other, each with a new plugin.

    Before that, the plugin reads a guest of the second host, so it has imported its libraries.
    """
    vms = iter(zip(_ESTATE.stored()[::2], _ESTATE.stored()[1::2], strict=True))
    found: dict[str, list[tuple[float, float]]] = {transport: [] for transport in _TRANSPORTS}
    with simulated(_ESTATE):
        for _ in range(_ROUNDS):
            for transport in _TRANSPORTS:
                found[transport].append(_activate(*next(vms), transport))
    for transport, pairs in found.items():
        wall, requests = (median(pair[index] for pair in pairs) for index in (0, 1))
        target = 1.5 if transport == "powershellDirect" else None
        yield Row(f"a fresh activation, {transport}", wall, "s", target, requests, "its requests")


def _activate(vm: Stored, other: Stored, transport: str) -> tuple[float, float]:
    """Return the seconds of the activation, and of its requests by the log."""
    with plugin() as served:
        served.configure(transport=transport)
        served.stub.Read(other.read(), timeout=PATIENCE)
        served.engine.lines.clear()
        began = time.perf_counter()
        served.stub.Create(vm.create(), timeout=PATIENCE)
        seconds = time.perf_counter() - began
    requests = filter(None, map(_REQUEST.search, served.engine.lines))
    return seconds, sum(int(request[1]) for request in requests) / 1000
