"""The check of one VM: its state, its Data Exchange setting, and its Windows compared with that of its host.

The check uses the Data Exchange report of the guest, so it needs no account in the guest.
"""

from __future__ import annotations

from avma.configuration import Transport
from avma.diagnosis.finding import Finding, judged
from avma.diagnosis.step import Status
from avma.errors import AvmaError
from avma.resources import data_exchange, guest_access, preconditions
from avma.resources.host_state import HostState
from avma.resources.placement import Placement
from avma.resources.resource import Operation
from avma.windows import hyperv
from avma.windows.hyperv import GuestFacts, VirtualMachine, to_running
from avma.windows.machine import Server


class VmChecks:
    """The checks of the VMs of a host. They share one read of each listing."""

    def __init__(self, server: Server, host: HostState | AvmaError, transport: Transport, operation: Operation) -> None:
        self._server = server
        self._host = host
        self._direct = transport is Transport.POWERSHELL_DIRECT
        self._operation = operation
        self._switches = server.data_exchange(operation.deadline)
        self._facts = server.guest_facts(operation.deadline)

    def vm(self, vm: VirtualMachine) -> Finding:
        """Check whether the VM can be activated, as far as its host knows."""
        state = vm.state.value
        switch = self._switches.get(vm.id)
        if switch is not None and not switch.enabled:
            return judged(f"{state}, Data Exchange off", lambda: self._require_data_exchange(vm))
        if not vm.running:
            return Finding(f"{state}: {to_running(vm.state, vm.id)} to check its Windows")
        exchange = "Data Exchange unknown" if switch is None else "Data Exchange on"
        return self._windows(f"{state}, {exchange}", hyperv.facts_of_vm(self._facts, vm))

    def _require_data_exchange(self, vm: VirtualMachine) -> None:
        data_exchange.require_data_exchange(Placement(vm, self._server), False, self._operation)

    def _windows(self, state: str, facts: GuestFacts) -> Finding:
        if not facts.listed:
            return Finding(f"{state}, {data_exchange.NOT_LISTED}", Status.WARNING)
        if facts.malformed:
            return Finding(f"{state}, {data_exchange.MALFORMED}", Status.WARNING)
        name = facts.values.get("OSName", "")
        text = f"{state}, {name or 'no operating system reported'}"
        if not name:
            return Finding(
                f"{text}: the guest is starting, or its integration services are not running", Status.WARNING
            )
        system = facts.system
        if system is None or isinstance(self._host, AvmaError):
            return Finding(text)
        host = self._host
        where = self._server.where
        found = judged(f"{text}, build {system.build}", lambda: preconditions.choose_key(system, host, None, where))
        if found.error is not None or not self._direct:
            return found
        return judged(found.text, lambda: guest_access.require_direct("the guest", system.build, where), Status.WARNING)
