"""Finding a VM on its hosts, and the way to the Windows inside it. It knows no licensing."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from avma import errors
from avma.configuration import Guest, GuestDefaults
from avma.connection import AddressedSettings, resolve
from avma.resources.resource import Operation
from avma.windows.hyperv import VirtualMachine
from avma.windows.machine import Machine


@dataclass(frozen=True)
class Placement:
    """A VM and the host on which it is now."""

    vm: VirtualMachine
    host: Machine


def find_vm(hosts: Sequence[Machine], name_or_id: str, operation: Operation) -> Placement | None:
    """Return the VM of that name or id on whichever of the hosts it is, None when all of them say that it is not there.

    Raises:
        Refused: several VMs have the name.
        AvmaError: the VM was not found, and a host could not be asked; it may be there.
    """
    wanted = name_or_id.lower()
    found: list[Placement] = []
    trouble: list[errors.AvmaError] = []
    with ThreadPoolExecutor(len(hosts)) as threads:
        for host, answer in zip(hosts, threads.map(lambda host: _list_vms(host, operation), hosts), strict=True):
            if isinstance(answer, errors.AvmaError):
                trouble.append(answer)
            else:
                found += [Placement(vm, host) for vm in answer if wanted in (vm.id, vm.name.lower())]
    if not found and trouble:
        raise trouble[0]
    return _one(found, name_or_id, hosts)


def require_vm(hosts: Sequence[Machine], name_or_id: str, operation: Operation) -> Placement:
    """Return the VM of that name or id; errors as for `find_vm`.

    Raises:
        NotFound: none of the hosts has such a VM.
    """
    placement = find_vm(hosts, name_or_id, operation)
    if placement is None:
        where = ", ".join(host.where for host in hosts)
        remedy = "check the name; a VM that moves between hosts is followed when `hosts` names them all"
        raise errors.NotFound("find the VM", where, f"there is no VM {name_or_id}", remedy)
    return placement


def _list_vms(host: Machine, operation: Operation) -> Sequence[VirtualMachine] | errors.AvmaError:
    try:
        return host.virtual_machines(operation.deadline)
    except errors.AvmaError as error:
        return error


def _one(found: Sequence[Placement], name_or_id: str, hosts: Sequence[Machine]) -> Placement | None:
    """Return the one VM that was found; while it migrates it can be on two hosts, and the running one counts."""
    ids = sorted({placement.vm.id for placement in found})
    if len(ids) > 1:
        where = ", ".join(host.where for host in hosts)
        answer = f"{len(ids)} VMs are named {name_or_id}: {', '.join(ids)}"
        raise errors.Refused("find the VM", where, answer, "give the one that is meant by `vmId`")
    return next(iter(sorted(found, key=lambda placement: not placement.vm.running)), None)


def require_running(placement: Placement) -> None:
    """Return if the VM is running.

    Raises:
        NotReady: it is not.
    """
    vm = placement.vm
    if not vm.running:
        remedy = f"start it (Start-VM {vm.name}) and run again"
        raise errors.NotReady("reach the guest", placement.host.where, f"the VM {vm.name} is not running", remedy)


def require_transport(vm: str, guest: Guest | None, operation: Operation) -> None:
    """Return if it is declared how the guest is reached.

    Raises:
        InvalidInput: it is not.
    """
    layers = (guest, operation.configuration.guest)
    if not any(settings is not None and settings.transport is not None for settings in layers):
        answer = "it is not declared how its Windows is reached"
        remedy = "set `guest.transport: winrm` in the provider's configuration or on the resource"
        raise errors.InvalidInput("reach the guest", vm, answer, remedy)


def connect(placement: Placement, guest: Guest | None, operation: Operation) -> Machine:
    """Return the Windows inside a VM, reached as declared; its address is what it tells its host unless declared.

    Raises:
        Refused: no address is declared, and the guest tells none.
        InvalidInput: no credentials are declared.
    """
    vm, host = placement.vm, placement.host
    defaults = operation.configuration.guest
    told: AddressedSettings | None = None
    if guest is None or guest.address is None:
        told = AddressedSettings(address=_told_address(vm, host, _uses_tls(guest, defaults), operation))
    return operation.machines.get(resolve(vm.name, guest, defaults, told, account="guest.username"))


def _told_address(vm: VirtualMachine, host: Machine, tls: bool, operation: Operation) -> str:
    """Return the address from Data Exchange: the name where TLS checks one, else the first IPv4 address."""
    facts = host.guest_facts(operation.deadline).get(vm.id)
    addresses = [*facts.ip_addresses, facts.fully_qualified_domain_name] if facts else []
    told = [address for address in (reversed(addresses) if tls else addresses) if address]
    if not told:
        answer = f"the VM {vm.name} tells no address through Data Exchange"
        remedy = "give its address in `guest.address`, or switch the VM's Data Exchange integration service on"
        raise errors.Refused("find the guest", host.where, answer, remedy)
    return told[0]


def _uses_tls(guest: Guest | None, defaults: GuestDefaults | None) -> bool:
    given = [settings.https for settings in (guest, defaults) if settings and settings.https is not None]
    return given[0] if given else True
