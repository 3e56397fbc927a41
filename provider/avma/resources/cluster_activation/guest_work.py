"""Activate the guests of a ClusterActivation, and undo it: all guests of a host at the same time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from avma import errors
from avma.resources import preconditions
from avma.resources.cluster_activation.activation_properties import ActivationState, ClusterActivationInputs
from avma.resources.cluster_activation.guest_survey import FoundGuest, in_parallel, quietly
from avma.resources.data_exchange import require_data_exchange, turn_on_data_exchange
from avma.resources.guest_access import connect
from avma.resources.guest_licensing import claim_guest, license_guest, wait_for_activating_host
from avma.resources.host_state import HostState
from avma.resources.machine_license import Attempt, restore, uninstall
from avma.resources.resource import Operation
from avma.resources.vm_activation.vm_properties import GuestOnDelete
from avma.windows.hyperv import DataExchange
from avma.windows.machine import Server


@dataclass(frozen=True)
class _Host:
    """A host that can activate guests, and the Data Exchange settings of its VMs."""

    state: HostState
    exchange: Mapping[str, DataExchange]


def activate_guests(guests: Sequence[FoundGuest], inputs: ClusterActivationInputs, operation: Operation) -> None:
    """Activate those guests that are not activated. An error stays with its guest.

    Raises:
        Cancelled: the user stopped the run before a guest was changed.
    """
    quiet = quietly(operation)
    hosts = _activating_hosts(guests, operation)

    def activate(guest: FoundGuest) -> None:
        read, host = guest.read, hosts.get(guest.placement.host)
        if read is None or host is None:
            return
        where = read.machine.where
        key = preconditions.choose_key(read.licensing.system, host.state, guest.settings.product_key, where)
        _prepare(guest, host, inputs, quiet)
        claim_guest(guest.vm.id, key, where, quiet, guest.vm.name)
        attempt = Attempt(read.machine, read.licensing, read.since, quiet)
        try:
            license_guest(attempt, key, host.state, read, quiet)
        finally:
            guest.product, guest.changed = attempt.product, attempt.changed

    waiting = to_activate(guests)
    in_parallel(waiting, activate, operation, "activated")
    for guest in waiting:
        if guest.error is None:
            guest.state, guest.reason = ActivationState.ACTIVATED, ""
        else:
            guest.fail(guest.error)


def to_activate(guests: Iterable[FoundGuest]) -> list[FoundGuest]:
    """Return the guests that were read and are not activated."""
    return [each for each in guests if each.state is ActivationState.NOT_ACTIVATED and each.error is None]


def _activating_hosts(
    guests: Sequence[FoundGuest], operation: Operation, preview: bool = False
) -> Mapping[Server, _Host]:
    """Return the hosts of those guests, if they can activate guests. The guests of other hosts get the error."""
    found: dict[Server, _Host] = {}

    def look(server: Server, vm_name: str) -> None:
        state = wait_for_activating_host(server, vm_name, operation, preview)
        found[server] = _Host(state, server.data_exchange(operation.deadline))

    by_host: dict[Server, list[FoundGuest]] = {}
    for guest in to_activate(guests):
        by_host.setdefault(guest.placement.host, []).append(guest)
    first = [group[0] for group in by_host.values()]
    in_parallel(first, lambda guest: look(guest.placement.host, guest.vm.name), quietly(operation), "")
    for guest in first:
        if guest.error is not None:
            for each in by_host[guest.placement.host]:
                each.fail(guest.error)
    return found


def _prepare(guest: FoundGuest, host: _Host, inputs: ClusterActivationInputs, operation: Operation) -> None:
    """Turn on Data Exchange if it is off."""
    setting = host.exchange.get(guest.vm.id)
    if setting is not None and not setting.enabled:
        turn_on_data_exchange(guest.placement, inputs.manage_data_exchange, operation)


def check_guests(
    guests: Sequence[FoundGuest], inputs: ClusterActivationInputs, operation: Operation
) -> list[FoundGuest]:
    """Return the guests that an update is going to activate. The others get the error that it would raise.

    Changes nothing. It claims the guests, so a conflict shows in the preview.
    """
    hosts = _activating_hosts(guests, operation, preview=True)
    coming = to_activate(guests)
    for guest in coming:
        read, host = guest.read, hosts.get(guest.placement.host)
        if read is None or host is None:
            continue
        where = read.machine.where
        try:
            key = preconditions.choose_key(read.licensing.system, host.state, guest.settings.product_key, where)
            require_data_exchange(guest.placement, inputs.manage_data_exchange, operation)
            claim_guest(guest.vm.id, key, where, operation, guest.vm.name)
        except errors.AvmaError as error:
            guest.fail(error)
    return to_activate(coming)


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

    running = [guest for guest in guests if guest.vm.running]
    in_parallel(running, undo, operation, "undone")
    for guest in running:
        guest.reason = guest.error.answer if guest.error else ""
