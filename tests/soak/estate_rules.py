"""The rules of a random run that change machines and programs. `estate_machine` contains those with commands."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import yaml
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from avma_simulator import load_estate, running
from soak import program
from soak.faults import ANY_HOST, ANY_VM
from soak.plugin_engine import PluginEngine
from soak.program import Engine
from soak.world import HOST_KEYS, HOSTS, VMS, World, estate

STACK = st.sampled_from(["first", "second"])
_SOME_VMS = st.sets(st.sampled_from(sorted(VMS)), min_size=2)
GUESTS = "guests"
"""The name of the resource that activates all VMs, in each program."""
_ON_DELETE_OF_GUESTS = st.sampled_from(["retain", "uninstallKey", "restoreKmsClientKey"])
_ON_DELETE: tuple[dict[str, Any], ...] = (
    {"onDelete": "retain"},
    {"onDelete": "uninstallKey", "forceDestroy": False},
    {"onDelete": "uninstallKey", "forceDestroy": True},
)


class EstateRules(RuleBasedStateMachine):
    """The machines and both stacks. `key` is the key of hosts that the programs declare from now on."""

    def __init__(self) -> None:
        super().__init__()
        self.opened = ExitStack()
        folder = Path(self.opened.enter_context(tempfile.TemporaryDirectory()))
        (folder / "estate.yaml").write_text(yaml.safe_dump(estate()))
        self.world = World(self.opened.enter_context(running(load_estate(folder / "estate.yaml"))))
        self.key = HOST_KEYS[0]
        self.engine = self.new_engine(folder / "first")
        self.second = self.new_engine(folder / "second")
        self.stacks = {"first": self.engine, "second": self.second}

    def new_engine(self, folder: Path) -> Engine:
        """Return the engine of a stack. `folder` is its own."""
        return PluginEngine(self.world.requests)

    @initialize(whole=st.booleans(), guests=_SOME_VMS, hosts=st.sets(ANY_HOST), shared=_SOME_VMS | st.none())
    def declare_first(self, whole: bool, guests: set[str], hosts: set[str], shared: set[str] | None) -> None:
        nodes = {"cluster": program.cluster_license(self.key)} if whole else self._hosts({"n1", "n2"})
        self.engine.program = {**nodes, **self._hosts({"h3"}), **_activations(guests)}
        activations = {GUESTS: program.cluster_activation()} if shared is None else _activations(shared)
        self.second.program = {**self._hosts(hosts), **activations}

    @rule(name=ANY_VM, on_delete=_ON_DELETE_OF_GUESTS)
    def declare(self, name: str, on_delete: str) -> None:
        self.engine.program[f"vm-{name}"] = program.vm_activation(name, on_delete)

    @rule(name=ANY_VM)
    def withdraw(self, name: str) -> None:
        self.engine.program.pop(f"vm-{name}", None)

    @rule(stack=STACK, on_delete=_ON_DELETE_OF_GUESTS)
    def declare_all_guests(self, stack: str, on_delete: str) -> None:
        self.stacks[stack].program[GUESTS] = program.cluster_activation(on_delete)

    @rule(stack=STACK)
    def withdraw_all_guests(self, stack: str) -> None:
        self.stacks[stack].program.pop(GUESTS, None)

    @rule()
    def switch_between_hosts_and_cluster(self) -> None:
        declared = self.engine.program
        if declared.pop("cluster", None):
            declared.update(self._hosts({"n1", "n2"}))
        else:
            declared.pop("n1"), declared.pop("n2")
            declared["cluster"] = program.cluster_license(self.key)

    @rule(stack=STACK, name=st.sampled_from(["cluster", *HOSTS]), key=st.sampled_from(HOST_KEYS))
    def change_key(self, stack: str, name: str, key: str) -> None:
        """Declare another key for one resource. In the cluster, the same host can then have two keys declared."""
        self.key = key
        self._edit(self.stacks[stack], name, productKey=key)

    @rule(stack=STACK, name=ANY_HOST, on_delete=st.sampled_from(_ON_DELETE))
    def change_deletion(self, stack: str, name: str, on_delete: dict[str, Any]) -> None:
        self._edit(self.stacks[stack], name, **on_delete)

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
        self.follow(self.engine, f"vm-{name}")

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

    def use_one_key(self) -> None:
        """Declare the same key for all hosts. Two keys for one host are a conflict that no stack can end."""
        for engine in self.stacks.values():
            for name, declared in engine.program.items():
                if declared.licenses_hosts:
                    self._edit(engine, name, productKey=self.key)

    def follow(self, engine: Engine, name: str) -> None:
        """Declare the present name of a VM."""
        if name.startswith("vm-"):
            self._edit(engine, name, vmName=self.world.name_of(name.removeprefix("vm-")))

    def _hosts(self, names: set[str]) -> dict[str, program.Declared]:
        return {name: program.host_license(name, self.key) for name in sorted(names)}

    @staticmethod
    def _edit(engine: Engine, name: str, **properties: Any) -> None:
        if name in engine.program:
            engine.program[name] = program.edited(engine.program[name], **properties)


def _activations(guests: set[str]) -> dict[str, program.Declared]:
    return {f"vm-{name}": program.vm_activation(name) for name in sorted(guests)}
