"""Record this version: run the program with the real engine, and write its state and the calls of the engine."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import yaml

from avma_simulator import load_estate, running
from pulumi_resource_avma import __version__
from upgrade import lab
from workspace import Workspace

_SERVICE = "/pulumirpc.ResourceProvider/"
_METHODS = {"CheckConfig", "DiffConfig", "Configure", "Check", "Diff", "Create", "Read", "Update", "Delete", "Invoke"}
_OF_ONE_RUN = {"created", "modified", "sourcePosition", "stackTrace"}
"""Parts of a stored resource that differ in each run, or contain paths."""
_OF_ONE_CALL = {"resourceStatusAddress", "resourceStatusToken", "randomSeed"}
"""Parts of a request that differ in each run."""
_OF_ONE_ACTIVATION = {"lastActivationTime"}
"""Results of a function that differ in each run."""


def main() -> None:
    """Record the state after `pulumi up`, and the calls of each command."""
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch, "estate.yaml")
        file.write_text(yaml.safe_dump(lab.estate(licensed=False)))
        with running(load_estate(file)):
            stacks = {"import": lab.new_stack(Path(scratch, "importing"))}
            _record(lab.new_stack(Path(scratch, "pulumi")), stacks, Path(scratch))


def _record(stack: Workspace, others: dict[str, Workspace], scratch: Path) -> None:
    """Record the commands on a stack. `others` are the stacks of single commands."""
    changed = ("up", "--yes", "--skip-preview")
    commands = {"preview": ("preview",), "up": changed, "refresh": ("refresh", "--yes", "--skip-preview")}
    commands |= {"update": changed, "destroy": ("destroy", "--yes", "--skip-preview")}
    file = scratch / "import.json"
    file.write_text(json.dumps(lab.imports()))
    options = ("--yes", "--skip-preview", "--protect=false", "--generate-code=false")
    commands |= {"import": ("import", "--file", str(file), *options)}
    for name in lab.COMMANDS:
        if name == "update":
            stack.write_resources(lab.resources("uninstallKey"))
        log = scratch / f"{name}.log"
        others.get(name, stack).run(*commands[name], "--parallel", "1", PULUMI_DEBUG_GRPC=str(log))
        # In `up`, the functions run while the resources change the machines, so their answers differ in each run.
        recorded = _calls(log)
        lab.write(__version__, name, [each for each in recorded if name != "up" or each["method"] != "Invoke"])
        if name == "up":
            state = json.loads(stack.run("stack", "export", "--show-secrets").stdout)
            lab.write(__version__, "state", _settled(state))


def _calls(log: Path) -> list[dict[str, Any]]:
    """Return the calls to the provider: method, request and response."""
    entries = [json.loads(line) for line in log.read_text("utf-8").splitlines()]
    calls = ((entry["method"].removeprefix(_SERVICE), entry) for entry in entries if "response" in entry)
    return [
        {"method": method, "request": _without(_OF_ONE_CALL, entry["request"]), "response": _lasting(entry["response"])}
        for method, entry in calls
        if method in _METHODS
    ]


def _lasting(response: dict[str, Any]) -> dict[str, Any]:
    if "return" not in response:
        return response
    return {**response, "return": _without(_OF_ONE_ACTIVATION, response["return"])}


def _without(names: set[str], values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name not in names}


def _settled(state: dict[str, Any]) -> dict[str, Any]:
    """Return a state without parts of one run."""
    deployment = state["deployment"]
    deployment["manifest"]["time"] = "2000-01-01T00:00:00Z"
    deployment["resources"] = [_without(_OF_ONE_RUN, resource) for resource in deployment["resources"]]
    return state


if __name__ == "__main__":
    main()
