"""Find the declared VM of a VmActivation on its declared hosts."""

from __future__ import annotations

from collections.abc import Sequence

from avma.addresses import canonical
from avma.resources.placement import Placement, find_vm, require_absent, require_vm
from avma.resources.resource import Operation
from avma.resources.vm_activation.vm_properties import VmActivationInputs, hosts_in, vm_in
from avma.windows.machine import Server


def hosts_of(inputs: VmActivationInputs, operation: Operation) -> list[Server]:
    """Return the possible hosts of the VM."""
    names = {canonical(name): name for name in inputs.hosts or [inputs.host or ""]}
    return [operation.machine(name, inputs.connection, operation.configuration) for name in names.values()]


def find_declared(
    inputs: VmActivationInputs, vm_id: str | None, hosts: Sequence[Server], operation: Operation
) -> Placement:
    """Return the VM and its host. `vm_id` has precedence over the declared name or id."""
    name = inputs.vm_name or inputs.vm_id or ""
    where = f" on {len(hosts)} hosts" if len(hosts) > 1 else ""
    operation.status(f"{name}: looking for the VM{where}")
    return require_vm(hosts, vm_id or name, operation)


def find_stored(identifier: str, inputs: VmActivationInputs, operation: Operation) -> Placement | None:
    """Return the VM of an existing resource. None if it has left its hosts.

    The identifier contains hosts that had the VM. If one of them still has it, the declared hosts are wrong.

    Raises:
        Refused: a host that is not declared has the VM.
        AvmaError: the VM was not found, and a host could not be queried.
    """
    vm_id, declared = vm_in(identifier), inputs.hosts or [inputs.host or ""]
    placement = find_vm(hosts_of(inputs, operation), vm_id, operation)
    if placement is None:
        former = sorted(hosts_in(identifier) - set(map(canonical, declared)))
        hosts = [operation.machine(name, inputs.connection, operation.configuration) for name in former]
        require_absent(hosts, vm_id, operation)
    return placement
