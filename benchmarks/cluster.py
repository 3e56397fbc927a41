"""A refresh of guests that can run on any of sixteen nodes, so each resource names all of them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from benchmarks.estates import Estate, simulated
from benchmarks.reads import refresh
from benchmarks.rows import Row

_ESTATE = Estate(16, 10)


def measure() -> Iterator[Row]:
    """Count the requests and the PowerShell processes of all nodes, for several calls under way."""
    vms = _ESTATE.stored(hosts=_ESTATE.addresses)
    with simulated(_ESTATE) as simulator:
        for ahead, calls in product((False, True), (8, 64, 160)):
            cost = refresh(simulator, _ESTATE, vms, calls, **({"readAhead": True} if ahead else {}))
            name = f"refresh of 160 on a cluster of 16, {calls} calls{', readAhead' if ahead else ''}"
            yield Row(f"{name}: requests in all", cost.counted.requests, "", 400)
            yield Row(f"{name}: PowerShell processes in all", cost.counted.powershells, "", 16)
