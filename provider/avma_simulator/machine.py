"""One machine as it is now: its Windows, its licensing, its power; and the guest that a VM is to its host.

The module knows the declared machine and behaviour. It knows no other machine but a guest's host, no WMI and no
network.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from enum import IntEnum
from typing import Any

from avma_simulator import estate, events, fields, hosting
from avma_simulator.accounts import Account, Accounts, Domain
from avma_simulator.automatic_activation import AutomaticActivation
from avma_simulator.keys import KeyStore
from avma_simulator.licensing import LicenseStatus, Licensing
from avma_simulator.lockout import Lockout
from avma_simulator.refusal import Refusal
from avma_simulator.script_blocks import ScriptBlockLog
from avma_simulator.trouble import Trouble
from avma_simulator.windows import Windows

_UP_BEFORE = timedelta(days=1)
"""How long a machine has been running when the estate begins."""
_CREATED_BEFORE = timedelta(days=30)
_MOST_OPERATIONS, _LONGEST_OPERATION = 1000, 200


@dataclass
class Counts:
    """What a machine was asked since the counts were last reset."""

    requests: int = 0
    connections: int = 0
    handshakes: int = 0
    shells: int = 0
    processes: int = 0
    pools: int = 0
    pipelines: int = 0
    operations: Counter[str] = field(default_factory=Counter)
    logons: Counter[str] = field(default_factory=Counter)

    def count(self, operation: str) -> None:
        """Count an operation; anyone can invent names, so only so many are told apart."""
        known = operation in self.operations or len(self.operations) < _MOST_OPERATIONS
        self.operations[operation[:_LONGEST_OPERATION] if known else "other"] += 1

    def as_json(self) -> dict[str, Any]:
        """Return the counts as the control endpoint shows them."""
        counted = {name: dict(sorted(getattr(self, name).items())) for name in ("operations", "logons")}
        return {**vars(self), **counted}


class Machine:
    """A machine with Windows on it: a physical one by itself, a guest by its subclass."""

    kind = "host"

    def __init__(self, name: str, identifier: str, spec: estate.Machine, store: KeyStore) -> None:
        self.name = name
        self.identifier = identifier
        self.spec = spec
        self.join(None, (), Lockout(None))
        self.windows = Windows(spec.version, spec.edition, spec.evaluation, spec.server_core)
        self.licensing = Licensing(identifier, self.windows, store, self.activating_host, spec.delays.activation)
        self.licensing.online = spec.online
        self.licensing.pays_as_it_goes = isinstance(spec, estate.Host) and spec.pay_as_you_go
        self.automatic_activation: AutomaticActivation | None = None
        if isinstance(spec, estate.Host) and self.windows.azure_local:
            self.automatic_activation = AutomaticActivation(self.licensing, store, identifier, spec)
        self.time_zone = timezone(timedelta(minutes=spec.utc_offset))
        self.started = datetime.now(timezone.utc) - _UP_BEFORE
        self.counts = Counts()
        self.under_way = 0
        self._on = True
        self.trouble = Trouble(spec.faults)
        self.rights: str = spec.rights
        self.stopped_services: set[str] = set(spec.stopped_services)
        self.log = events.EventLog()
        self.script_blocks = ScriptBlockLog()

    def join(self, domain: Domain | None, accounts: Sequence[Account], lockout: Lockout) -> None:
        """Make the machine a member of a domain, or of a workgroup, that accepts these accounts."""
        self.domain = domain
        self.accounts = Accounts(self.computer_name, accounts, lockout)

    @property
    def computer_name(self) -> str:
        """The NetBIOS name of the machine."""
        return self.spec.computer_name

    @property
    def full_name(self) -> str:
        """The name in DNS: with the domain of a member, and not cut to the length of NetBIOS names."""
        name = self.spec.dns_host_name
        return name if self.domain is None else f"{name}.{self.domain.dns_name}"

    @property
    def running(self) -> bool:
        """Whether the machine is on."""
        return self._on

    @property
    def ready(self) -> bool:
        """Whether the machine can be reached: it is on, and Windows is set up."""
        return self.running and not self.seconds_to_ready

    @property
    def seconds_to_ready(self) -> float:
        """How long Windows still sets itself up."""
        return 0.0

    @property
    def windows_loaded(self) -> bool:
        """Whether Windows runs, or goes on later without a start."""
        return self.running

    def turn(self, state: fields.VmState) -> None:
        """Bring the machine into a state; `boot` is what follows when Windows starts."""
        self._on = state == "running"

    def boot(self) -> None:
        """Start Windows."""
        self.started = datetime.now(timezone.utc)
        self.licensing.try_to_activate_itself()

    def activating_host(self) -> str:
        """Return the name of the host that activates this machine.

        Raises:
            Refusal: always, as a physical machine has none.
        """
        refusal = Refusal("SL_E_IA_INVALID_VIRTUALIZATION_PLATFORM")
        self.log.write(events.GUEST, refusal.hresult.value)
        raise refusal

    def as_json(self) -> dict[str, Any]:
        """Return the licensing state as the control endpoint shows it: no full key."""
        current = self.licensing.license
        local = self.automatic_activation
        return ({} if local is None else {"automaticActivation": local.as_json()}) | {
            "name": self.name,
            "id": self.identifier,
            "kind": self.kind,
            "running": self.running,
            "version": self.windows.version,
            "edition": self.windows.edition,
            "evaluation": self.windows.evaluation,
            "status": (current.status if current else LicenseStatus.Unlicensed).name,
            "channel": current.product_key.channel.value[0] if current else None,
            "partialProductKey": current.product_key.partial if current else None,
            "online": self.licensing.online,
            "activatedByHost": (current.activated_by or None) if current else None,
        }


class Replication(IntEnum):
    """`Msvm_ComputerSystem.ReplicationMode`, in Microsoft's words."""

    NONE = 0
    PRIMARY = 1
    RECOVERY = 2


class Guest(Machine):
    """The Windows in a VM, or its Linux."""

    kind = "vm"

    def __init__(self, spec: estate.Vm, vm_id: str, host: Machine, store: KeyStore) -> None:
        self.host = host
        self.created = datetime.now(timezone.utc) - _CREATED_BEFORE
        self.data_exchange = spec.data_exchange
        self.data_exchange_items = spec.data_exchange_items
        self._ready_after = spec.ready_after
        self.has_network = spec.network
        self.linux = spec.linux
        self.replication = Replication.PRIMARY if spec.replica else Replication.NONE
        self.reported_addresses = spec.reported_addresses or (spec.address,)
        super().__init__(spec.name, vm_id, spec, store)
        self.turn(spec.state)
        self.set_up(spec.ready_after)

    @property
    def running(self) -> bool:
        """Whether the VM is running, which it can only be on a host that is."""
        return self.state == "running"

    @property
    def state(self) -> fields.VmState:
        """The state of the VM. On a host that is off, every VM is off."""
        return self._state if self.host.running else "off"

    @property
    def windows_loaded(self) -> bool:
        """Whether Windows runs, or goes on later without a start: a saved VM has its memory on disk."""
        return self.state != "off"

    def turn(self, state: fields.VmState) -> None:
        """Bring the VM into a state."""
        self._state = state

    @property
    def seconds_to_ready(self) -> float:
        """How long Windows still sets itself up."""
        return max(0.0, self._ready_at - time.monotonic())

    def set_up(self, seconds: float) -> None:
        """Let Windows set itself up for so long, during which nothing reaches it and it tells its host nothing."""
        self._ready_at = time.monotonic() + seconds
        if seconds:
            self.started = datetime.now(timezone.utc)

    def boot(self) -> None:
        """Start Windows, which may set itself up first."""
        super().boot()
        self.set_up(self._ready_after)

    @property
    def speaks_directly(self) -> bool:
        """Whether PowerShell Direct reaches it."""
        return self.linux is None and self.windows.speaks_directly

    def move(self, host: Machine) -> None:
        """Go to another host, in flight or switched off; what flies is bound to the new host at once."""
        flies = self.running
        self.host = host
        if flies:
            self.licensing.bind_again()

    def activating_host(self) -> str:
        """Return the name of the host, if it activates this guest; both write down what came of it.

        Raises:
            Refusal: the host does not.
        """
        number = 0
        try:
            self._ask()
        except Refusal as refusal:
            number = refusal.hresult.value
            raise
        finally:
            self.log.write(events.GUEST, number, self.host.computer_name)
            if self.data_exchange:
                self.host.log.write(events.HOST, number, self.name, self.identifier)
        return self.host.computer_name

    def _ask(self) -> None:
        # Reported of an activated Datacenter VM in Azure. Inferred: a nested host activates nobody anywhere.
        if isinstance(self.host, Guest):
            raise Refusal("SL_E_IA_PARENT_PARTITION_NOT_ACTIVATED")
        # Inferred: without Data Exchange the guest finds no host that could answer.
        if not self.data_exchange:
            raise Refusal("SL_E_IA_INVALID_VIRTUALIZATION_PLATFORM")
        if self.host.automatic_activation is not None:
            self.host.automatic_activation.require(self.windows)
        else:
            hosting.require(self.host.licensing, self.windows)

    def as_json(self) -> dict[str, Any]:
        """Return the licensing state, and where the VM is."""
        place: dict[str, Any] = {
            "host": self.host.name,
            "ready": self.ready,
            "dataExchange": self.data_exchange,
            "state": self.state,
        }
        if self.linux is not None:
            place |= {"version": None, "edition": None, "linux": f"{self.linux.name} {self.linux.version}"}
        return {**super().as_json(), **place}
