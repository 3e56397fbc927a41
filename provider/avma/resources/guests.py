"""Finding a VM on its host, and the way to the Windows inside it. It knows no licensing."""

from __future__ import annotations

from avma import errors
from avma.configuration import Guest, GuestDefaults
from avma.connection import AddressedSettings, resolve
from avma.resources.resource import Operation
from avma.windows.hyperv import VirtualMachine
from avma.windows.machine import Machine


def find_vm(host: Machine, name_or_id: str, operation: Operation) -> VirtualMachine | None:
    """Return the host's VM of that name or id, None when the host says that it has none.

    Raises:
        Refused: several VMs have the name.
        AvmaError: the host could not be asked.
    """
    wanted = name_or_id.lower()
    found = [vm for vm in host.virtual_machines(operation.deadline) if wanted in (vm.id, vm.name.lower())]
    if len(found) > 1:
        answer = f"{len(found)} VMs are named {name_or_id}: {', '.join(vm.id for vm in found)}"
        raise errors.Refused("find the VM", host.where, answer, "give the one that is meant by `vmId`")
    return next(iter(found), None)


def require_vm(host: Machine, name_or_id: str, operation: Operation) -> VirtualMachine:
    """Return the host's VM of that name or id; errors as for `find_vm`.

    Raises:
        NotFound: the host has no such VM.
    """
    vm = find_vm(host, name_or_id, operation)
    if vm is None:
        remedy = "check the name, and that the VM runs on this host and has not moved to another"
        raise errors.NotFound("find the VM", host.where, f"there is no VM {name_or_id}", remedy)
    return vm


def require_running(vm: VirtualMachine, host: Machine) -> None:
    """Return if the VM is running.

    Raises:
        NotReady: it is not.
    """
    if not vm.running:
        remedy = f"start it (Start-VM {vm.name}) and run again"
        raise errors.NotReady("reach the guest", host.where, f"the VM {vm.name} is not running", remedy)


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


def connect(vm: VirtualMachine, host: Machine, guest: Guest | None, operation: Operation) -> Machine:
    """Return the Windows inside a VM, reached as declared; its address is what it tells its host unless declared.

    Raises:
        Refused: no address is declared, and the guest tells none.
        InvalidInput: no credentials are declared.
    """
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
