"""The estate as it is now: machines with their licensing, which VM runs where, and which key has what left.

The module knows the declared estate and behaviour. It knows no WMI and no network.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from avma_simulator import estate
from avma_simulator.keys import Channel, KeyStore, ProductKey
from avma_simulator.licensing import LicenseStatus, Licensing
from avma_simulator.refusal import Refusal
from avma_simulator.trouble import Trouble
from avma_simulator.windows import Windows

_CHANNELS = {"MAK": Channel.MAK, "Retail": Channel.RETAIL, "OEM": Channel.OEM}


@dataclass
class Counts:
    """What a machine was asked since the counts were last reset."""

    requests: int = 0
    connections: int = 0
    handshakes: int = 0
    shells: int = 0
    processes: int = 0
    operations: Counter[str] = field(default_factory=Counter)

    def as_json(self) -> dict[str, Any]:
        """Return the counts as the control endpoint shows them."""
        return {**vars(self), "operations": dict(sorted(self.operations.items()))}


class Machine:
    """A machine with Windows on it: a physical one by itself, a guest by its subclass."""

    kind = "host"

    def __init__(self, name: str, identifier: str, spec: estate.Machine, store: KeyStore) -> None:
        self.name = name
        self.identifier = identifier
        self.spec = spec
        self.windows = Windows(spec.version, spec.edition, spec.evaluation)
        self.licensing = Licensing(identifier, self.windows, store, self.activating_host, spec.delays.activation)
        self.started = datetime.now(timezone.utc)
        self.counts = Counts()
        self.trouble = Trouble(spec.faults)

    @property
    def computer_name(self) -> str:
        """The name that Windows gives itself."""
        return re.sub(r"[^A-Z0-9-]+", "-", self.name.upper())

    @property
    def running(self) -> bool:
        """Whether the machine is on."""
        return True

    def activating_host(self) -> str:
        """Return the name of the host that activates this machine.

        Raises:
            Refusal: always, as a physical machine has none.
        """
        raise Refusal("SL_E_IA_INVALID_VIRTUALIZATION_PLATFORM")

    def as_json(self) -> dict[str, Any]:
        """Return the licensing state as the control endpoint shows it: no full key."""
        current = self.licensing.license
        return {
            "name": self.name,
            "id": self.identifier,
            "kind": self.kind,
            "version": self.windows.version,
            "edition": self.windows.edition,
            "evaluation": self.windows.evaluation,
            "status": (current.status if current else LicenseStatus.Unlicensed).name,
            "channel": current.product_key.channel.value[0] if current else None,
            "partialProductKey": current.product_key.partial if current else None,
            "activatedByHost": (current.activated_by or None) if current else None,
        }


class Guest(Machine):
    """The Windows in a VM."""

    kind = "vm"

    def __init__(self, spec: estate.Vm, vm_id: str, host: Machine, store: KeyStore) -> None:
        self.host = host
        self.data_exchange = spec.data_exchange
        self._running = spec.state == "running"
        super().__init__(spec.name, vm_id, spec, store)

    @property
    def running(self) -> bool:
        """Whether the VM is on."""
        return self._running

    def switch(self, on: bool) -> None:
        """Power the VM on or off; a guest that starts asks its host for activation."""
        if on and not self._running:
            self.started = datetime.now(timezone.utc)
            self.licensing.try_to_activate_itself()
        self._running = on

    def activating_host(self) -> str:
        """Return the name of the host, if it activates this guest.

        Raises:
            Refusal: the host does not.
        """
        # Inferred: without Data Exchange the guest finds no host that could answer.
        if not self.data_exchange:
            raise Refusal("SL_E_IA_INVALID_VIRTUALIZATION_PLATFORM")
        # Inferred: an evaluation host is refused like one that is not activated.
        windows = self.host.windows
        if not self.host.licensing.licensed or windows.edition != "Datacenter" or windows.evaluation:
            raise Refusal("SL_E_IA_PARENT_PARTITION_NOT_ACTIVATED")
        if not windows.activates(self.windows):
            raise Refusal("SL_E_IA_ID_MISMATCH")
        return self.host.computer_name

    def as_json(self) -> dict[str, Any]:
        """Return the licensing state, where the VM is and whether it runs."""
        place = {"host": self.host.name, "running": self.running, "dataExchange": self.data_exchange}
        return {**super().as_json(), **place}


class UnknownMachine(Exception):
    """No machine has that name, or several have it."""


class World:
    """All machines of an estate."""

    def __init__(self, declared: estate.Estate) -> None:
        self.keys = KeyStore(
            {
                ProductKey(key.key, _CHANNELS[key.channel], key.version, key.edition): key.activations
                for key in declared.keys
            }
        )
        self.hosts: list[Machine] = []
        self.guests: list[Guest] = []
        for host in declared.hosts:
            self._add(host)
        for machine in self.machines:
            self._restore(machine)

    @property
    def machines(self) -> list[Machine]:
        """Every machine, hosts first."""
        return [*self.hosts, *self.guests]

    def guests_of(self, host: Machine) -> list[Guest]:
        """Return the VMs that are on the host."""
        return [guest for guest in self.guests if guest.host is host]

    def machine(self, name: str) -> Machine:
        """Return the machine with that name or VM GUID.

        Raises:
            UnknownMachine: there is none, or the name is ambiguous.
        """
        wanted = name.lower()
        found = [m for m in self.machines if wanted in (m.name.lower(), m.identifier.lower())]
        if not found:
            raise UnknownMachine(f"no machine is called {name}")
        if len(found) > 1:
            raise UnknownMachine(f"{len(found)} machines are called {name}: give the VM's id")
        return found[0]

    def guest(self, name: str) -> Guest:
        """Return the VM with that name or GUID.

        Raises:
            UnknownMachine: there is none, the name is ambiguous, or it is a host's.
        """
        machine = self.machine(name)
        if not isinstance(machine, Guest):
            raise UnknownMachine(f"{name} is a host, not a VM")
        return machine

    def host(self, name: str) -> Machine:
        """Return the host with that name.

        Raises:
            UnknownMachine: there is none.
        """
        found = next((host for host in self.hosts if host.name.lower() == name.lower()), None)
        if found is None:
            raise UnknownMachine(f"no host is called {name}")
        return found

    def _add(self, declared: estate.Host) -> None:
        host = Machine(declared.name, declared.name.lower(), declared, self.keys)
        self.hosts.append(host)
        for index, vm in enumerate(declared.vms):
            self.guests.append(Guest(vm, declared.vm_id(index), host, self.keys))

    def _restore(self, machine: Machine) -> None:
        declared = machine.spec.license
        if declared is None:
            machine.licensing.install_media()
        elif declared.key is not None:
            product_key = self.keys.find(declared.key)
            if product_key is None:
                raise ValueError("the estate was not checked: a license names an unknown key")
            host = machine.host.computer_name if isinstance(machine, Guest) else ""
            machine.licensing.restore(product_key, LicenseStatus[declared.status], host)
