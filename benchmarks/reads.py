"""A refresh through the plugin: a Read of each resource, with exactly so many under way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.estates import Counts, Estate, counts
from benchmarks.plugin import in_parallel, plugin
from benchmarks.processes import PATIENCE
from benchmarks.resources import Stored, struct
from demo import Simulator


@dataclass(frozen=True)
class Refresh:
    """The cost of a refresh: seconds, CPU seconds and megabytes of the plugin, and counts of the simulator."""

    seconds: float
    cpu: float
    peak: float
    counted: Counts


def refresh(simulator: Simulator, estate: Estate, vms: Sequence[Stored], at_once: int, **settings: Any) -> Refresh:
    """Read all VMs with a new plugin. `settings` belong to the configuration of the provider.

    Raises:
        RuntimeError: a state is not the stored one, so the plugin did not do the work.
    """
    counts(simulator, estate.hosts)
    requests = [vm.read() for vm in vms]
    with plugin() as served:
        served.configure(**settings)
        before = served.cpu
        answers, seconds = in_parallel(lambda each: served.stub.Read(each, timeout=PATIENCE), requests, at_once)
        cost = Refresh(seconds, served.cpu - before, served.peak, counts(simulator, estate.hosts))
    wrong = [vm.name for vm, answer in zip(vms, answers, strict=True) if answer.properties != struct(vm.outputs)]
    if wrong:
        raise RuntimeError(f"{len(wrong)} of {len(vms)} states differ: {', '.join(wrong[:5])}")
    return cost
