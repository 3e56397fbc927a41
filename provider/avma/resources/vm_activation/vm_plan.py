"""The plan of an activation: the VM, its host and its guest, after all rules have passed."""

from __future__ import annotations

from dataclasses import dataclass

from avma.addresses import canonical
from avma.resources import guest_access, host_state, preconditions
from avma.resources.guest_access import Placement
from avma.resources.host_state import HostState
from avma.resources.resource import Operation
from avma.resources.vm_activation.vm_properties import VmActivationInputs
from avma.resources.vm_activation.wait_for_guest import WaitLimit, await_guest, may_be_in_setup
from avma.resources.vm_activation.wait_for_license import await_license
from avma.windows.hyperv import VirtualMachine
from avma.windows.licensing import Licensing
from avma.windows.machine import Machine, Server


@dataclass(frozen=True)
class VmPlan:
    """The facts for an activation that no rule forbids."""

    vm: VirtualMachine
    host: HostState
    guest: Machine
    found: Licensing
    since: int
    """The number of changes by this process when the guest was read."""
    product_key: str


def locate(inputs: VmActivationInputs, operation: Operation) -> tuple[VirtualMachine, Licensing]:
    """Return a VM and the license in it.

    Raises:
        AvmaError: the VM is missing or not running, or its guest could not be queried.
    """
    placement = guest_access.require_vm(servers_of(inputs, operation), inputs.vm_name or inputs.vm_id or "", operation)
    guest_access.require_running(placement)
    return placement.vm, guest_access.connect(placement, inputs.guest, operation).licensing(operation.deadline)


def find_vm(
    inputs: VmActivationInputs, vm_id: str | None, operation: Operation, preview: bool
) -> tuple[Placement, HostState]:
    """Return the place of the VM, and the state of its host. `vm_id` has precedence over the name.

    Raises:
        Refused: the host cannot activate guests.
        AvmaError: the VM is missing, or the host could not be queried.
    """
    name = inputs.vm_name or inputs.vm_id or ""
    servers = servers_of(inputs, operation)
    where = f" on {len(servers)} hosts" if len(servers) > 1 else ""
    operation.status(f"{name}: looking for the VM{where}")
    placement = guest_access.require_vm(servers, vm_id or name, operation)
    host = await_license(host_state.look(placement.host, operation), placement.vm.name, operation, preview)
    preconditions.require_activating(host)
    return placement, host


def make_plan(
    inputs: VmActivationInputs,
    operation: Operation,
    vm_id: str | None = None,
    preview: bool = False,
    patience: WaitLimit | None = None,
) -> VmPlan:
    """Read the host, the VM and the guest. Change nothing but the VM's Data Exchange, if that is allowed.

    `vm_id` has precedence over the name. With `patience`, wait for a VM that is being provisioned.

    Raises:
        AvmaError: the activation is not possible now.
    """
    first, host = find_vm(inputs, vm_id, operation, preview)

    def reach(placement: Placement) -> tuple[Machine, Licensing, int]:
        guest_access.require_running(placement)
        guest_access.require_data_exchange(placement, inputs.manage_data_exchange, preview, operation)
        with guest_access.naming_other_systems(placement, operation), may_be_in_setup(placement.vm):
            guest = guest_access.connect(placement, inputs.guest, operation)
            operation.status(f"{guest.name}: reading the license")
            # Read the counter first, so that a change by another thread during the read is noticed.
            since = guest.turns.changes
            return guest, guest.licensing(operation.deadline), since

    def where_now() -> Placement:
        return guest_access.require_vm(servers_of(inputs, operation), first.vm.id, operation)

    if patience is None:
        placement, (guest, found, since) = first, reach(first)
    else:
        placement, (guest, found, since) = await_guest(first, where_now, reach, patience, operation)
    if placement.host is not first.host:
        _, host = find_vm(inputs, first.vm.id, operation, preview)
    key = preconditions.avma_key(found.system, host, inputs.product_key, guest.where)
    return VmPlan(placement.vm, host, guest, found, since, key)


def servers_of(inputs: VmActivationInputs, operation: Operation) -> list[Server]:
    """Return the possible hosts of the VM."""
    names = {canonical(name): name for name in inputs.hosts or [inputs.host or ""]}
    return [operation.machine(name, inputs.connection, operation.configuration) for name in names.values()]
