"""A refresh of a thousand guests without delays: the work of the plugin, and its memory."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.estates import Estate, simulated
from benchmarks.reads import refresh
from benchmarks.rows import Row

_ESTATE = Estate(16, 63)
_COUNT = 1000
_LARGEST = {"powershellDirect": 100, "winrm": 150}


def measure() -> Iterator[Row]:
    """Refresh over both transports, with as many calls as the engine has under way by default on two cores."""
    with simulated(_ESTATE) as simulator:
        for transport, largest in _LARGEST.items():
            cost = refresh(simulator, _ESTATE, _ESTATE.stored()[:_COUNT], 8, transport=transport)
            name = f"refresh of 1,000 on 16 hosts, {transport}, 8 calls"
            yield Row(f"{name}: plugin CPU", cost.cpu, "s", 8 if transport == "powershellDirect" else None)
            yield Row(f"{name}: plugin memory", cost.peak, "MB", largest)
            yield Row(f"{name}: requests of each host", cost.counted.requests / _ESTATE.hosts, "")
            yield Row(f"{name}: seconds", cost.seconds, "s")
