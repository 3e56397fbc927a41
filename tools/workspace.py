"""A private Pulumi workspace: home, state and plugin in one temporary folder.

The demo and the end-to-end tests run the real `pulumi` in it, without access to the user's own Pulumi files.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
PLUGIN = Path(sys.executable).parent / "pulumi-resource-avma"


def version() -> str:
    """Return the version of the plugin."""
    from pulumi_resource_avma import __version__

    return __version__


class PulumiFailed(subprocess.CalledProcessError):
    """A command of `pulumi` failed. The text contains what it printed about errors, so also a short log shows it."""

    def __str__(self) -> str:
        """Return the command, and the lines about errors."""
        lines = [line.strip() for line in self.stdout.splitlines() if "error:" in line]
        return f"`pulumi {' '.join(self.cmd[1:])}` exited with {self.returncode}: {' | '.join(lines)}"


class Workspace:
    """One project in its own folder. `run` runs the CLI there."""

    def __init__(self, folder: Path, program: str) -> None:
        self.printed = ""
        self.project = folder / "project"
        self.project.mkdir(parents=True)
        (self.project / "Pulumi.yaml").write_text(program)
        (folder / "state").mkdir()
        binaries = subprocess.run([ROOT / "tools" / "pulumi-cli"], check=True, capture_output=True, text=True)
        self.pulumi = Path(binaries.stdout.strip()) / "pulumi"
        self.environment = {
            **{
                name: value
                for name, value in os.environ.items()
                if not name.startswith(("PULUMI_", "AVMA_", "HYPERV_"))
            },
            "PATH": f"{self.pulumi.parent}{os.pathsep}{os.environ['PATH']}",
            "PULUMI_HOME": str(folder / "home"),
            "PULUMI_BACKEND_URL": f"file://{folder / 'state'}",
            "PULUMI_CONFIG_PASSPHRASE": "only for this folder",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            "PULUMI_IGNORE_AMBIENT_PLUGINS": "true",
            "NO_COLOR": "1",
        }
        self.run("plugin", "install", "resource", "avma", version(), "--file", str(PLUGIN))

    def run(
        self, *arguments: str, text: str | None = None, check: bool = True, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run `pulumi` with these arguments. Return its output, with stderr in stdout.

        Raises:
            PulumiFailed: the command failed and `check` is true.
        """
        done = subprocess.run(
            [self.pulumi, *arguments, "--non-interactive", "--color=never"],
            cwd=self.project,
            env={**self.environment, **environment},
            input=text,
            stdin=subprocess.DEVNULL if text is None else None,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
            check=False,
        )
        self.printed += done.stdout
        if check and done.returncode != 0:
            sys.stderr.write(done.stdout)
            raise PulumiFailed(done.returncode, done.args, done.stdout)
        return done

    def new_stack(self, name: str, config: dict[str, str], secrets: dict[str, str]) -> None:
        """Create a stack and set its configuration with one command, because each start of the CLI takes half a second.

        The secrets are on a command line, where other users of the computer can read them. Those of the simulator
        protect nothing.
        """
        self.run("stack", "init", name)
        values = (("--plaintext", config), ("--secret", secrets))
        options = (f"{option}={key}={value}" for option, pairs in values for key, value in pairs.items())
        self.run("config", "set-all", "--path", *options)

    def write_resources(self, resources: dict[str, Any]) -> None:
        """Replace the resources of the program."""
        self._rewrite(resources=resources)

    def write_outputs(self, outputs: dict[str, str]) -> None:
        """Replace the outputs of the program."""
        self._rewrite(outputs=outputs)

    def _rewrite(self, **sections: Any) -> None:
        file = self.project / "Pulumi.yaml"
        file.write_text(yaml.safe_dump({**yaml.safe_load(file.read_text()), **sections}))

    def export(self) -> dict[str, Any]:
        """Return the stored state of the selected stack."""
        state: dict[str, Any] = json.loads(self.run("stack", "export").stdout)
        return state

    def stored(self) -> str:
        """Return the content of all files in the state folder and the project, as text."""
        folders = (self.project, self.project.parent / "state")
        files = (file for folder in folders for file in folder.rglob("*") if file.is_file())
        return "\n".join(file.read_text(errors="replace") for file in files)

    def preview_steps(self, *arguments: str) -> dict[str, str]:
        """Return the operations of a preview by resource name, without "same" and without the stack."""
        preview = json.loads(self.run("preview", "--json", *arguments).stdout)
        steps = {step["urn"].rpartition("::")[2]: step["op"] for step in preview["steps"]}
        return {name: op for name, op in steps.items() if op != "same" and "-" not in name}

    def remove(self) -> None:
        """Delete the folder."""
        shutil.rmtree(self.project.parent, ignore_errors=True)
