"""Crashes with the real engine: the plugin or the engine is killed when a machine has acted on a request."""

from __future__ import annotations

import shutil
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from avma_simulator import EstateServer, running
from avma_simulator.state.estate_state import EstateState
from avma_simulator.state.machine import Machine
from avma_simulator.winrm.wsman_service import Reply, Service
from ending import kill
from faults import estates
from faults.checks import Finding, Problem
from faults.effects import Effect, Effects
from faults.estates import ADMINISTRATOR, GUEST_PASSWORD, HOST_KEY, PASSWORD, SPARE_KEY
from loopback import address
from waiting import wait_until
from workspace import PLUGIN, Workspace

VICTIMS = ("plugin", "engine")
_UP = ("up", "--yes", "--skip-preview")
_IMPORT = ("import", "avma:index:HostLicense", "hv01", address(11), "--yes", "--protect=false", "--generate-code=false")
_LOCKED = 600.0
"""Seconds. After a crash, Windows ends the lock of a machine within them."""
Properties = dict[str, Any]


@dataclass(frozen=True)
class Command:
    """A command that a crash interrupts.

    Attributes:
        name: the operation.
        estate: the name of the estate.
        before: the resources before the command.
        after: the resources that the next `up` must reach.
        arguments: the arguments of `pulumi`.
        licensed: whether hv01 has its license from the beginning.
    """

    name: str
    estate: str
    before: Properties
    after: Properties
    arguments: tuple[str, ...] = _UP
    licensed: bool = False


def _host(number: int = 11, **properties: Any) -> Properties:
    inputs = {"host": address(number), "productKey": "${productKey}", **properties}
    return {"type": "avma:HostLicense", "properties": inputs}


def _vm(**properties: Any) -> Properties:
    inputs = {"host": "${hv01.host}", "vmName": "web01", "manageDataExchange": True, **properties}
    return {"type": "avma:VmActivation", "properties": inputs}


def _cluster() -> Properties:
    inputs = {"cluster": address(30), "productKey": "${productKey}"}
    return {"type": "avma:ClusterLicense", "properties": inputs}


_ONE = {"hv01": _host()}
_WHOLE = {**_ONE, "web01": _vm()}
_REMOVING = {"hv01": _host(onDelete="uninstallKey")}
COMMANDS = (
    Command("create", "one guest", {}, _WHOLE),
    Command("create for a cluster", "cluster", {}, {"cl01": _cluster()}),
    Command("refresh", "one guest", _WHOLE, _WHOLE, ("refresh", "--yes", "--skip-preview")),
    Command("import", "hosts", {}, _ONE, _IMPORT, licensed=True),
    Command("update", "hosts", _ONE, {"hv01": _host(productKey="${spareKey}")}),
    Command("replace", "hosts", _REMOVING, {"hv01": _host(12, onDelete="uninstallKey")}),
    Command("delete", "hosts", _REMOVING, {}),
    Command("delete in a guest", "one guest", {**_ONE, "web01": _vm(onDelete="uninstallKey")}, _ONE),
)


class Trap:
    """The count of the requests on which machines have acted, and the function to call at one of them."""

    def __init__(self, at: int, spring: Callable[[], None]) -> None:
        self.passed = 0
        self.at = at
        self.spring = spring

    def step(self) -> None:
        """Count a request."""
        self.passed += 1
        if self.passed == self.at:
            self.spring()


class Observed:
    """A running simulator whose services report each request before its answer leaves."""

    def __init__(self, server: EstateServer, states: list[EstateState]) -> None:
        self.server = server
        self.effects = Effects(states[0])


@contextmanager
def observed(estate: str, trap: Trap) -> Iterator[Observed]:
    """Run a simulator with a trap."""
    states: list[EstateState] = []

    class Reporting(Service):
        """A service that reports each request."""

        async def reply(self, message: str | bytes) -> Reply:
            """See `Service.reply`."""
            answer = await super().reply(message)
            trap.step()
            return answer

    def new_service(machine: Machine, state: EstateState) -> Service:
        states.append(state)
        return Reporting(machine, state)

    with running(estates.declared(estate), new_service) as server:
        yield Observed(server, states)


class Stack:
    """A Pulumi stack in a folder, which can return to its state before the command."""

    def __init__(self, folder: Path, command: Command) -> None:
        self.command = command
        self._workspace = Workspace(folder, yaml.safe_dump(self._program(command.before)))
        account = {"username": ADMINISTRATOR, "https": "false"}
        guest = {"username": ADMINISTRATOR, "transport": "powershellDirect"}
        config = {f"avma:{name}": value for name, value in account.items()}
        config |= {f"avma:guest.{name}": value for name, value in guest.items()}
        passwords = {"avma:password": PASSWORD, "avma:guest.password": GUEST_PASSWORD}
        self._workspace.new_stack("dev", config, {**passwords, "productKey": HOST_KEY, "spareKey": SPARE_KEY})
        self._state, self._saved = folder / "state", folder / "saved"

    @staticmethod
    def _program(resources: Properties) -> Properties:
        config = {name: {"type": "string", "secret": True} for name in ("productKey", "spareKey")}
        return {"name": "crashes", "runtime": "yaml", "config": config, "resources": resources}

    def prepare(self) -> None:
        """Reach the state before the command, and keep a copy of it. Then declare the program after it."""
        if self.command.before:
            self._workspace.run(*_UP)
        shutil.copytree(self._state, self._saved)
        self._workspace.write_resources(self.command.after)

    def restore(self) -> None:
        """Return to the state before the command."""
        shutil.rmtree(self._state)
        shutil.copytree(self._saved, self._state)

    def start(self) -> subprocess.Popen[str]:
        """Start the command."""
        return subprocess.Popen(
            [self._workspace.pulumi, *self.command.arguments, "--non-interactive", "--color=never"],
            cwd=self._workspace.project,
            env=self._workspace.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def plugins(self) -> list[int]:
        """Return the processes of the plugin. Each was installed into the folder of the stack."""
        installed = self._workspace.environment["PULUMI_HOME"]
        return [pid for pid, _, command in _processes() if installed in command and PLUGIN.name in command]

    def converge(self) -> str:
        """Follow docs/how-to/interrupted-run.md, as a user does after a crash. Return the output of a failure."""
        self._workspace.run("cancel", "--yes", check=False)
        if self.command.arguments is _IMPORT and not self.names():
            self._workspace.run(*_IMPORT, check=False)
        done = self._workspace.run(*_UP, check=False)
        if done.returncode == 0 and self.pending():
            done = self._workspace.run("refresh", "--yes", "--skip-preview", "--clear-pending-creates", check=False)
        return done.stdout if done.returncode else ""

    def names(self) -> list[str]:
        """Return the names of the resources in the state, except the stack and the provider."""
        resources = self._workspace.export()["deployment"].get("resources", [])
        return [each["urn"].rpartition("::")[2] for each in resources if each["type"].startswith("avma:")]

    def pending(self) -> list[Any]:
        """Return the pending operations in the state."""
        found: list[Any] = self._workspace.export()["deployment"].get("pending_operations", [])
        return found


@dataclass(frozen=True)
class Crash:
    """A crash of one process at one request of a command."""

    command: Command
    victim: str
    at: int

    def __str__(self) -> str:
        return f"{self.command.name}: the {self.victim} is killed after request {self.at}"


class Crashes:
    """The crashes of one command with one stack."""

    def __init__(self, folder: Path, command: Command) -> None:
        self.stack = Stack(folder, command)
        with self._begin(Trap(0, _nothing), first=True) as (trap, lab):
            self._finish(self.stack.start())
            self.requests = trap.passed
            self._completed = lab.effects.noted[:]
            _require("", self.stack.converge())
            self._licenses, self._spent = lab.effects.licenses(), lab.effects.spent()

    def run(self, crash: Crash) -> list[Finding]:
        """Kill the process, run the next `up`, and return the broken promises."""
        process: list[subprocess.Popen[str]] = []
        language_hosts: list[int] = []

        def crash_now() -> None:
            plugins, engines = self.stack.plugins(), [each.pid for each in process]
            if crash.victim == "engine":
                language_hosts.extend(_children(engines, plugins))
            for victim in plugins if crash.victim == "plugin" else engines:
                kill(victim)

        with self._begin(Trap(crash.at, crash_now)) as (_, lab):
            process.append(self.stack.start())
            printed = self._finish(process[0])
            for orphan in language_hosts:  # a killed engine leaves them running
                kill(orphan)
            completed = lab.effects.noted[:]
            lab.server.advance_clock(_LOCKED)
            failure = self.stack.converge()
            return list(self._findings(crash, lab, completed, printed, failure))

    @contextmanager
    def _begin(self, trap: Trap, first: bool = False) -> Iterator[tuple[Trap, Observed]]:
        """Run a simulator in the state before the command. Only then arm the trap."""
        command, at = self.stack.command, trap.at
        trap.at = 0
        with observed(command.estate, trap) as lab:
            if command.licensed or command.before:
                lab.server.install_key("hv01", HOST_KEY)
                lab.server.set_license("hv01", "Licensed")
            if first:
                self.stack.prepare()
            else:
                self.stack.restore()
                self._repeat_guests(lab)
            lab.effects.noted.clear()
            trap.passed, trap.at = 0, at
            yield trap, lab

    def _repeat_guests(self, lab: Observed) -> None:
        """Activate the guests that the program before the command activates."""
        if "web01" in self.stack.command.before:
            lab.server.data_exchange("web01", True)
            lab.server.install_key("web01", estates.avma_key())

    def _finish(self, process: subprocess.Popen[str]) -> str:
        """Wait until a command and its plugin have ended. Return what it printed."""
        printed, _ = process.communicate(timeout=300)
        wait_until(lambda: not self.stack.plugins())
        return printed

    def _findings(
        self, crash: Crash, lab: Observed, completed: list[Effect], printed: str, failure: str
    ) -> Iterator[Finding]:
        if failure:
            yield Finding(Problem.DIVERGED, f"the next `up` failed: {failure}")
        names = self.stack.names()
        if sorted(names) != sorted(crash.command.after):
            yield Finding(Problem.LOST, f"the state has {names}")
        if self.stack.pending():
            yield Finding(Problem.DIVERGED, "operations are still pending")
        if lab.effects.licenses() != self._licenses:
            yield Finding(Problem.DIVERGED, f"the machines differ: {lab.effects.licenses()}")
        for effect, count in (lab.effects.spent() - self._spent).items():
            yield Finding(Problem.SPENT, f"{effect.machine}: {effect.key} {count} more")
        again = Counter(completed) & Counter(lab.effects.noted[len(completed) :])
        for effect in again:
            yield Finding(Problem.NEEDLESS, f"{effect.machine}: {effect.method} {effect.key} again")
        if "Traceback" in printed or "goroutine" in printed:
            yield Finding(Problem.MESSAGE, printed)


def _processes() -> list[tuple[int, int, str]]:
    """Return the ID, the parent and the command line of each process."""
    listed = subprocess.run(["/bin/ps", "-Aww", "-o", "pid=,ppid=,args="], capture_output=True, text=True, check=True)
    fields = (line.split(maxsplit=2) for line in listed.stdout.splitlines())
    return [(int(pid), int(parent), command) for pid, parent, command in fields]


def _children(parents: list[int], others: list[int]) -> list[int]:
    """Return the children of some processes, without the others."""
    return [pid for pid, parent, _ in _processes() if parent in parents and pid not in others]


def _nothing() -> None:
    pass


def _require(wanted: str, found: str) -> None:
    assert found == wanted, found
