"""The commands of the real `pulumi` on a stack of its own."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from ending import kill_group
from soak.diagnostics import provider_errors
from soak.program import CONFIGURATION, Declared, Kept, Outcome
from waiting import PATIENCE
from workspace import Workspace

_SHOW_HIDDEN_OPTIONS = {"PULUMI_DEBUG_COMMANDS": "1"}
"""`--event-log` is one of them."""
_LOOK = 0.01
"""Seconds between two looks at the number of requests."""


class RealEngine:
    """See `soak.program.Engine`. `requests` returns the number of requests to the machines so far."""

    def __init__(self, folder: Path, requests: Callable[[], int]) -> None:
        self.program: dict[str, Declared] = {}
        self._requests = requests
        self._events = folder / "events"
        self._workspace = Workspace(folder / "pulumi", yaml.safe_dump({"name": "soak", "runtime": "yaml"}))
        guest = {f"avma:guest.{name}": value for name, value in CONFIGURATION["guest"].items() if name != "password"}
        names = ("username", "connectTimeout", "operationTimeout")
        settings = {f"avma:{name}": CONFIGURATION[name] for name in names}
        plain = {"avma:https": "false", **settings, **guest}
        secret = {"avma:password": CONFIGURATION["password"], "avma:guest.password": CONFIGURATION["guest"]["password"]}
        self._workspace.new_stack("dev", plain, secret)

    def up(self, after: int | None = None) -> Outcome:
        self._write()
        return self._run(after, "up", "--yes", "--skip-preview", "--continue-on-error")

    def preview(self) -> Outcome:
        self._write()
        return self._run(None, "preview", "--expect-no-changes")

    def refresh(self, after: int | None = None) -> Outcome:
        return self._run(after, "refresh", "--yes", "--skip-preview", "--clear-pending-creates")

    def destroy(self, after: int | None = None) -> Outcome:
        return self._run(after, "destroy", "--yes", "--skip-preview", "--continue-on-error")

    def adopt(self, name: str, identifier: str, after: int | None = None) -> Outcome:
        token = self.program[name].token
        options = ("--yes", "--protect=false", "--generate-code=false", "--skip-preview")
        return self._run(after, "import", token, name, identifier, *options)

    def state(self) -> dict[str, Kept]:
        resources = self._workspace.export()["deployment"].get("resources") or []
        return {
            stored["urn"].rpartition("::")[2]: Kept(
                stored["type"], stored["id"], stored.get("inputs", {}), stored.get("outputs", {})
            )
            for stored in resources
            if stored["type"].startswith("avma:index:") and not stored.get("delete")
        }

    def _write(self) -> None:
        self._workspace.write_resources({name: _yaml(declared) for name, declared in self.program.items()})

    def _run(self, after: int | None, *arguments: str) -> Outcome:
        self._events.write_text("")
        logged = (*arguments, "--event-log", str(self._events))
        if after is not None:
            self._run_and_kill(after, *logged)
            return Outcome(False, provider_errors(self._events.read_text()))
        ended = self._workspace.run(*logged, check=False, **_SHOW_HIDDEN_OPTIONS)
        assert "unexpected error" not in ended.stdout, ended.stdout
        assert "Traceback" not in ended.stdout, ended.stdout
        return Outcome(ended.returncode == 0, provider_errors(self._events.read_text()), ended.stdout)

    def _run_and_kill(self, after: int, *arguments: str) -> None:
        """Kill the engine and the plugin after that many requests. The lock of the stack stays, so remove it."""
        limit = self._requests() + after
        process = subprocess.Popen(
            [self._workspace.pulumi, *arguments, "--non-interactive", "--color=never"],
            cwd=self._workspace.project,
            env={**self._workspace.environment, **_SHOW_HIDDEN_OPTIONS},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        end = time.monotonic() + PATIENCE
        while process.poll() is None and self._requests() < limit and time.monotonic() < end:
            time.sleep(_LOOK)
        kill_group(process)
        process.wait()
        self._workspace.run("cancel", "--yes", check=False)


def _yaml(declared: Declared) -> dict[str, Any]:
    return {"type": f"avma:{declared.kind}", "properties": declared.properties}
