"""A refresh of a thousand guests without delays: the work of the plugin, and its memory."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.estates import Estate, simulated
from benchmarks.reads import refresh
from benchmarks.rows import Row

_ESTATE = Estate(16, 63)
_COUNT = 1000
_RUNS: tuple[tuple[str, dict[str, bool], float | None, float], ...] = (
    ("powershellDirect", {}, 8, 100),
    ("powershellDirect", {"readAhead": True}, 8, 100),
    ("winrm", {}, None, 150),
)
"""The transport, more settings, and the targets: seconds of CPU, and megabytes."""


def measure() -> Iterator[Row]:
    """Refresh with as many calls under way as the engine has by default on two cores."""
    with simulated(_ESTATE) as simulator:
        for transport, settings, seconds, megabytes in _RUNS:
            cost = refresh(simulator, _ESTATE, _ESTATE.stored()[:_COUNT], 8, transport=transport, **settings)
            name = f"refresh of 1,000 on 16 hosts, {', '.join((transport, *settings))}, 8 calls"
            yield Row(f"{name}: plugin CPU", cost.cpu, "s", seconds, note=f"{cost.seconds:.0f} s in all")
            yield Row(f"{name}: plugin memory", cost.peak, "MB", megabytes)
            yield Row(f"{name}: requests of each host", cost.counted.requests / _ESTATE.hosts, "")
