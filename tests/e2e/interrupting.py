"""A `pulumi up` in the background, to interrupt it."""

from __future__ import annotations

import signal
import subprocess
from dataclasses import dataclass

from waiting import PATIENCE, wait_until
from workspace import PLUGIN, Workspace


@dataclass
class Up:
    """A `pulumi up` under way."""

    stack: Workspace
    process: subprocess.Popen[str]

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the engine alone, not to its plugins."""
        self.process.send_signal(number)

    def output(self) -> str:
        """Return its remaining output. The engine has failed, and no plugin is left."""
        printed = self.process.communicate(timeout=PATIENCE)[0]
        wait_until(lambda: not plugins(self.stack))
        assert self.process.returncode != 0
        assert "exited prematurely" not in printed
        self.stack.printed += printed
        return printed


def up(stack: Workspace) -> Up:
    """Start `pulumi up`."""
    command = [str(stack.pulumi), "up", "--yes", "--skip-preview", "--non-interactive", "--color=never"]
    process = subprocess.Popen(
        command, cwd=stack.project, env=stack.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    return Up(stack, process)


def plugins(stack: Workspace) -> list[int]:
    """Return the running plugins of this stack. Each was installed into the stack's own folder."""
    listed = subprocess.run(["/bin/ps", "-Aww", "-o", "pid=,args="], capture_output=True, text=True, check=True)
    installed = stack.environment["PULUMI_HOME"]
    found = [line for line in listed.stdout.splitlines() if installed in line and PLUGIN.name in line]
    return [int(line.split(maxsplit=1)[0]) for line in found]
