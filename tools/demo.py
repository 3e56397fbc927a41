"""Runs the quickstart from preview to destroy, with the real `pulumi` engine against the simulator.

The script starts the machines of examples/quickstart on free addresses, prints the effect of each step, and checks it.
It leaves no processes and no files. Exit code 0 means that all checks passed.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from loopback import relocated
from workspace import ROOT, Workspace

QUICKSTART = ROOT / "examples" / "quickstart"
HOST = relocated("127.42.0.11")
IMPORTING_PROGRAM = f"""
name: second
runtime: yaml
resources:
  existing:
    type: avma:HostLicense
    properties: {{host: {HOST}}}
"""


def main() -> int:
    """Run all steps and return the exit code."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        run_steps(Path(folder))
    say(f"Done in {time.monotonic() - began:.0f} s. All processes and stacks are gone.")
    return 0


def run_steps(folder: Path) -> None:
    """Start the simulator, and run all steps in two stacks."""
    file = folder / "estate.yaml"
    file.write_text(relocated((QUICKSTART / "estate.yaml").read_text()))
    estate = yaml.safe_load(file.read_text())
    with simulated_estate(file) as simulator:
        say(f"The simulator is running: {', '.join(simulator.machines)}. WinRM over http, encrypted with NTLM.")
        first = Workspace(folder / "first", relocated((QUICKSTART / "Pulumi.yaml").read_text()))
        configure(first, estate, product_key=estate["keys"][0]["key"])
        play(first, simulator)
        second = Workspace(folder / "second", IMPORTING_PROGRAM)
        configure(second, estate)
        adopt(second)
        destroy(first, simulator)


def play(workspace: Workspace, simulator: Simulator) -> None:
    """Run preview, up, an empty preview, drift, refresh, and repair."""
    step("pulumi preview: show the plan. It changes nothing.")
    show(workspace.run("preview"))
    expect(simulator.method_calls() == 0, "the preview called no method on any machine")

    step("pulumi up: license the host, then activate its three VMs.")
    simulator.reset_counts()
    show(workspace.run("up", "--yes", "--skip-preview"))
    show_counts(simulator)

    step("pulumi preview --refresh: program, state and machines agree.")
    simulator.reset_counts()
    show(workspace.run("preview", "--refresh", "--expect-no-changes"))
    show(workspace.run("up", "--yes", "--skip-preview", "--expect-no-changes"))
    expect(simulator.method_calls() == 0, "an up without changes called no method on any machine")

    step("Drift: somebody uninstalls the product key of app01, outside of Pulumi.")
    simulator.post("/machines/app01/uninstall-key")
    print(f"  app01 is now {simulator.get('/machines/app01')['status']}.")

    step("pulumi refresh: finds the drift.")
    show(workspace.run("refresh", "--yes", "--diff", "--skip-preview"))
    expect(workspace.preview_steps() == {"app01": "update"}, "only app01 needs a repair")

    step("pulumi up: repairs app01. The preview shows the current value, because Windows decides the next one.")
    show(workspace.run("up", "--yes", "--diff"))
    expect(simulator.get("/machines/app01")["status"] == "Licensed", "Windows in app01 reports that it is licensed")


def adopt(workspace: Workspace) -> None:
    """Import the licensed host into a second stack."""
    step("pulumi import, in a second stack: adopt a licensed host. This uses no activation.")
    show(workspace.run("import", "avma:index:HostLicense", "existing", HOST, "--yes", "--protect=false"))
    show(workspace.run("preview", "--expect-no-changes"))


def destroy(workspace: Workspace, simulator: Simulator) -> None:
    """Destroy the first stack. The machines stay licensed."""
    step("pulumi destroy: by default, the machines stay licensed.")
    show(workspace.run("destroy", "--yes"))
    expect(workspace.export()["deployment"].get("resources", []) == [], "the stack is empty")
    expect(simulator.get("/machines/web01")["status"] == "Licensed", "web01 is still licensed")


def configure(workspace: Workspace, estate: dict[str, Any], product_key: str = "") -> None:
    """Create a stack with the connection settings of the simulated machines."""
    host = estate["hosts"][0]
    guest = host["vms"][0]
    workspace.new_stack(
        "dev",
        config={
            "avma:https": "false",
            "avma:username": host["username"],
            "avma:guest.transport": "winrm",
            "avma:guest.https": "false",
            "avma:guest.username": guest["username"],
        },
        secrets={
            "avma:password": host["password"],
            "avma:guest.password": guest["password"],
            **({"productKey": product_key} if product_key else {}),
        },
    )


class Simulator:
    """A running `avma simulate`, accessed through its control endpoint."""

    def __init__(self, announcement: dict[str, Any]) -> None:
        self.machines = [machine["name"] for machine in announcement["machines"]]
        self._control = announcement["control"]

    def get(self, path: str) -> dict[str, Any]:
        """Send a GET request to the control endpoint."""
        with urllib.request.urlopen(self._control + path, timeout=10) as answer:
            result: dict[str, Any] = json.load(answer)
        return result

    def post(self, path: str) -> None:
        """Change a machine outside of Pulumi."""
        request = urllib.request.Request(self._control + path, data=b"{}", method="POST")
        with urllib.request.urlopen(request, timeout=10):
            pass

    def reset_counts(self) -> None:
        """Reset the counts of requests."""
        self.post("/counts/reset")

    def method_calls(self) -> int:
        """Return the number of WMI method calls on all machines since the last reset."""
        operations = [machine["operations"] for machine in self.get("/counts").values()]
        return sum(count for o in operations for name, count in o.items() if name.startswith("Invoke "))


@contextmanager
def simulated_estate(file: Path) -> Iterator[Simulator]:
    """Run `avma simulate` with an estate file until the block ends."""
    avma = Path(sys.executable).parent / "avma"
    process = subprocess.Popen([avma, "simulate", file, "--json"], stdout=subprocess.PIPE, text=True)
    try:
        line = process.stdout.readline() if process.stdout else ""
        if not line:
            raise SystemExit(process.wait())
        yield Simulator(json.loads(line))
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)


def show_counts(simulator: Simulator) -> None:
    """Print the number of requests to each machine."""
    for name, counts in simulator.get("/counts").items():
        asked = counts["requests"] - counts["handshakes"]
        print(f"  {name}: {counts['handshakes']} requests to authenticate, {asked} to read, license and verify")
        only_locks = counts["shells"] == counts["activations"] and counts["processes"] == 0
        expect(only_locks, f"nothing was started on {name} but one PowerShell for each activation, as a lock")


def step(text: str) -> None:
    """Print the heading of a step."""
    print(f"\n== {text}\n", flush=True)


def say(text: str) -> None:
    """Print a line of text."""
    print(f"\n{text}", flush=True)


def show(done: subprocess.CompletedProcess[str]) -> None:
    """Print the output of pulumi."""
    lines = (line for line in done.stdout.splitlines() if line.strip())
    print("\n".join(f"  {line}" for line in lines), flush=True)


def expect(true: bool, what: str) -> None:
    """Print a passed check, or end the demo with a failed one."""
    if not true:
        raise SystemExit(f"the demo failed. Expected: {what}")
    print(f"  (checked: {what})", flush=True)


if __name__ == "__main__":
    sys.exit(main())
