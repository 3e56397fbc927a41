"""The start of the plugin to its port line, against the import of the gRPC library."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from statistics import median

from benchmarks.processes import Cost, instructions, until_line
from benchmarks.rows import Row
from workspace import PLUGIN

_ROUNDS = 15
_NAME = "`import grpc.aio`"
_WAITING = (sys.executable, "-c", "import grpc.aio, sys; print(flush=True); import time; time.sleep(60)")
_ENDING = (sys.executable, "-c", "import grpc.aio, os; os._exit(0)")


def measure() -> Iterator[Row]:
    """Start both in turn."""
    until_line([PLUGIN])  # the first start compiles the modules
    ours, theirs = list[Cost](), list[Cost]()
    for _ in range(_ROUNDS):
        ours.append(until_line([PLUGIN]))
        theirs.append(until_line(_WAITING))
    for name, target in (("cpu", 1.4), ("wall", 1.5)):
        mine, other = (median(getattr(cost, name) for cost in costs) for costs in (ours, theirs))
        yield Row(f"start to the port line, {name.replace('cpu', 'CPU')}", mine, "s", target, other, _NAME)
    counted, base = instructions([PLUGIN]), instructions(_ENDING)
    if counted and base:
        yield Row("start and stop, instructions", counted / 1e6, "million", 1.4, base / 1e6, _NAME)
