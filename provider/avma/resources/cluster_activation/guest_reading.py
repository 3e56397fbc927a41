"""Read the guests of a ClusterActivation, and decide about each. Nothing changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from avma import errors, keys
from avma.resources import preconditions
from avma.resources.cluster_activation.activation_properties import (
    ActivationState,
    ClusterActivationInputs,
    wanted_key,
)
from avma.resources.cluster_activation.guest_listing import FoundGuest, leaving_alone
from avma.resources.cluster_activation.guest_threads import in_parallel, quietly
from avma.resources.guest_access import GuestState, read_guest_state
from avma.resources.placement import require_vm
from avma.resources.resource import Operation
from avma.resources.vm_activation.wait_for_guest import begin_wait, wait_for_guest
from avma.windows import licensing
from avma.windows.computer import System
from avma.windows.licensing import LicenseChannel, Product
from avma.wording import setting

_KEPT = (LicenseChannel.MAK, LicenseChannel.KMS_HOST, LicenseChannel.OEM)
"""The channels of keys that no installation medium contains. Somebody chose them, even if Windows is not activated."""
_SHARE_OF_WAIT = 0.95
"""The share of an operation's time for a guest in which Windows setup may be running."""


def is_to_be_read(guest: FoundGuest) -> bool:
    """Return True if the provider must ask the guest itself."""
    return guest.state is ActivationState.UNREACHABLE and guest.error is None


def read_guests(guests: Sequence[FoundGuest], inputs: ClusterActivationInputs, operation: Operation) -> None:
    """Read the licenses of the guests. Do not wait for guests that are not ready."""
    quiet = quietly(operation)
    in_parallel(
        [guest for guest in guests if is_to_be_read(guest)],
        lambda guest: read_guest(guest, inputs, quiet, waits=False),
        operation,
    )


def read_guest(guest: FoundGuest, inputs: ClusterActivationInputs, operation: Operation, *, waits: bool) -> None:
    """Read one guest and decide about it. With `waits`, wait for a guest that is not ready.

    Raises:
        Cancelled: the user stopped the run.
    """
    try:
        with leaving_alone(guest):
            guest.read = _wait_and_read(guest, operation) if waits else _read(guest, operation)
            guest.product = guest.read.licensing.product
            _judge(guest, guest.read.licensing.system, inputs)
    except errors.Cancelled:
        raise
    except errors.AvmaError as error:
        guest.state, guest.reason, guest.error = ActivationState.UNREACHABLE, error.answer, error


def _read(guest: FoundGuest, operation: Operation) -> GuestState:
    in_time = operation.in_share()
    try:
        return read_guest_state(guest.placement, guest.guest, in_time)
    except errors.NotOnHost:
        fresh = replace(in_time, deadline=in_time.deadline.fresh())
        placement = require_vm(list(guest.hosts), guest.vm.id, fresh)
        if placement.host is guest.placement.host:
            raise
        guest.placement = placement
        return read_guest_state(placement, guest.guest, fresh)


def _wait_and_read(guest: FoundGuest, operation: Operation) -> GuestState:
    wait = begin_wait(guest.guest, operation.in_share(_SHARE_OF_WAIT))
    guest.placement, found = wait_for_guest(guest.placement, list(guest.hosts), guest.guest, wait)
    return found


def _judge(guest: FoundGuest, system: System, inputs: ClusterActivationInputs) -> None:
    """Decide about a guest that was read."""
    product = guest.product
    preconditions.published_key(system, guest.settings.product_key, guest.placement.where)
    key = wanted_key(guest.settings.product_key, system.version, system.edition)
    if product is not None and product.licensed and product.channel is LicenseChannel.AVMA:
        if key is None or product.partial_product_key == keys.partial(key):
            guest.state, guest.reason = ActivationState.ACTIVATED, ""
            return
        guest.reason = f"its key is …{product.partial_product_key} instead of …{keys.partial(key)}"
    elif has_other_license(product) and not inputs.replace_other_licenses:
        guest.state, guest.reason = ActivationState.NOT_APPLICABLE, _other_license(product)
        return
    else:
        guest.reason = licensing.reason_text(product)
    guest.state = ActivationState.NOT_ACTIVATED


def has_other_license(product: Product | None) -> bool:
    """Return True if a guest has a license of another kind, or a key of which somebody expects one."""
    if product is None or product.channel is LicenseChannel.AVMA:
        return False
    return product.licensed or product.channel in _KEPT


def _other_license(product: Product | None) -> str:
    channel = product.channel.value if product else ""
    status = "is activated through" if product is not None and product.licensed else "has a key of the channel"
    return f"it {status} {channel}, and {setting('replace_other_licenses')} is not set"
