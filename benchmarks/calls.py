"""Check and Diff of unchanged resources: no machine is involved, so this is the work of the plugin alone."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from statistics import median

from benchmarks.plugin import Plugin, in_parallel, plugin
from benchmarks.processes import PATIENCE, instructions
from benchmarks.resources import some_vm
from benchmarks.rows import Row
from pulumi_resource_avma.protocol import provider_pb2 as pb

_PAIRS = 10_000
_ROUNDS = 10
_ECHOED = 300
"""Pairs of the echo in each round."""
_AT_ONCE = 8
_COUNTED = 100


def measure() -> Iterator[Row]:
    """Send each resource once to the plugin, and in turn some of them to the echo."""
    share = _PAIRS // _ROUNDS
    with plugin() as ours, plugin(sys.executable, "-m", "benchmarks.echo") as echo:
        ours.configure()
        spent, echoed = list[float](), list[float]()
        for number in range(_ROUNDS):
            spent.append(_pairs(ours, range(number * share, (number + 1) * share)))
            echoed.append(_pairs(echo, range(_ECHOED)))
        peak = ours.peak
    mine, other = median(spent), median(echoed)
    name = f"Check + Diff, {_PAIRS:,} pairs"
    yield Row(f"{name}, plugin CPU of a pair", mine, "ms", 0.9)
    yield Row(f"{name}, against gRPC alone", mine, "ms", None, other, "echo in Python")
    yield Row(f"{name}, the last tenth", spent[-1], "ms", 1.2, spent[0], "the first tenth")
    yield Row(f"{name}, plugin memory", peak, "MB")
    once, twice = (
        instructions([sys.executable, "-m", "benchmarks.pairs", str(count)]) for count in (_COUNTED, 2 * _COUNTED)
    )
    if once and twice:
        yield Row("Check + Diff in process, instructions", (twice - once) / _COUNTED / 1e6, "million")


def _pairs(served: Plugin, numbers: range) -> float:
    """Return the CPU milliseconds for each pair."""
    pairs = [(vm.check(), vm.diff()) for vm in map(some_vm, numbers)]
    before = served.cpu
    in_parallel(lambda pair: _send(served, *pair), pairs, _AT_ONCE)
    return 1000 * (served.cpu - before) / len(numbers)


def _send(served: Plugin, check: pb.CheckRequest, diff: pb.DiffRequest) -> None:
    served.stub.Check(check, timeout=PATIENCE)
    served.stub.Diff(diff, timeout=PATIENCE)
