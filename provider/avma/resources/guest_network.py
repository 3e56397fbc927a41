"""Connections over the network to Windows inside a VM: its addresses, and the proof that the machine is this VM."""

from __future__ import annotations

import ipaddress
import socket
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from avma import errors
from avma.addresses import host_name_error, is_local, parse_ip
from avma.configuration import Guest, Transport
from avma.deadline import Deadline, within
from avma.resources.data_exchange import facts_of
from avma.resources.placement import Placement
from avma.resources.resource import Operation
from avma.settings import AddressedSettings
from avma.windows.hyperv import GuestFacts, VirtualMachine
from avma.windows.machine import Machine, Server
from avma.wording import setting

_MOST = 8
"""The maximum of addresses to try. A guest can report any address, and each attempt sends an account to it."""
_NAME_SECONDS = 5.0
"""Seconds to resolve the name of a guest."""
_SET_ADDRESS = f"set {setting('guest.address')} to an address of the guest that this computer can connect to"
_CHECK_ADDRESS = f"check {setting('guest.address')}: the address of the VM may have changed"
_TRIED = "reach the guest"
_ORDER = (errors.LogonRefused, errors.AccessDenied, errors.CertificateNotTrusted, errors.Unreachable, errors.TimedOut)
"""The priority of errors if all addresses fail. The first kinds can only come from a machine that answered."""


@dataclass(frozen=True)
class Addresses:
    """The names and IP addresses of a guest in the order of attempts, and the reasons for skipping others."""

    usable: tuple[str, ...]
    skipped: tuple[str, ...] = ()


@dataclass
class _Failures:
    """The errors of the attempted addresses."""

    found: list[tuple[str, errors.AvmaError]] = field(default_factory=list)

    def combined(self, placement: Placement, skipped: Sequence[str]) -> errors.AvmaError:
        """Return one error for all addresses, of the most informative kind. A single error stays as it is."""
        error = min((error for _, error in self.found), key=_rank)
        remedy = error.remedy if _SET_ADDRESS in error.remedy else f"{error.remedy}; or {_SET_ADDRESS}"
        reasons = [*(f"{address}: {failure.answer}" for address, failure in self.found), *skipped]
        if len(reasons) == 1:
            return error.but(remedy=remedy)
        answer = f"all of its addresses failed ({'; '.join(reasons)})"
        return error.but(tried=_TRIED, where=placement.where, answer=answer, remedy=remedy)


def connect(placement: Placement, guest: Guest | None, operation: Operation) -> Machine:
    """Return Windows inside a VM, after the machine at its address has proved that it is this VM.

    Without a declared address, the provider tries the addresses from Data Exchange in turn. An address can be stale or
    wrong, and the provider must never change another machine.

    Raises:
        NotReady: no address is declared, and the guest reports no usable one.
        Refused: another machine answers there.
        InvalidInput: no credentials are declared.
        AvmaError: the machine could not be queried, or none of several.
    """
    if guest is not None and guest.address is not None:
        machine = _machine(placement.vm, None, guest, operation)
        _require_identity(machine, placement, operation, _CHECK_ADDRESS)
        return machine
    placement.host.list_for_guest_network(operation.deadline)
    tls = operation.configuration.effective_guest(guest).https is not False
    facts = facts_of(placement, operation)
    addresses = reported(facts, tls, is_local(placement.host.connection.address), operation.deadline)
    if not addresses.usable:
        raise _no_address(placement, facts, addresses)
    return _first(placement, addresses, guest, operation)


def reported(facts: GuestFacts, tls: bool, host_is_local: bool, deadline: Deadline) -> Addresses:
    """Return the addresses of a guest from Data Exchange. With TLS, the name comes first if it resolves here.

    Link-local and unspecified addresses reach no machine from here, and a loopback address reaches this one. Loopback
    addresses count only if the address of the host is one too.
    """
    name = facts.fully_qualified_domain_name
    name = "" if host_name_error(name) is not None else name
    usable, skipped = [], []
    for address in facts.ip_addresses:
        reason = _unusable(address, host_is_local)
        if reason is None:
            usable.append(address)
        else:
            skipped.append(f"{address}: skipped, because it is {reason}")
    if name and (not usable or (tls and _resolves(name, deadline))):
        usable.insert(0, name)
    skipped += [f"{address}: not tried, because the guest reports too many addresses" for address in usable[_MOST:]]
    return Addresses(tuple(usable[:_MOST]), tuple(skipped))


def _unusable(address: str, host_is_local: bool) -> str | None:
    parsed = parse_ip(address) or ipaddress.ip_address(address)
    if parsed.is_link_local:
        return "a link-local address"
    if parsed.is_loopback:
        return None if host_is_local else "a loopback address"
    return "not the address of a machine" if host_name_error(address) else None


def _first(placement: Placement, addresses: Addresses, guest: Guest | None, operation: Operation) -> Machine:
    """Return the machine at the first address that leads to the VM. Each attempt gets an equal share of the time."""
    vm, host, failures = placement.vm, placement.host, _Failures()
    for left, address in _countdown(_last_first(addresses.usable, host.guest_addresses.get(vm.id))):
        share = operation.deadline.part(operation.deadline.remaining() / left)
        machine = _machine(vm, address, guest, operation)
        try:
            _require_identity(machine, placement, replace(operation, deadline=share), _SET_ADDRESS)
        except errors.Cancelled:
            raise
        except errors.AvmaError as error:
            failures.found.append((address, error))
            if left > 1:
                operation.status(f"{vm.name}: {address} failed, trying the next address")
        else:
            host.guest_addresses[vm.id] = address
            return machine
    raise failures.combined(placement, addresses.skipped)


def _countdown(addresses: Sequence[str]) -> Iterator[tuple[int, str]]:
    """Yield each address with the number of remaining addresses, including itself."""
    return zip(range(len(addresses), 0, -1), addresses, strict=True)


def _last_first(addresses: Sequence[str], last: str | None) -> list[str]:
    """Return the addresses, starting with the last working one."""
    return sorted(addresses, key=lambda address: address != last)


def _rank(error: errors.AvmaError) -> int:
    return next((place for place, kind in enumerate(_ORDER) if isinstance(error, kind)), len(_ORDER))


def _machine(vm: VirtualMachine, address: str | None, guest: Guest | None, operation: Operation) -> Server:
    layers = (guest, operation.configuration.effective_guest(guest), AddressedSettings(address=address))
    return operation.machine(vm.name, *layers, prefix="guest.")


def _no_address(placement: Placement, facts: GuestFacts, addresses: Addresses) -> errors.NotReady:
    vm, host = placement.vm, placement.host
    answer = f"the VM {vm.name} has not reported an IP address through Data Exchange yet"
    if not facts.listed:
        answer = f"the host reports no Data Exchange data for the VM {vm.name}, so its addresses are unknown"
    if addresses.skipped:
        answer = f"the VM {vm.name} reports no usable address ({'; '.join(addresses.skipped)})"
    remedy = f"set {setting('guest.address')}, or check that Windows and its Data Exchange service run in the VM"
    return errors.NotReady("find the guest", host.where, answer, remedy)


def _require_identity(machine: Server, placement: Placement, operation: Operation, remedy: str) -> None:
    """Raise Refused unless the machine has the firmware UUID of the VM. Then share the lock of that VM."""
    vm, host = placement.vm, placement.host
    wanted = host.firmware_uuids(operation.deadline).get(vm.id, "")
    if not wanted:
        through_host = setting("guest.transport", Transport.POWERSHELL_DIRECT)
        answer = f"the host reports no firmware UUID for the VM {vm.name}, so the provider cannot identify its machine"
        command = "Get-CimInstance -Namespace root/virtualization/v2 Msvm_VirtualSystemSettingData"
        remedy = f"run `{command}` on the host and check `BIOSGUID`, or set {through_host}"
        raise errors.Refused("identify the guest", host.where, answer, remedy)
    found = machine.firmware_uuid(operation.deadline)
    if not found or _uuid(found) not in (_uuid(wanted), _swapped(wanted)):
        answer = f"the machine at that address is not the VM {vm.name} on {host.name}: it has a different firmware UUID"
        raise errors.Refused("identify the guest", machine.where, answer, remedy)
    machine.mark_as_guest(vm.id)


def _uuid(text: str) -> str:
    return text.strip("{}").lower()


def _swapped(text: str) -> str:
    """Return the UUID with its first three fields in the other byte order, as in older firmware."""
    try:
        return str(uuid.UUID(bytes=uuid.UUID(text).bytes_le))
    except ValueError:
        return ""


def _resolves(name: str, deadline: Deadline) -> bool:
    longest = min(_NAME_SECONDS, deadline.remaining())
    try:
        return bool(within(longest, lambda: socket.getaddrinfo(name, None), deadline.cancellation))
    except (OSError, UnicodeError):
        return False
