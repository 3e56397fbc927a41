"""Activate Windows inside one VM. VmActivation and ClusterActivation share this code."""

from __future__ import annotations

from avma import compatibility, errors, keys
from avma.resources import preconditions
from avma.resources.guest_access import GuestState
from avma.resources.host_state import HostState, read_host_state, wait_for_license
from avma.resources.machine_license import Attempt
from avma.resources.resource import Operation
from avma.windows import events
from avma.windows.licensing import LicenseChannel
from avma.windows.machine import Server
from avma.wording import setting

_AZURE_EDITION_REMEDY = (
    f"turn on the Windows Server subscription of the host, or set {setting('product_key')} of its HostLicense to a "
    "Datacenter key with Software Assurance; otherwise, remove this resource and give the guest its own key"
)


def wait_for_activating_host(server: Server, vm_name: str, operation: Operation, preview: bool = False) -> HostState:
    """Wait until the host of a VM can activate guests, and return its state.

    It waits only for another resource of the run that licenses the host (see `wait_for_license`). With `preview`, the
    host counts as licensed as soon as such a resource has announced itself.

    Raises:
        Refused: it cannot activate guests.
        AvmaError: it could not be queried.
    """
    host = wait_for_license(read_host_state(server, operation), vm_name, operation, preview)
    preconditions.require_activating(host)
    return host


def claim_guest(vm_id: str, product_key: str, where: str, operation: Operation, place: str = "") -> None:
    """Claim a guest for the resource. This must happen before it is changed. `place` is its name in the resource.

    Raises:
        KeyConflict: another resource of the run wants another key there.
    """
    operation.claim(vm_id, keys.partial(product_key), where, "activate the guest", installs=True, place=place)


def license_guest(attempt: Attempt, product_key: str, host: HostState, guest: GuestState, operation: Operation) -> None:
    """Install the key of a guest and activate it, unless it is activated with this key.

    Raises:
        AvmaError: the guest is not activated. `attempt` says whether it was changed.
    """
    try:
        attempt.license(product_key, activate=True, channel=LicenseChannel.AVMA)
    except errors.LicensingFault as fault:
        raise _explained(fault, host, guest, operation) from fault


def _explained(
    fault: errors.LicensingFault, host: HostState, guest: GuestState, operation: Operation
) -> errors.LicensingFault:
    """Return a rejection by Windows with the messages in the event logs of guest and host."""
    deadline = operation.deadline
    messages = {
        f"Event {events.GUEST_EVENT} of the guest": events.latest(guest.machine.wmi, events.GUEST_EVENT, deadline),
        f"Event {events.HOST_EVENT} of the host": events.latest(host.server.wmi, events.HOST_EVENT, deadline),
    }
    # The end of the error adds a period.
    logged = "".join(f". {where}: {text.removesuffix('.')}" for where, text in messages.items() if text)
    # In Azure Edition, every HRESULT only means that the host did not activate the guest. Its usual remedies do not
    # help without one of these licenses.
    azure_edition = guest.licensing.system.edition == compatibility.AZURE_EDITION
    return fault.but(answer=fault.answer + logged, remedy=_AZURE_EDITION_REMEDY if azure_edition else None)
