"""Data Exchange between a host and the guests in its VMs: their reports, and the integration service of a VM."""

from __future__ import annotations

from collections.abc import Mapping

from avma import errors
from avma.resources.placement import Placement
from avma.resources.resource import Operation
from avma.windows import hyperv
from avma.windows.hyperv import DataExchange, GuestFacts, VirtualMachine, on_vm
from avma.wording import RUN_AGAIN, setting
from avma.wsman import retry

_KVP = "2A34B1C2-FD73-4043-8A5B-DD2159BC743F"
"""The id of the Data Exchange integration service. It is the same in every language of Windows."""
NOT_LISTED = (
    "the host reports no Data Exchange data for this VM (Msvm_KvpExchangeComponent). The VM has just started, its Data "
    "Exchange is off, or the host account lacks the right to read the data"
)
MALFORMED = "the guest reports malformed data through Data Exchange"
_UNKNOWN = "The name, version and addresses of the guest are unknown"


def facts_of(placement: Placement, operation: Operation) -> GuestFacts:
    """Return the report of a guest through Data Exchange. Warn if its data is malformed."""
    return facts_in(placement.host.guest_facts(operation.deadline), placement.vm, operation)


def facts_in(listing: Mapping[str, GuestFacts], vm: VirtualMachine, operation: Operation) -> GuestFacts:
    """Return the report of a guest from the listing of its host. Warn if a running VM is missing there."""
    facts = hyperv.facts_of_vm(listing, vm)
    if not facts.listed:
        operation.warn(f"{vm.name}: {NOT_LISTED}. {_UNKNOWN}")
    if facts.malformed:
        operation.warn(f"{vm.name}: {MALFORMED}. {_UNKNOWN}")
    return facts


def switch_data_exchange_on(vm_id: str) -> str:
    """Return the PowerShell command to turn on Data Exchange. It works in every language of Windows."""
    return on_vm(vm_id, f"Get-VMIntegrationService | Where-Object Id -like '*{_KVP}' | Enable-VMIntegrationService")


def require_data_exchange(placement: Placement, may_turn_on: bool, operation: Operation) -> DataExchange | None:
    """Return the setting of the VM's Data Exchange if it is off and the provider may turn it on, otherwise None.

    Raises:
        DataExchangeOff: it is off, and the provider may not turn it on.
    """
    vm, host = placement.vm, placement.host
    switch = host.data_exchange(operation.deadline).get(vm.id)
    if switch is None or switch.enabled:
        return None
    if not may_turn_on:
        answer = f"the Data Exchange integration service of {vm.name} is off, and Windows requires it for activation"
        allow = setting("manage_data_exchange", True)
        remedy = f"set {allow}, or run `{switch_data_exchange_on(vm.id)}` on the host"
        raise errors.DataExchangeOff("activate the guest", host.where, answer, remedy)
    return switch


def turn_on_data_exchange(placement: Placement, may_turn_on: bool, operation: Operation) -> None:
    """Turn on the VM's Data Exchange if it is off, and wait until the host reports it as on.

    Raises:
        DataExchangeOff: it is off, and the provider may not turn it on.
    """
    switch = require_data_exchange(placement, may_turn_on, operation)
    if switch is None:
        return
    operation.status(f"{placement.vm.name}: turning on Data Exchange")
    hyperv.enable_data_exchange(placement.host.wmi, switch, operation.deadline)
    with retry.proof("turn on Data Exchange", "the provider requested it"):
        _await_data_exchange(placement, operation)


def _await_data_exchange(placement: Placement, operation: Operation) -> None:
    """Wait until the host reports Data Exchange as on."""
    vm, host = placement.vm, placement.host
    while True:
        switch = host.data_exchange(operation.deadline).get(vm.id)
        if switch is None:
            answer = f"the VM {vm.name} left the host while the provider turned on its Data Exchange"
            raise errors.NotReady("turn on Data Exchange", host.where, answer, RUN_AGAIN)
        if switch.enabled:
            return
        operation.deadline.wait(1.0, "turn on Data Exchange", host.where)
