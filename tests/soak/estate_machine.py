"""The random run: a Hypothesis state machine over machines, programs and commands.

Each command may fail. The rules about it hold in any case:

- The key was used once for each time that a host became licensed.
- A resource leaves the state only if a command deletes it, or if its VM is gone.
- Each message of the provider ends with the command that explains it.

`settle` turns everything on, and removes VMs from the program that are gone. Then one refresh and one update must
succeed, and further ones find nothing to do.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import yaml
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from avma_simulator import load_estate, running
from soak import program
from soak.plugin_engine import PluginEngine
from soak.program import Engine, Outcome
from soak.world import HOSTS, VMS, World, estate, vm

ANY_HOST = st.sampled_from(sorted(HOSTS))
ANY_VM = st.sampled_from([*sorted(VMS), "e", "f"])
AFTER = st.integers(1, 60)
"""The number of requests before a kill."""

_OPERATIONS = (
    "Enumerate",
    "Pull",
    "SoftwareLicensingService/InstallProductKey",
    "SoftwareLicensingProduct/Activate",
    "RunspacePool/Create",
    "Pipeline/Command",
    "Pipeline/Receive",
)
_ANSWERS: tuple[dict[str, Any], ...] = (
    {"answer": "drop"},
    {"answer": "drop", "after": True},
    {"answer": "timeout", "after": True},
    {"answer": "garbage"},
    {"answer": "emptyBody"},
    {"answer": "unavailable"},
    {"answer": "accessDenied"},
    {"hresult": 0xC004C008},
    {"hresult": 0xC004FD00},
)
FAULT = st.builds(
    lambda operation, answer, skip, times: {"operation": operation, "skip": skip, "times": times, **answer},
    st.sampled_from(_OPERATIONS),
    st.sampled_from(_ANSWERS),
    st.integers(0, 6),
    st.integers(1, 2),
)


COUNTED: Counter[str] = Counter()
"""The steps, commands, kills and faults so far."""


class EstateMachine(RuleBasedStateMachine):
    """The random run with the plugin alone."""

    def __init__(self) -> None:
        super().__init__()
        self._open = ExitStack()
        folder = Path(self._open.enter_context(tempfile.TemporaryDirectory()))
        (folder / "estate.yaml").write_text(yaml.safe_dump(estate()))
        self.world = World(self._open.enter_context(running(load_estate(folder / "estate.yaml"))))
        self.engine = self.new_engine(folder)

    def new_engine(self, folder: Path) -> Engine:
        """Return the engine of this run. `folder` is its own."""
        return PluginEngine(self.world.requests)

    def teardown(self) -> None:
        self._open.close()

    @initialize(whole=st.booleans(), guests=st.sets(st.sampled_from(sorted(VMS)), min_size=2))
    def declare_first(self, whole: bool, guests: set[str]) -> None:
        hosts = {"cluster": program.cluster_license()} if whole else {n: program.host_license(n) for n in ("n1", "n2")}
        activations = {f"vm-{name}": program.vm_activation(name) for name in sorted(guests)}
        self.engine.program = {**hosts, "h3": program.host_license("h3"), **activations}

    @rule(name=ANY_VM, on_delete=st.sampled_from(["retain", "uninstallKey", "restoreKmsClientKey"]))
    def declare(self, name: str, on_delete: str) -> None:
        self.engine.program[f"vm-{name}"] = program.vm_activation(name, on_delete)

    @rule(name=ANY_VM)
    def withdraw(self, name: str) -> None:
        self.engine.program.pop(f"vm-{name}", None)

    @rule()
    def switch_between_hosts_and_cluster(self) -> None:
        declared = self.engine.program
        if declared.pop("cluster", None):
            declared.update({name: program.host_license(name) for name in ("n1", "n2")})
        else:
            declared.pop("n1"), declared.pop("n2")
            declared["cluster"] = program.cluster_license()

    @rule(name=ANY_HOST)
    def host_loses_its_license(self, name: str) -> None:
        self.world.lose_license(name)

    @rule(name=ANY_VM)
    def guest_loses_its_key(self, name: str) -> None:
        if name in self.world.vms:
            self.world.lose_license(name)

    @rule(name=ANY_VM, host=ANY_HOST)
    def move(self, name: str, host: str) -> None:
        if name in self.world.vms and self.world.vms[name] != host:
            self.world.server.move(name, host)
            self.world.vms[name] = host

    @rule(name=ANY_VM, host=ANY_HOST)
    def create_vm(self, name: str, host: str) -> None:
        if name not in self.world.vms:
            self.world.server.create(host, vm(name))
            self.world.vms[name] = host

    @rule(name=ANY_VM)
    def delete_vm(self, name: str) -> None:
        if name in self.world.vms:
            self.world.server.delete(name)
            del self.world.vms[name]
            self.world.off.discard(name)

    @rule(name=ANY_VM, on=st.booleans())
    def power_vm(self, name: str, on: bool) -> None:
        if name in self.world.vms and self.world.vms[name] not in self.world.off:
            self.world.set_power(name, on)

    @rule(name=ANY_HOST, on=st.booleans())
    def power_host(self, name: str, on: bool) -> None:
        self.world.set_power(name, on)

    @rule(name=ANY_HOST)
    def reboot(self, name: str) -> None:
        if name not in self.world.off:
            self.world.server.reboot(name)

    @rule(faults=st.lists(FAULT, min_size=1, max_size=3), host=ANY_HOST)
    def up_with_faults(self, faults: list[dict[str, Any]], host: str) -> None:
        COUNTED["faults"] += len(faults)
        self.world.server.faults(host, faults)
        self.up()
        self.world.server.faults(host, [])

    @rule(faults=st.lists(FAULT, min_size=1, max_size=3), host=ANY_HOST)
    def refresh_with_faults(self, faults: list[dict[str, Any]], host: str) -> None:
        COUNTED["faults"] += len(faults)
        self.world.server.faults(host, faults)
        self.refresh()
        self.world.server.faults(host, [])

    @rule()
    def up(self) -> None:
        self._command(self.engine.up, self._removed_by_up)

    @rule()
    def refresh(self) -> None:
        self._command(self.engine.refresh, self._is_gone)

    @rule()
    def destroy(self) -> None:
        self._command(self.engine.destroy, lambda _: True)

    @rule(after=AFTER)
    def up_is_killed(self, after: int) -> None:
        COUNTED["kills"] += 1
        self._command(lambda: self.engine.up(after), self._removed_by_up)

    @rule(after=AFTER)
    def refresh_is_killed(self, after: int) -> None:
        COUNTED["kills"] += 1
        self._command(lambda: self.engine.refresh(after), self._is_gone)

    @rule(after=AFTER)
    def destroy_is_killed(self, after: int) -> None:
        COUNTED["kills"] += 1
        self._command(lambda: self.engine.destroy(after), lambda _: True)

    @precondition(lambda self: self.engine.program)
    @rule(data=st.data())
    def adopt(self, data: st.DataObject) -> None:
        names = sorted(name for name in self.engine.program if name not in self.engine.state())
        if names:
            name = data.draw(st.sampled_from(names))
            self._command(lambda: self.engine.adopt(name, self._imported(name)), lambda _: False)

    @rule()
    def settle(self) -> None:
        self.world.heal()
        for name in list(self.engine.program):
            if name.startswith("vm-") and name.removeprefix("vm-") not in self.world.vms:
                del self.engine.program[name]
        self._succeed(self.engine.refresh, self._is_gone)
        self._succeed(self.engine.up, self._removed_by_up)
        assert set(self.engine.state()) == set(self.engine.program)
        for name in self.engine.program:
            assert self._is_reached(name), f"{name} is not as declared"
        before = self.world.changes()
        self._succeed(self.engine.preview, lambda _: False)
        self._succeed(self.engine.refresh, lambda _: False)
        self._succeed(self.engine.preview, lambda _: False)
        self._succeed(self.engine.up, lambda _: False)
        assert self.world.changes() == before
        COUNTED["convergences"] += 1

    @invariant()
    def nothing_is_spent_twice(self) -> None:
        COUNTED["steps"] += 1
        self.world.observe()

    def _succeed(self, command: Callable[[], Outcome], may_leave: Callable[[str], bool]) -> None:
        outcome = self._command(command, may_leave)
        assert outcome.done, outcome.messages

    def _command(self, command: Callable[[], Outcome], may_leave: Callable[[str], bool]) -> Outcome:
        before = self.engine.state()
        outcome = command()
        COUNTED["commands"] += 1
        COUNTED["failed commands"] += not outcome.done
        self.world.observe()
        lost = [name for name in before if name not in self.engine.state() and not may_leave(name)]
        assert not lost, f"{lost} left the state: {outcome.messages}"
        unexplained = [text for text in outcome.messages if text and "avma explain" not in text]
        assert not unexplained or outcome.done, unexplained
        return outcome

    def _is_gone(self, name: str) -> bool:
        return name.startswith("vm-") and name.removeprefix("vm-") not in self.world.vms

    def _removed_by_up(self, name: str) -> bool:
        """Return True if an update may delete a resource: it is not declared, or its VM is another one now."""
        return name not in self.engine.program or name.startswith("vm-")

    def _is_reached(self, name: str) -> bool:
        if name == "cluster":
            return all(self.world.is_licensed(node) for node in ("n1", "n2"))
        if name in HOSTS:
            return self.world.is_licensed(name)
        return self.world.is_activated(name.removeprefix("vm-"))

    def _imported(self, name: str) -> str:
        declared = self.engine.program[name].properties
        if name == "cluster":
            return str(declared["cluster"])
        if name in HOSTS:
            return str(declared["host"])
        return f"{','.join(HOSTS.values())}/{name.removeprefix('vm-')}"
