"""The commands with which tests and demonstrations inspect and change a running estate.

No command returns a full product key or a password.
"""

from __future__ import annotations

from typing import Any, TypeVar, get_args

from pydantic import TypeAdapter, ValidationError

from avma_simulator import estate, fields
from avma_simulator.estate_file.reader import wording
from avma_simulator.estate_file.yaml_source import dotted
from avma_simulator.state import phone_activation
from avma_simulator.state.cluster import Cluster, NodeState
from avma_simulator.state.estate_state import EstateState
from avma_simulator.state.fault_injection import InjectedFaults
from avma_simulator.state.licensing import LicenseStatus
from avma_simulator.state.machine import Counts, Guest, Machine
from avma_simulator.winrm.network import Network

_T = TypeVar("_T")
_SERVICES = get_args(fields.WindowsService)
_HELD = {"pause": NodeState.Paused, "join": NodeState.Joining, "resume": NodeState.Up}
_LONGEST_SETUP = 3600
_LONGEST_ADVANCE = 366 * 24 * 3600
_FAULTS = TypeAdapter(tuple[estate.FaultRule, ...])
_VM = TypeAdapter(estate.Vm)
_GRANTS = TypeAdapter(estate.AccountRights)
_VM_NAME = TypeAdapter(fields.VmName)


class BadCommand(Exception):
    """A command names an object or value that does not exist."""


def _parsed(kind: TypeAdapter[_T], value: Any, what: str) -> _T:
    """Return a part of an estate that a command declares.

    Raises:
        BadCommand: an estate file does not accept the value there.
    """
    try:
        return kind.validate_python(value, strict=False)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        raise BadCommand(f"{dotted((what, *problem['loc']))}: {wording(dict(problem))}") from None


class Control:
    """The commands. Each runs in the event loop of the estate."""

    def __init__(self, state: EstateState, network: Network) -> None:
        self._state = state
        self._network = network

    async def machines(self) -> list[dict[str, Any]]:
        """Return every machine with its URLs."""
        return [self._with_urls(machine) for machine in self._state.machines]

    async def machine(self, name: str) -> dict[str, Any]:
        """Return the licensing state of a machine."""
        return self._state.machine(name).as_json()

    async def counts(self) -> dict[str, dict[str, Any]]:
        """Return the request counts of each machine, by name. If several machines share a name, the key is the ID."""
        return {
            self._label(machine): {
                **machine.counts.as_json(),
                "activations": machine.licensing.activations,
                "openShells": self._network.open_shells(machine),
            }
            for machine in self._state.machines
        }

    async def script_blocks(self, name: str) -> list[dict[str, Any]]:
        """Return the PowerShell commands that a machine received, with parameter names only."""
        return self._state.machine(name).script_blocks.as_json()

    async def module_log(self, name: str) -> list[dict[str, str]]:
        """Return the parameters of PowerShell commands on a machine, as module logging shows their values."""
        return self._state.machine(name).module_log.as_json()

    async def reset_counts(self) -> None:
        """Reset all counts to zero."""
        for machine in self._state.machines:
            machine.counts = Counts()
            machine.licensing.activations = 0

    async def keys(self) -> dict[str, int]:
        """Return the remaining activations of each declared key, by its last five characters."""
        return self._state.keys.left()

    async def failed_sign_ins(self) -> dict[str, dict[str, Any]]:
        """Return the failed sign-ins of each account and its lockout state."""
        return self._state.lockout.as_json()

    async def clock(self) -> dict[str, Any]:
        """Return the time of the estate."""
        return {"now": self._state.clock.now().isoformat()}

    async def advance_clock(self, seconds: float) -> None:
        """Move the clock of the estate forward. Delays and timeouts that are over end now.

        VMs whose provisioning is over accept connections as soon as the command returns.
        """
        if not 0 <= seconds <= _LONGEST_ADVANCE:
            raise BadCommand(f"advance must be between 0 and {_LONGEST_ADVANCE} seconds")
        self._state.clock.advance(seconds)
        await self._network.update_listeners()

    async def kms(self, available: bool) -> None:
        """Set whether a KMS host is available."""
        self._state.keys.kms = available

    async def online(self, name: str, online: bool) -> None:
        """Connect a machine to Microsoft's activation service, or disconnect it."""
        self._state.machine(name).licensing.online = online

    async def subscription(self, name: str, enabled: bool) -> None:
        """Buy or cancel the Windows Server subscription of a machine of Azure Stack HCI."""
        activation = self._state.machine(name).automatic_activation
        if activation is None:
            raise BadCommand(f"{name} is not a machine of Azure Stack HCI")
        activation.subscription = enabled

    async def confirmation_id(self, name: str) -> dict[str, str]:
        """Return the confirmation ID of the installed key, as the activation center gives it on the phone."""
        licensing = self._state.machine(name).licensing
        installation = licensing.installation_id if licensing.activates_by_phone else None
        if installation is None:
            raise BadCommand(f"{name} has no key that can be activated by phone")
        return {"installationId": installation, "confirmationId": phone_activation.confirmation_id(installation)}

    async def install_key(self, name: str, key: str) -> None:
        """Install a key, like a user at the machine.

        Raises:
            SlError: Windows rejects the key.
        """
        self._windows(name).licensing.install_key(key)

    async def uninstall_key(self, name: str) -> None:
        """Remove the installed key."""
        self._windows(name).licensing.uninstall_key()

    async def set_license(self, name: str, status: str, reason: int | None = None) -> None:
        """Change the state of the installed key.

        Without a `reason`, the `LicenseStatusReason` is the usual one of that state.
        """
        if status not in LicenseStatus.__members__:
            raise BadCommand(f"status must be one of {', '.join(LicenseStatus.__members__)}")
        machine = self._windows(name)
        host = machine.host.computer_name if isinstance(machine, Guest) else ""
        machine.licensing.set_status(LicenseStatus[status], host, reason)

    async def power(self, name: str, state: str) -> None:
        """Set the state of a VM, or turn a host and its VMs on or off.

        Machines that do not run close their listeners.
        """
        machine = self._state.machine(name)
        states = get_args(fields.VmState) if isinstance(machine, Guest) else ("running", "off")
        wanted: fields.VmState | None = next((each for each in states if each == state), None)
        if wanted is None:
            raise BadCommand(f"the state of {name} must be one of {', '.join(states)}")
        if wanted != "off" and isinstance(machine, Guest) and not machine.host.running:
            raise BadCommand(f"{machine.host.name} is off, so no VM can run there")
        self._state.power(machine, wanted)
        await self._network.update_listeners()

    async def reboot(self, name: str) -> None:
        """Restart a machine. Connections and shells are lost, and the VMs of a host restart with it."""
        await self.power(name, "off")
        await self.power(name, "running")

    async def setup(self, name: str, seconds: float) -> None:
        """Provision a VM for some seconds. Until then it has no connections and reports nothing to its host."""
        if not 0 <= seconds <= _LONGEST_SETUP:
            raise BadCommand(f"seconds must be between 0 and {_LONGEST_SETUP}")
        self._state.guest(name).set_up(seconds)
        await self._network.update_listeners()

    async def data_exchange(self, name: str, enabled: bool) -> None:
        """Turn a VM's Data Exchange service on or off."""
        self._state.guest(name).data_exchange = enabled

    async def data_exchange_items(self, name: str, items: list[str] | None) -> None:
        """Replace the Data Exchange items of a guest. None restores the original items."""
        self._state.guest(name).data_exchange_items = None if items is None else tuple(items)

    async def rights(self, name: str, rights: str) -> None:
        """Change the rights of a machine's account."""
        if rights not in get_args(fields.Rights):
            raise BadCommand(f"rights must be one of {', '.join(get_args(fields.Rights))}")
        self._state.machine(name).rights = rights

    async def grant(self, name: str, rights: dict[str, Any]) -> None:
        """Replace the rights of a machine's account: its groups, and the fields of an estate file for rights."""
        self._state.machine(name).grants = _parsed(_GRANTS, rights, "rights")

    async def service(self, name: str, service: str, running: bool) -> None:
        """Start or stop a Windows service on a machine."""
        if service not in _SERVICES:
            raise BadCommand(f"service must be one of {', '.join(_SERVICES)}")
        stopped = self._state.machine(name).stopped_services
        (stopped.discard if running else stopped.add)(service)

    async def move(self, name: str, host: str) -> None:
        """Move a VM to another host.

        A running VM moves by live migration. If the VM was off only because its host was off, it starts on the new
        host.
        """
        guest, target = self._state.guest(name), self._state.host(host)
        if guest.running and not target.running:
            raise BadCommand(f"{target.name} is off, so a running VM cannot move there")
        if target is not guest.host:
            runs = guest.running
            guest.move(target)
            if guest.running and not runs:
                guest.boot()
            await self._network.update_listeners()

    async def rename(self, name: str, new_name: str) -> None:
        """Rename a VM on its host. Its ID and its Windows do not change."""
        self._state.guest(name).name = _parsed(_VM_NAME, new_name, "name")

    async def create(self, host: str, vm: dict[str, Any]) -> dict[str, Any]:
        """Create a VM on a host and return its URLs. The declaration is that of an estate file."""
        declared = _parsed(_VM, vm, "vm")
        if declared.id is not None and any(guest.identifier == declared.id for guest in self._state.guests):
            raise BadCommand(f"another VM has the id {declared.id}")
        guest = self._state.create(self._state.host(host), declared)
        await self._network.add(guest)
        return self._with_urls(guest)

    async def delete(self, name: str) -> None:
        """Delete a VM."""
        guest = self._state.guest(name)
        self._state.guests.remove(guest)
        await self._network.remove(guest)

    async def fail_over(self, name: str) -> None:
        """Fail a VM over to the host of its replica. It restarts there, and its old host becomes the replica."""
        self._state.fail_over(self._state.guest(name))
        await self._network.update_listeners()

    async def clusters(self) -> list[dict[str, Any]]:
        """Return every cluster: its URLs, the owner of its name, and the states of its nodes."""
        return [self._cluster(cluster) for cluster in self._state.clusters]

    async def change_nodes(self, name: str, change: str, host: str) -> None:
        """Change the nodes of a cluster: add, remove, pause, join (stay in joining) or resume."""
        cluster, node = self._state.cluster(name), self._state.host(host)
        if change == "add":
            if self._state.cluster_of(node) is not None:
                raise BadCommand(f"{node.name} is already a node of a cluster")
            cluster.nodes.append(node)
        elif node not in cluster.nodes:
            raise BadCommand(f"{node.name} is not a node of {cluster.name}")
        elif change == "remove":
            cluster.leave(node)
        elif change in _HELD:
            cluster.hold(node, _HELD[change])
        else:
            raise BadCommand(f"the body must contain exactly one of add, remove, {', '.join(_HELD)}")
        await self._network.update_listeners()

    async def faults(self, name: str, rules: list[dict[str, Any]]) -> None:
        """Set the fault rules of a machine. They replace the current rules."""
        machine = self._state.machine(name)
        faults: tuple[estate.FaultRule, ...] = _parsed(_FAULTS, rules, "faults")
        machine.injected_faults = InjectedFaults(faults)

    async def present_faults(self, name: str) -> list[dict[str, Any]]:
        """Return the fault rules of a machine with their remaining times."""
        return self._state.machine(name).injected_faults.as_json()

    async def drop_connections(self, name: str) -> None:
        """Drop a machine's connections. It keeps listening."""
        for listener in self._network.listeners(self._state.machine(name)):
            listener.drop_connections()

    def _windows(self, name: str) -> Machine:
        machine = self._state.machine(name)
        if isinstance(machine, Guest) and machine.linux is not None:
            raise BadCommand(f"{name} runs Linux and has no license")
        return machine

    async def close_shells(self, name: str) -> None:
        """End the remote shells of a machine and their commands, as if their processes ended."""
        await self._network.close_shells(self._state.machine(name))

    def _with_urls(self, machine: Machine) -> dict[str, Any]:
        urls = [f"{listener.origin}/wsman" for listener in self._network.listeners(machine)]
        reach = {"name": machine.name, "id": machine.identifier, "kind": machine.kind, "urls": urls}
        return reach | {"host": machine.host.name} if isinstance(machine, Guest) else reach

    def _cluster(self, cluster: Cluster) -> dict[str, Any]:
        return {
            "name": cluster.name,
            "urls": [f"{listener.origin}/wsman" for listener in self._network.listeners(cluster)],
            "owner": cluster.owner.name if cluster.owner else None,
            "nodes": [{"name": node.name, "state": cluster.state(node).name} for node in cluster.nodes],
        }

    def _label(self, machine: Machine) -> str:
        same = [other for other in self._state.machines if other.name.lower() == machine.name.lower()]
        return machine.name if len(same) == 1 else machine.identifier
