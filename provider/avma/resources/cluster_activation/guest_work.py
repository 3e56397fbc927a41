"""Activate the guests of a ClusterActivation, and undo it: all guests of a host at the same time."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from avma import errors
from avma.resources import preconditions
from avma.resources.cluster_activation.activation_properties import ActivationState, ClusterActivationInputs
from avma.resources.cluster_activation.guest_listing import FoundGuest, leaving_alone
from avma.resources.cluster_activation.guest_reading import is_to_be_read, read_guest
from avma.resources.cluster_activation.guest_threads import in_parallel, quietly
from avma.resources.data_exchange import require_data_exchange, turn_on_data_exchange
from avma.resources.guest_access import GuestState, connect, is_through_host, may_be_provisioning
from avma.resources.guest_licensing import claim_guest, license_guest, wait_for_activating_host
from avma.resources.host_state import HostState
from avma.resources.machine_license import Attempt, restore, uninstall
from avma.resources.resource import Operation
from avma.resources.vm_activation.vm_properties import GuestOnDelete
from avma.windows.hyperv import DataExchange
from avma.windows.machine import Server

TRIED = "activate the guests"


@dataclass(frozen=True)
class _Host:
    """A host that can activate guests, and the Data Exchange settings of its VMs."""

    state: HostState
    exchange: Mapping[str, DataExchange]


class _Hosts:
    """The hosts of guests to activate. Each is read once, for its first such guest."""

    def __init__(self, operation: Operation, *, preview: bool = False) -> None:
        self._operation = operation
        self._preview = preview
        self._lock = threading.Lock()
        self._locks: dict[Server, threading.Lock] = {}
        self._found: dict[Server, _Host | errors.AvmaError] = {}

    def of(self, guest: FoundGuest) -> _Host:
        """Return the host of a guest.

        Raises:
            Refused: it cannot activate guests.
            AvmaError: it could not be queried.
        """
        server, deadline = guest.placement.host, self._operation.deadline
        with self._lock:
            lock = self._locks.setdefault(server, threading.Lock())
        deadline.acquire(lock, "read the license of the host", server.where)
        try:
            if server not in self._found:
                self._found[server] = self._read(server, guest.vm.name)
        finally:
            lock.release()
        found = self._found[server]
        if isinstance(found, errors.AvmaError):
            raise found
        return found

    def _read(self, server: Server, vm_name: str) -> _Host | errors.AvmaError:
        try:
            state = wait_for_activating_host(server, vm_name, self._operation, self._preview)
            return _Host(state, server.data_exchange(self._operation.deadline))
        except errors.AvmaError as error:
            return error


def activate_guests(guests: Sequence[FoundGuest], inputs: ClusterActivationInputs, operation: Operation) -> None:
    """Read the guests, and activate those that are not activated. An error stays with its guest.

    It waits for guests while Windows setup may still be running in them. The others do not wait.

    Raises:
        Cancelled: the user stopped the run before a guest was changed.
    """
    quiet, hosts = quietly(operation), _Hosts(operation)

    def must_wait(guest: FoundGuest) -> bool:
        return may_be_provisioning(guest.vm)

    def work(guest: FoundGuest) -> None:
        waits = must_wait(guest)
        if inputs.manage_data_exchange and _reports_no_address(guest, quiet):
            waits = _prepare(guest, hosts.of(guest), inputs, quiet) or waits
        read_guest(guest, inputs, quiet, waits=waits)
        if guest.read is not None and guest.state is ActivationState.NOT_ACTIVATED:
            with leaving_alone(guest):
                _activate(guest, guest.read, hosts.of(guest), inputs, quiet)
        elif guest.state is ActivationState.ACTIVATED:
            _keep(guest, quiet)

    waiting = [guest for guest in guests if is_to_be_read(guest)]
    in_parallel(waiting, work, operation, lambda guest: not must_wait(guest))


def _activate(
    guest: FoundGuest, read: GuestState, host: _Host, inputs: ClusterActivationInputs, operation: Operation
) -> None:
    where = read.machine.where
    key = preconditions.choose_key(read.licensing.system, host.state, guest.settings.product_key, where)
    _prepare(guest, host, inputs, operation)
    claim_guest(guest.vm.id, key, where, operation, guest.vm.name)
    attempt = Attempt(read.machine, read.licensing, read.since, operation)
    try:
        license_guest(attempt, key, host.state, read, operation)
    finally:
        guest.product, guest.changed = attempt.product, attempt.changed
    guest.state, guest.reason = ActivationState.ACTIVATED, ""


def _keep(guest: FoundGuest, operation: Operation) -> None:
    """Claim a guest that is activated already, so that no deletion in this run undoes its activation.

    Raises:
        KeyConflict: another resource of the run wants another key there.
    """
    partial = guest.product.partial_product_key if guest.product else None
    try:
        operation.claim(guest.vm.id, partial, guest.placement.where, TRIED, installs=True, place=guest.vm.name)
    except errors.AvmaError:
        guest.state = ActivationState.NOT_ACTIVATED
        raise


def _reports_no_address(guest: FoundGuest, operation: Operation) -> bool:
    """Return True if the address of the guest must come from its Data Exchange report, and there is no report."""
    over_network = not is_through_host(guest.guest, operation)
    return over_network and guest.settings.address is None and not guest.facts.ip_addresses


def _prepare(guest: FoundGuest, host: _Host, inputs: ClusterActivationInputs, operation: Operation) -> bool:
    """Turn on Data Exchange, and return True if it was off.

    Raises:
        DataExchangeOff: it is off, and the provider may not turn it on.
    """
    setting = host.exchange.get(guest.vm.id)
    if setting is None or setting.enabled:
        return False
    turn_on_data_exchange(guest.placement, inputs.manage_data_exchange, operation)
    return True


def guests_to_prepare(
    guests: Sequence[FoundGuest], inputs: ClusterActivationInputs, operation: Operation
) -> list[FoundGuest]:
    """Return the guests that an update can read only after it has turned on their Data Exchange."""
    found = []
    for guest in guests if inputs.manage_data_exchange else ():
        if guest.refused or guest.state is not ActivationState.UNREACHABLE:
            continue
        if _reports_no_address(guest, operation):
            with suppress(errors.EmptyAnswer, errors.Unreachable, errors.AccessDenied, errors.WsmanFault):
                setting = guest.placement.host.data_exchange(operation.deadline).get(guest.vm.id)
                found += [guest] if setting is not None and not setting.enabled else []
    return found


def check_guests(
    guests: Sequence[FoundGuest], inputs: ClusterActivationInputs, operation: Operation
) -> list[FoundGuest]:
    """Return the guests to activate in an update. The others get the errors of the update.

    Changes nothing. It claims the guests, so a conflict shows in the preview.
    """
    hosts = _Hosts(operation, preview=True)

    def check(guest: FoundGuest) -> None:
        if guest.read is None:
            return
        where = guest.read.machine.where
        host, system = hosts.of(guest), guest.read.licensing.system
        with leaving_alone(guest):
            key = preconditions.choose_key(system, host.state, guest.settings.product_key, where)
            require_data_exchange(guest.placement, inputs.manage_data_exchange, operation)
            claim_guest(guest.vm.id, key, where, operation, guest.vm.name)

    quiet = quietly(operation)
    in_parallel(
        [guest for guest in guests if guest.state is ActivationState.ACTIVATED],
        lambda guest: _keep(guest, quiet),
        quiet,
    )
    coming = [guest for guest in guests if guest.state is ActivationState.NOT_ACTIVATED and guest.error is None]
    in_parallel(coming, check, quiet)
    return [guest for guest in coming if guest.error is None and guest.state is ActivationState.NOT_ACTIVATED]


def undo_guests(guests: Sequence[FoundGuest], on_delete: GuestOnDelete, operation: Operation) -> None:
    """Remove the keys that this resource has installed, or restore the KMS client keys. An error stays with its guest.

    Raises:
        Cancelled: the user stopped the run before a guest was changed.
    """
    quiet = quietly(operation)

    def undo(guest: FoundGuest) -> None:
        machine = connect(guest.placement, guest.guest, quiet)
        own = guest.known.get("partial_product_key")
        if on_delete is GuestOnDelete.UNINSTALL_KEY:
            uninstall(machine, guest.vm.id, own, quiet)
            return
        kms = preconditions.kms_client_key(machine.system(quiet.deadline))
        if kms is None:
            operation.warn(f"{guest.vm.name}: the provider has no KMS client key for it, so it keeps its key")
        else:
            restore(machine, guest.vm.id, own, kms.key, quiet)

    in_parallel([guest for guest in guests if guest.vm.running and guest.error is None], undo, operation)
