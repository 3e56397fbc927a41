"""Find a VM on its hosts."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from avma import characters, errors
from avma.resources.resource import Operation
from avma.windows import hyperv
from avma.windows.hyperv import VirtualMachine, to_running
from avma.windows.machine import Server
from avma.wording import APPLY, REFRESH, RUN_AGAIN, setting


@dataclass(frozen=True)
class Placement:
    """A VM and its current host. `listed` contains all VMs of the searched hosts."""

    vm: VirtualMachine
    host: Server
    listed: tuple[VirtualMachine, ...] = ()

    def namesake(self, name: str | None) -> VirtualMachine | None:
        """Return another VM with the name. None if no other VM or this one has it."""
        if name is None or name.lower() == self.vm.name.lower():
            return None
        return next((vm for vm in self.listed if vm.id != self.vm.id and vm.name.lower() == name.lower()), None)

    @property
    def where(self) -> str:
        """The VM's name in errors."""
        return f"{self.vm.name} (host {self.host.connection.place})"


def find_vm(hosts: Sequence[Server], name_or_id: str, operation: Operation) -> Placement | None:
    """Return the VM of that name or id from any of the hosts. None if no host lists it.

    Raises:
        Refused: several VMs have the name.
        AvmaError: the VM was not found, and a host could not be queried. The VM may be there.
    """
    likely = _likely(hosts, name_or_id, operation)
    if likely is not None:
        placement = _found_again(likely, name_or_id, operation)
        if placement is not None:
            return placement
    return _search(hosts, name_or_id, operation)


@dataclass(frozen=True)
class _Likely:
    """The host that probably runs a VM, and the recently listed VMs of the other hosts."""

    host: Server
    elsewhere: tuple[VirtualMachine, ...]


def _likely(hosts: Sequence[Server], name_or_id: str, operation: Operation) -> _Likely | None:
    """Return the one host that recently listed the VM, for an operation that changes something.

    The operation reads that host again, instead of all nodes of a cluster. Other operations accept recent listings.
    """
    age = operation.configuration.max_age
    if len(hosts) == 1 or operation.deadline.max_age:
        return None
    listings = {host: host.recent_virtual_machines(age) for host in hosts}
    found, elsewhere = [], []
    for host, vms in listings.items():
        if vms is None:
            return None
        found += [host for vm in vms if _matches(vm, name_or_id)]
        elsewhere += [(host, vm) for vm in vms]
    if len(found) != 1:
        return None
    return _Likely(found[0], tuple(vm for host, vm in elsewhere if host is not found[0]))


def _found_again(likely: _Likely, name_or_id: str, operation: Operation) -> Placement | None:
    """Return the VM if its likely host still runs it. If that host does not answer, the VM may be on another one."""
    try:
        placement = _search([likely.host], name_or_id, operation.in_share())
    except errors.Cancelled:
        raise
    except errors.AvmaError:
        return None
    if placement is None or not placement.vm.running:
        return None
    return replace(placement, listed=(*placement.listed, *likely.elsewhere))


def _matches(vm: VirtualMachine, name_or_id: str) -> bool:
    """Return True if a VM has the name or the id. No VM has the id of another one because of its name."""
    vm_id = hyperv.canonical_vm_id(name_or_id)
    return vm.id == vm_id if vm_id else vm.name.lower() == name_or_id.lower()


def _search(hosts: Sequence[Server], name_or_id: str, operation: Operation) -> Placement | None:
    listed: list[Placement] = []
    trouble: list[errors.AvmaError] = []
    for host, answer in zip(hosts, _listings(hosts, operation), strict=True):
        if isinstance(answer, errors.AvmaError):
            trouble.append(answer)
        else:
            listed += [Placement(vm, host) for vm in answer]
    found = [placement for placement in listed if _matches(placement.vm, name_or_id)]
    if not found and trouble:
        raise trouble[0] if len(hosts) == 1 else _may_be_there(trouble)
    one = _one(found, name_or_id, hosts)
    return replace(one, listed=tuple(placement.vm for placement in listed)) if one else None


def _may_be_there(trouble: Sequence[errors.AvmaError]) -> errors.AvmaError:
    """Return the error of the first host without an answer, for a VM that no other one lists.

    A stopped run keeps its own words.
    """
    canceled = next((each for each in trouble if isinstance(each, errors.Cancelled)), None)
    if canceled is not None:
        return canceled
    error, others = trouble[0], [each.where for each in trouble[1:]]
    places = f"on this host or on {', '.join(others)}" if others else "on this host"
    answer = f"{error.answer}, and the VM may be {places}, because no other host lists it"
    remedy = f"{error.remedy}; if the host is in maintenance, move the VM to another host in {setting('hosts')}"
    return error.but(answer=answer, remedy=remedy)


def require_vm(hosts: Sequence[Server], name_or_id: str, operation: Operation) -> Placement:
    """Return the VM of that name or id. `find_vm` lists further errors.

    Raises:
        NotFound: none of the hosts has such a VM.
    """
    placement = find_vm(hosts, name_or_id, operation)
    if placement is None:
        where = ", ".join(host.where for host in hosts)
        remedy = (
            f"check the name; if the VM moves between hosts, list all of them in {setting('hosts')}; if the VM was "
            f"created again, {REFRESH} first"
        )
        raise errors.NotFound("find the VM", where, f"there is no VM {characters.shown(name_or_id)}", remedy)
    return placement


def require_absent(hosts: Sequence[Server], vm_id: str, operation: Operation) -> None:
    """Raise Refused if one of these hosts, which a resource does not declare, has the VM.

    Raises:
        Refused: it has.
        AvmaError: a host could not be queried.
    """
    placement = find_vm(hosts, vm_id, operation) if hosts else None
    if placement is not None:
        answer = f"the VM {placement.vm.name} is on this host, and the resource does not declare the host"
        remedy = f"add the host to {setting('hosts')}, or move the VM, then {APPLY}"
        raise errors.Refused("find the VM on its declared hosts", placement.host.where, answer, remedy)


def _listings(hosts: Sequence[Server], operation: Operation) -> list[Sequence[VirtualMachine] | errors.AvmaError]:
    """Return the VMs of each host, or its error. If several hosts must be read, they are read in parallel.

    One that never answers leaves time for the rest of the operation.
    """
    unknown = [host for host in hosts if not host.has_fresh_virtual_machines(operation.deadline)]
    in_time = operation.in_share() if len(hosts) > 1 else operation
    if len(unknown) <= 1:
        return [_list_vms(host, in_time) for host in hosts]
    with ThreadPoolExecutor(len(hosts)) as threads:
        return list(threads.map(lambda host: _list_vms(host, in_time), hosts))


def _list_vms(host: Server, operation: Operation) -> Sequence[VirtualMachine] | errors.AvmaError:
    try:
        return host.virtual_machines(operation.deadline)
    except errors.AvmaError as error:
        return error


def _one(found: Sequence[Placement], name_or_id: str, hosts: Sequence[Server]) -> Placement | None:
    """Return the one matching VM. During a migration, two hosts can list it: the running one counts."""
    ids = sorted({placement.vm.id for placement in found})
    if len(ids) > 1:
        where = ", ".join(host.where for host in hosts)
        answer = f"{len(ids)} VMs are named {characters.shown(name_or_id)}: {', '.join(ids)}"
        raise errors.Refused("find the VM", where, answer, f"set {setting('vm_id')} to the id of one of them")
    return next(iter(sorted(found, key=lambda placement: not placement.vm.running)), None)


def require_running(placement: Placement) -> None:
    """Raise NotReady unless the VM is running."""
    vm = placement.vm
    if not vm.running:
        remedy = f"{to_running(vm.state, vm.id)}, then {RUN_AGAIN}"
        raise errors.NotReady(
            "reach the guest", placement.host.where, f"the state of the VM {vm.name} is {vm.state.value}", remedy
        )
