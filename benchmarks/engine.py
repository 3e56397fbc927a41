"""Runs of the real engine: a preview against a plain provider in Go, and a refresh of a small data center."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
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
_LARGE = Estate(16, 63, network=False)
_CENTER = Estate(8, 25, DELAYS)


@dataclass(frozen=True)
class Run:
    """The cost of one command: seconds, and CPU seconds and megabytes of its plugins."""

    seconds: float
    cpu: float
    peak: float


def preview() -> Iterator[Row]:
    """Preview a thousand unchanged resources with both providers, in turn."""
    with tempfile.TemporaryDirectory() as folder:
        plain, ours = _plain(Path(folder, "plain")), Workspace(Path(folder, "ours"), _program([]))
        with simulated(_LARGE):
            _fill(ours, _LARGE.stored()[:_COUNT])
        runs: dict[str, list[Run]] = {_OURS: [], _GO: []}
        for _ in range(_ROUNDS):
            for name, workspace in ((_OURS, ours), (_GO, plain)):
                runs[name].append(_run(name, workspace, "preview", "--expect-no-changes"))
    name = "preview of 1,000 unchanged"
    for part, cost, target in (("", "seconds", 1.3), (": plugin CPU", "cpu", None)):
        mine, other = (median(getattr(run, cost) for run in runs[plugin]) for plugin in (_OURS, _GO))
        yield Row(f"{name}{part}", mine, "s", target, other, "plain provider in Go")
    yield Row(f"{name}: plugin memory", max(run.peak for run in runs[_OURS]), "MB", 70)


def refresh() -> Iterator[Row]:
    """Refresh 200 VMs on 8 hosts as a user does."""
    with tempfile.TemporaryDirectory() as folder, simulated(_CENTER) as simulator:
        workspace = Workspace(Path(folder, "ours"), _program([]))
        _fill(workspace, _CENTER.stored())
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


def _plain(folder: Path) -> Workspace:
    """Return a stack with a thousand resources of the provider in Go."""
    folder.mkdir()
    binary = folder / _GO
    subprocess.run(
        ["go", "build", "-trimpath", "-tags", "osusergo,grpcnotrace", "-o", binary, "."],
        cwd=ROOT / "benchmarks" / "goprovider",
        env={**os.environ, "CGO_ENABLED": "0"},
        check=True,
    )
    workspace = Workspace(folder / "workspace", _program([]))
    workspace.run("plugin", "install", "resource", "plain", "1.0.0", "--file", str(binary))
    _fill(workspace, [_text(number) for number in range(_COUNT)])
    return workspace


def _text(number: int) -> Stored:
    inputs, result = {"length": 8}, f"{number:08}"
    return Stored(f"text{number}", result, inputs, {**inputs, "result": result}, "plain:index:RandomString")


def _fill(workspace: Workspace, resources: Sequence[Stored]) -> None:
    """Create a stack with these resources. The engine creates the first one, and the state of the others is a copy."""
    plain = {"avma:https": "false", "avma:username": USER, "avma:guest.username": USER}
    workspace.new_stack("dev", plain, {"avma:password": PASSWORD, "avma:guest.password": PASSWORD})
    program = workspace.project / "Pulumi.yaml"
    program.write_text(_program(resources[:1]))
    workspace.run("up", "--yes", "--skip-preview")
    state = workspace.export()
    stored = state["deployment"]["resources"]
    first = stored.pop()
    stored += [_copied(first, each) for each in resources]
    workspace.run("stack", "import", text=json.dumps(state))
    program.write_text(_program(resources))


def _copied(first: Mapping[str, Any], each: Stored) -> dict[str, Any]:
    changed = {"urn": each.urn, "id": each.identifier, "inputs": dict(each.inputs), "outputs": dict(each.outputs)}
    return {**first, **changed}


def _program(resources: Sequence[Stored]) -> str:
    declared = {each.name: {"type": each.type, "properties": dict(each.inputs)} for each in resources}
    return yaml.safe_dump({"name": "speed", "runtime": "yaml", "resources": declared})
