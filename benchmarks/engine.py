"""Runs of the real engine: a preview against a plain provider in Go, and a refresh of a small data center."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import yaml

from benchmarks import ROOT
from benchmarks.estates import DELAYS, Counts, Estate, counts, simulated
from benchmarks.processes import Watch
from benchmarks.resources import Stored
from benchmarks.rows import Row
from benchmarks.run_ps import PASSWORD, USER
from workspace import Workspace

_COUNT = 1000
_ROUNDS = 3
_GO = "pulumi-resource-plain"
_OURS = "pulumi-resource-avma"
_CENTER = Estate(8, 25, DELAYS)


@dataclass(frozen=True)
class Run:
    """The cost of one command: seconds, and CPU seconds and megabytes of its plugins."""

    seconds: float
    cpu: float
    peak: float


def preview() -> Iterator[Row]:
    """Preview a thousand unchanged resources with both providers, in turn."""
    with _plain() as plain, _activated(Estate(16, 63), _COUNT) as ours:
        runs: dict[str, list[Run]] = {_OURS: [], _GO: []}
        for _ in range(_ROUNDS):
            for name, workspace in ((_OURS, ours), (_GO, plain)):
                runs[name].append(_run(name, workspace, "preview", "--expect-no-changes"))
    seconds, cpu = (
        {name: median(getattr(run, kind) for run in found) for name, found in runs.items()}
        for kind in ("seconds", "cpu")
    )
    name = "preview of 1,000 unchanged"
    yield Row(name, seconds[_OURS], "s", 1.3, seconds[_GO], "plain provider in Go")
    yield Row(f"{name}: plugin CPU", cpu[_OURS], "s", None, cpu[_GO], "plain provider in Go")
    yield Row("preview of 1,000 unchanged: plugin memory", max(run.peak for run in runs[_OURS]), "MB", 70)


def refresh() -> Iterator[Row]:
    """Refresh 200 VMs on 8 hosts as a user does."""
    with simulated(_CENTER) as simulator, _stack(_CENTER.stored()) as workspace:
        for options in ((), ("--parallel", "64")):
            counts(simulator, _CENTER.hosts)
            run = _run(_OURS, workspace, "refresh", "--yes", "--skip-preview", "--expect-no-changes", *options)
            yield from _rows(" ".join(options) or "default", run, counts(simulator, _CENTER.hosts))


def _rows(options: str, run: Run, counted: Counts) -> Iterator[Row]:
    name = f"pulumi refresh of 200 on 8 hosts, {options}"
    yield Row(f"{name}: seconds", run.seconds, "s")
    yield Row(f"{name}: requests of each host", counted.requests / _CENTER.hosts, "")
    yield Row(f"{name}: PowerShell processes of each host", counted.powershells / _CENTER.hosts, "")
    yield Row(f"{name}: plugin memory", run.peak, "MB")


def _run(plugin: str, workspace: Workspace, *command: str) -> Run:
    with Watch(plugin) as watch:
        began = time.perf_counter()
        workspace.run(*command)
        seconds = time.perf_counter() - began
    return Run(seconds, watch.cpu, watch.peak)


@contextmanager
def _activated(estate: Estate, count: int) -> Iterator[Workspace]:
    """Yield a stack with so many VMs of an estate that no longer runs."""
    with tempfile.TemporaryDirectory() as folder:
        with simulated(estate):
            workspace = _stack_in(Path(folder), estate.stored()[:count])
        yield workspace


@contextmanager
def _stack(vms: Sequence[Stored]) -> Iterator[Workspace]:
    """Yield a stack with these VMs, which must run for the first of them."""
    with tempfile.TemporaryDirectory() as folder:
        yield _stack_in(Path(folder), vms)


def _stack_in(folder: Path, vms: Sequence[Stored]) -> Workspace:
    """Create a stack. The engine adopts the first VM, and the state of the others is a copy."""
    program = {vm.name: {"type": "avma:VmActivation", "properties": dict(vm.inputs)} for vm in vms}
    workspace = Workspace(folder, _program({vms[0].name: program[vms[0].name]}))
    plain = {"avma:https": "false", "avma:username": USER, "avma:guest.username": USER}
    workspace.new_stack("dev", plain, {"avma:password": PASSWORD, "avma:guest.password": PASSWORD})
    workspace.run("up", "--yes", "--skip-preview")
    state = workspace.export()
    resources = state["deployment"]["resources"]
    first = resources.pop()
    resources += [_copied(first, vm) for vm in vms]
    workspace.run("stack", "import", text=json.dumps(state))
    workspace.write_resources(program)
    return workspace


def _copied(first: Mapping[str, Any], vm: Stored) -> dict[str, Any]:
    changed = {"urn": vm.urn, "id": vm.identifier, "inputs": dict(vm.inputs), "outputs": dict(vm.outputs)}
    return {**first, **changed}


@contextmanager
def _plain() -> Iterator[Workspace]:
    """Yield a stack with a thousand resources of the provider in Go."""
    with tempfile.TemporaryDirectory() as folder:
        binary = Path(folder) / _GO
        subprocess.run(
            ["go", "build", "-trimpath", "-tags", "osusergo,grpcnotrace", "-o", binary, "."],
            cwd=ROOT / "benchmarks" / "goprovider",
            env={**os.environ, "CGO_ENABLED": "0"},
            check=True,
        )
        strings = {
            f"text{number}": {"type": "plain:RandomString", "properties": {"length": 8}} for number in range(_COUNT)
        }
        workspace = Workspace(Path(folder) / "workspace", _program(strings))
        workspace.run("plugin", "install", "resource", "plain", "1.0.0", "--file", str(binary))
        workspace.new_stack("dev", {"speed:unused": "true"}, {})
        workspace.run("up", "--yes", "--skip-preview")
        yield workspace


def _program(resources: Mapping[str, Any]) -> str:
    return yaml.safe_dump({"name": "speed", "runtime": "yaml", "resources": dict(resources)})
