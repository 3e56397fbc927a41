"""`avma report` of a large data center, against the slowest of its hosts alone."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.estates import DELAYS, Estate, simulated
from benchmarks.processes import PATIENCE
from benchmarks.resources import configuration
from benchmarks.rows import Row

_ESTATE = Estate(64, 60, DELAYS, network=False)
_ALONE = 3
"""So many hosts are read alone."""


def measure() -> Iterator[Row]:
    """Read some hosts alone, then all of them."""
    with simulated(_ESTATE):
        slowest = max(_report([host], 16) for host in _ESTATE.addresses[:_ALONE])
        default = _report(_ESTATE.addresses, 16)
        more = _report(_ESTATE.addresses, 64)
    name = f"avma report, {_ESTATE.hosts} hosts x {_ESTATE.guests} guests"
    yield Row(name, default, "s", 2, slowest, "slowest host alone")
    yield Row(f"{name}, --parallel 64", more, "s", 2, slowest, "slowest host alone")
    yield Row(f"{name}, --parallel 64", more, "s", 1, default, "--parallel 16")


def _report(hosts: Sequence[str], parallel: int) -> float:
    """Return the seconds of a report."""
    avma = Path(sys.executable).parent / "avma"
    with tempfile.TemporaryDirectory() as folder:
        listed = Path(folder) / "hosts.yaml"
        listed.write_text(json.dumps({"settings": configuration(), "hosts": list(hosts)}))
        began = time.perf_counter()
        options = ("--quiet", "--parallel", str(parallel))
        subprocess.run([avma, "report", listed, *options], check=True, timeout=PATIENCE)
        return time.perf_counter() - began
