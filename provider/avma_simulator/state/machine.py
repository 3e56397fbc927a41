"""The current state of one machine: its Windows, its licensing and its power. Guests also have a host."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta, timezone
from enum import IntEnum
from typing import Any

from avma_simulator import estate, fields
from avma_simulator.clock import Clock
from avma_simulator.state import avma_rules, event_log, groups, session_configurations
from avma_simulator.state.accounts import Account, Accounts, Domain
from avma_simulator.state.automatic_activation import AutomaticActivation
from avma_simulator.state.fault_injection import InjectedFaults
from avma_simulator.state.keys import KeyStore
from avma_simulator.state.licensing import LicenseStatus, Licensing
from avma_simulator.state.lockout import Lockout
from avma_simulator.state.module_log import ModuleLog
from avma_simulator.state.script_blocks import ScriptBlockLog
from avma_simulator.state.sl_errors import SlError
from avma_simulator.state.windows import Windows

_UP_BEFORE = timedelta(days=1)
"""The uptime of a machine at the start of the simulation."""
_CREATED_BEFORE = timedelta(days=30)
_MOST_OPERATIONS, _LONGEST_OPERATION = 1000, 200
_MANAGEMENT = {groups.ADMINISTRATORS, groups.REMOTE_MANAGEMENT}


@dataclass
class Counts:
    """The requests to a machine since the last reset."""

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
        """Count an operation.

        Clients can invent names, so after a limit all new names count as "other".
        """
        known = operation in self.operations or len(self.operations) < _MOST_OPERATIONS
        self.operations[operation[:_LONGEST_OPERATION] if known else "other"] += 1

    def as_json(self) -> dict[str, Any]:
        """Return the counts for the control endpoint."""
        counted = {name: dict(sorted(getattr(self, name).items())) for name in ("operations", "logons")}
        return {**vars(self), **counted}


class Machine:
    """A machine with Windows. This class is a physical machine, its subclass a guest."""

    kind = "host"

    def __init__(self, name: str, identifier: str, spec: estate.Machine, store: KeyStore, clock: Clock) -> None:
        self.name = name
        self.identifier = identifier
        self.spec = spec
        self.clock = clock
        self.join(None, (), Lockout(None))
        self.windows = Windows(spec.version, spec.edition, spec.evaluation, spec.server_core)
        self.licensing = Licensing(identifier, self.windows, store, clock, self.activating_host, spec.delays.activation)
        self.licensing.online = spec.online
        self.licensing.pay_as_you_go = isinstance(spec, estate.Host) and spec.pay_as_you_go
        self.automatic_activation: AutomaticActivation | None = None
        if isinstance(spec, estate.Host) and self.windows.azure_local:
            self.automatic_activation = AutomaticActivation(self.licensing, store, identifier, spec)
        self.time_zone = timezone(timedelta(minutes=spec.utc_offset))
        self.started = clock.now() - _UP_BEFORE
        self.counts = Counts()
        self.active_requests = 0
        self._on = True
        self.injected_faults = InjectedFaults(spec.faults)
        self.rights: str = spec.rights
        self.grants: estate.AccountRights = spec
        self.session_configurations = tuple(session_configurations.load(file) for file in spec.session_configurations)
        self.stopped_services: set[str] = set(spec.stopped_services)
        self.log = event_log.EventLog(clock)
        self.script_blocks = ScriptBlockLog()
        self.module_log = ModuleLog()
        self.license_mutex = asyncio.Lock()

    def join(self, domain: Domain | None, accounts: Sequence[Account], lockout: Lockout) -> None:
        """Join the machine to a domain, or to a workgroup, and set its accounts."""
        self.domain = domain
        self.accounts = Accounts(self.computer_name, accounts, lockout)

    @property
    def computer_name(self) -> str:
        """The NetBIOS name of the machine."""
        return self.spec.computer_name

    @property
    def full_name(self) -> str:
        """The DNS name, with the domain of a member. It can be longer than a NetBIOS name."""
        name = self.spec.dns_host_name
        return name if self.domain is None else f"{name}.{self.domain.dns_name}"

    @property
    def running(self) -> bool:
        """Whether the machine is on."""
        return self._on

    @property
    def ready(self) -> bool:
        """Whether the machine accepts connections: it is on, and Windows is provisioned."""
        return self.running and not self.seconds_to_ready

    @property
    def seconds_to_ready(self) -> float:
        """The remaining seconds of provisioning."""
        return 0.0

    @property
    def windows_loaded(self) -> bool:
        """Whether Windows is loaded: it runs, or it can resume without a boot."""
        return self.running

    @property
    def accepts_management(self) -> bool:
        """Whether WinRM serves the account: an administrator, or a member of Remote Management Users."""
        member = self.grants.groups
        return self.rights != "none" if member is None else bool(_MANAGEMENT & member)

    @property
    def accepts_shells(self) -> bool:
        """Whether the account may open shells. Both groups are in the ACL of Microsoft.PowerShell."""
        return self.rights in ("administrator", "shell") if self.grants.groups is None else self.accepts_management

    def set_power_state(self, state: fields.VmState) -> None:
        """Set the power state of the machine. The caller calls `boot` if Windows starts."""
        self._on = state == "running"

    def boot(self) -> None:
        """Start Windows."""
        self.started = self.clock.now()
        self.licensing.try_to_activate_itself()

    def activating_host(self) -> str:
        """Return the name of the host that activates this machine.

        Raises:
            SlError: always, as a physical machine has no host.
        """
        error = SlError("SL_E_IA_INVALID_VIRTUALIZATION_PLATFORM")
        self.log.write(event_log.GUEST, error.hresult.value)
        raise error

    def as_json(self) -> dict[str, Any]:
        """Return the license state for the control endpoint, without full keys."""
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
    """`Msvm_ComputerSystem.ReplicationMode`, with Microsoft's names."""

    NONE = 0
    PRIMARY = 1
    RECOVERY = 2


class Guest(Machine):
    """The Windows or Linux in a VM."""

    kind = "vm"

    def __init__(self, spec: estate.Vm, vm_id: str, host: Machine, store: KeyStore, clock: Clock) -> None:
        self.host = host
        self.created = clock.now() - _CREATED_BEFORE
        self.data_exchange = spec.data_exchange
        self.data_exchange_items = spec.data_exchange_items
        self._ready_after = spec.ready_after
        self.has_network = spec.network
        self.linux = spec.linux
        self.replication = Replication.PRIMARY if spec.replica else Replication.NONE
        self.reported_addresses = spec.reported_addresses or (spec.address,)
        super().__init__(spec.name, vm_id, spec, store, clock)
        self.set_power_state(spec.state)
        self.set_up(spec.ready_after)

    @property
    def running(self) -> bool:
        """Whether the VM is running. A VM runs only on a running host."""
        return self.state == "running"

    @property
    def state(self) -> fields.VmState:
        """The state of the VM. On a host that is off, every VM is off."""
        return self._state if self.host.running else "off"

    @property
    def windows_loaded(self) -> bool:
        """Whether Windows is loaded. A saved VM has its memory on disk and resumes without a boot."""
        return self.state != "off"

    def set_power_state(self, state: fields.VmState) -> None:
        """Set the state of the VM."""
        self._state = state

    @property
    def seconds_to_ready(self) -> float:
        """The remaining seconds of provisioning."""
        return max(0.0, self._ready_at - self.clock.monotonic())

    def set_up(self, seconds: float) -> None:
        """Provision Windows for some seconds.

        Until then the guest has no connections and reports nothing to its host.
        """
        self._ready_at = self.clock.monotonic() + seconds
        if seconds:
            self.started = self.clock.now()

    def boot(self) -> None:
        """Start Windows. It may be provisioned first."""
        super().boot()
        self.set_up(self._ready_after)

    @property
    def supports_powershell_direct(self) -> bool:
        """Whether the guest supports PowerShell Direct."""
        return self.linux is None and self.windows.supports_powershell_direct

    def move(self, host: Machine) -> None:
        """Move to another host. A running guest immediately activates through the new host."""
        was_running = self.running
        self.host = host
        if was_running:
            self.licensing.activate_on_new_host()

    def activating_host(self) -> str:
        """Return the name of the host if it activates this guest. Both write the result to their event logs.

        Raises:
            SlError: the host does not activate the guest.
        """
        number = 0
        try:
            self._ask()
        except SlError as error:
            number = error.hresult.value
            raise
        finally:
            self.log.write(event_log.GUEST, number, self.host.computer_name)
            if self.data_exchange:
                self.host.log.write(event_log.HOST, number, self.name, self.identifier)
        return self.host.computer_name

    def _ask(self) -> None:
        # Reported for an activated Datacenter VM in Azure. Inferred (nested-host-activates-no-guest): also elsewhere.
        if isinstance(self.host, Guest):
            raise SlError("SL_E_IA_PARENT_PARTITION_NOT_ACTIVATED")
        # Inferred (guest-without-data-exchange-finds-no-host): the number.
        if not self.data_exchange:
            raise SlError("SL_E_IA_INVALID_VIRTUALIZATION_PLATFORM")
        if self.host.automatic_activation is not None:
            self.host.automatic_activation.require(self.windows)
        else:
            avma_rules.require(self.host.licensing, self.windows)

    def as_json(self) -> dict[str, Any]:
        """Return the license state and the location of the VM."""
        place: dict[str, Any] = {
            "host": self.host.name,
            "ready": self.ready,
            "dataExchange": self.data_exchange,
            "state": self.state,
        }
        if self.linux is not None:
            place |= {"version": None, "edition": None, "linux": f"{self.linux.name} {self.linux.version}"}
        return {**super().as_json(), **place}
