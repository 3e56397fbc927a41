"""The random run: a Hypothesis state machine over machines, programs and commands.

Each command may fail. The rules about it hold in any case:

- The key was used once for each time that a host became licensed.
- A resource leaves the state only if a command deletes it, or if its VM is gone.
- Each message of the provider ends with the command that explains it.

There are two stacks. The second one declares some of the same hosts and VMs, and both can run at once.

`settle` turns everything on, removes VMs from the programs that are gone, and follows the names of the others. Then
refreshes and updates must succeed, and further ones find nothing to do. There are two rounds, because one stack can
delete the key that the other declares.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
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
from soak.world import HOSTS, VMS, World, estate

ANY_HOST = st.sampled_from(sorted(HOSTS))
ANY_VM = st.sampled_from([*sorted(VMS), "e", "f"])
SOME_VMS = st.sets(st.sampled_from(sorted(VMS)), min_size=2)
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
        self.engine = self.new_engine(folder / "first")
        self.second = self.new_engine(folder / "second")

    def new_engine(self, folder: Path) -> Engine:
        """Return the engine of a stack. `folder` is its own."""
        return PluginEngine(self.world.requests)

    def teardown(self) -> None:
        self._open.close()

    @initialize(whole=st.booleans(), guests=SOME_VMS, hosts=st.sets(ANY_HOST), shared=SOME_VMS)
    def declare_first(self, whole: bool, guests: set[str], hosts: set[str], shared: set[str]) -> None:
        nodes = {"cluster": program.cluster_license()} if whole else {n: program.host_license(n) for n in ("n1", "n2")}
        self.engine.program = {**nodes, "h3": program.host_license("h3"), **_activations(guests)}
        self.second.program = {**{name: program.host_license(name) for name in sorted(hosts)}, **_activations(shared)}

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
            self.world.move(name, host)

    @rule(name=ANY_VM, host=ANY_HOST)
    def create_vm(self, name: str, host: str) -> None:
        if name not in self.world.vms:
            self.world.create(name, host)

    @rule(name=ANY_VM)
    def delete_vm(self, name: str) -> None:
        if name in self.world.vms:
            self.world.delete(name)

    @rule(name=ANY_VM)
    def rename_vm(self, name: str) -> None:
        if name in self.world.vms:
            self.world.rename(name)

    @rule(name=ANY_VM)
    def follow_the_name(self, name: str) -> None:
        self._follow(self.engine, f"vm-{name}")

    @rule(name=st.sampled_from(["n2", "h3"]))
    def node_joins_or_leaves(self, name: str) -> None:
        self.world.change_node(name)

    @rule(data=st.data(), change=st.sampled_from(["pause", "join", "resume"]))
    def node_is_held(self, data: st.DataObject, change: str) -> None:
        self.world.hold_node(data.draw(st.sampled_from(sorted(self.world.nodes))), change)

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
        self._up(self.engine)

    @rule()
    def refresh(self) -> None:
        self._refresh(self.engine)

    @rule()
    def destroy(self) -> None:
        self._destroy(self.engine)

    @rule(after=st.none() | AFTER)
    def second_stack_is_updated(self, after: int | None) -> None:
        self._up(self.second, after)

    @rule()
    def second_stack_is_destroyed(self) -> None:
        self._destroy(self.second)

    @rule(after=st.none() | AFTER)
    def both_stacks_are_updated_at_once(self, after: int | None) -> None:
        before = set(self.second.state())
        COUNTED["two runs at once"] += 1
        COUNTED["kills"] += after is not None
        with ThreadPoolExecutor(1) as threads:
            other = threads.submit(self.second.up, after)
            self._up(self.engine)
            _judge(self.second, before, other.result(), _removed_by_up(self.second))

    @rule(after=AFTER)
    def up_is_killed(self, after: int) -> None:
        self._up(self.engine, after)

    @rule(after=AFTER)
    def refresh_is_killed(self, after: int) -> None:
        self._refresh(self.engine, after)

    @rule(after=AFTER)
    def destroy_is_killed(self, after: int) -> None:
        self._destroy(self.engine, after)

    @precondition(lambda self: self.engine.program)
    @rule(data=st.data())
    def adopt(self, data: st.DataObject) -> None:
        names = sorted(name for name in self.engine.program if name not in self.engine.state())
        if names:
            name = data.draw(st.sampled_from(names))
            self._command(self.engine, lambda: self.engine.adopt(name, self._imported(name)), lambda _: False)

    @rule()
    def settle(self) -> None:
        self.world.heal()
        for engine in (self.engine, self.second):
            for name in list(engine.program):
                if self._is_gone(name):
                    del engine.program[name]
                self._follow(engine, name)
        for engine in 2 * (self.engine, self.second):  # the first one licenses all hosts
            _require_done(self._refresh(engine))
            _require_done(self._up(engine))
        for engine in (self.engine, self.second):
            self._require_nothing_to_do(engine)
        COUNTED["convergences"] += 1

    def _require_nothing_to_do(self, engine: Engine) -> None:
        assert set(engine.state()) == set(engine.program)
        for name in engine.program:
            assert self._is_reached(name), f"{name} is not as declared"
        before = self.world.changes()
        for command in (engine.preview, engine.refresh, engine.preview, engine.up):
            _require_done(self._command(engine, command, lambda _: False))
        assert self.world.changes() == before

    @invariant()
    def nothing_is_spent_twice(self) -> None:
        COUNTED["steps"] += 1
        self.world.observe()

    def _up(self, engine: Engine, after: int | None = None) -> Outcome:
        return self._command(engine, lambda: engine.up(after), _removed_by_up(engine), after)

    def _refresh(self, engine: Engine, after: int | None = None) -> Outcome:
        return self._command(engine, lambda: engine.refresh(after), self._is_gone, after)

    def _destroy(self, engine: Engine, after: int | None = None) -> Outcome:
        return self._command(engine, lambda: engine.destroy(after), lambda _: True, after)

    def _command(
        self,
        engine: Engine,
        command: Callable[[], Outcome],
        may_leave: Callable[[str], bool],
        after: int | None = None,
    ) -> Outcome:
        before = set(engine.state())
        COUNTED["kills"] += after is not None
        outcome = command()
        self.world.observe()
        _judge(engine, before, outcome, may_leave)
        return outcome

    def _is_gone(self, name: str) -> bool:
        return name.startswith("vm-") and name.removeprefix("vm-") not in self.world.vms

    def _is_reached(self, name: str) -> bool:
        if name == "cluster":
            return all(self.world.is_licensed(node) for node in self.world.nodes)
        if name in HOSTS:
            return self.world.is_licensed(name)
        return self.world.is_activated(name.removeprefix("vm-"))

    def _imported(self, name: str) -> str:
        declared = self.engine.program[name].properties
        if name == "cluster":
            return str(declared["cluster"])
        if name in HOSTS:
            return str(declared["host"])
        return f"{','.join(HOSTS.values())}/{declared['vmName']}"

    def _follow(self, engine: Engine, name: str) -> None:
        """Declare the present name of a VM."""
        if name.startswith("vm-") and name in engine.program:
            engine.program[name] = program.renamed(engine.program[name], self.world.name_of(name.removeprefix("vm-")))


def _removed_by_up(engine: Engine) -> Callable[[str], bool]:
    """Return whether an update may delete a resource: it is not declared, or its VM is another one now."""
    return lambda name: name not in engine.program or name.startswith("vm-")


def _judge(engine: Engine, before: set[str], outcome: Outcome, may_leave: Callable[[str], bool]) -> None:
    """Require that a command lost no resource, and that its messages end with the command that explains them."""
    COUNTED["commands"] += 1
    COUNTED["failed commands"] += not outcome.done
    lost = [name for name in before - set(engine.state()) if not may_leave(name)]
    assert not lost, f"{lost} left the state: {outcome.messages}"
    unexplained = [text for text in outcome.messages if text and "avma explain" not in text]
    assert not unexplained or outcome.done, unexplained


def _activations(guests: set[str]) -> dict[str, program.Declared]:
    return {f"vm-{name}": program.vm_activation(name) for name in sorted(guests)}


def _require_done(outcome: Outcome) -> None:
    assert outcome.done, outcome.messages
