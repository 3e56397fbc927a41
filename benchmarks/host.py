"""The requests to one host during a refresh, by its number of guests and by the calls under way."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.estates import DELAYS, Estate, simulated
from benchmarks.reads import refresh
from benchmarks.rows import Row

_SIZES = (10, 50, 150)
_RUNS = ((8, False), (64, False), (8, True))


def measure() -> Iterator[Row]:
    """Refresh hosts of several sizes through PowerShell Direct."""
    for size in _SIZES:
        estate = Estate(1, size, DELAYS, network=False)
        with simulated(estate) as simulator:
            for calls, ahead in _RUNS:
                settings = {"readAhead": True} if ahead else {}
                cost = refresh(simulator, estate, estate.stored(), calls, **settings)
                name = f"refresh of {size} on one host, {calls} calls{', readAhead' if ahead else ''}"
                yield Row(f"{name}: requests", cost.counted.requests, "")
                yield Row(f"{name}: PowerShell processes", cost.counted.powershells, "", 1)
