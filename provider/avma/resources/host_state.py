"""The state of a Hyper-V host: its own license, or on Azure Local its key or subscription for guests.

The module only reads. `preconditions` draws the conclusions. If the resource of a guest names its host by a literal,
Pulumi sees no dependency on the resource of the host, and creates both in parallel. So a guest can wait here for the
license of its host.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

from avma import compatibility, errors, keys
from avma.properties import Choice
from avma.resources.claims import Claim, coming, planned, unusable
from avma.resources.resource import Operation
from avma.windows import licensing
from avma.windows.azure_local import AutomaticActivation
from avma.windows.computer import System
from avma.windows.licensing import Licensing, Product
from avma.windows.machine import Server
from avma.windows.shared_reads import Era
from avma.wsman.soap_faults import is_missing_class

_WAITING = "wait for the license of the host"
_PAUSE = 0.5
"""Seconds between two checks."""
_LONGEST_START = 60.0
"""Seconds for a resource of the run to begin to license a host.

Waiting guests can delay it, because the engine limits the number of parallel operations.
"""


class Platform(Choice):
    """The operating system of a host."""

    WINDOWS_SERVER = "windows_server", "Windows Server."
    AZURE_LOCAL = "azure_local", "Azure Local, formerly Azure Stack HCI."


@dataclass(frozen=True)
class HostState:
    """A host, its own licensing, and on Azure Local its automatic activation."""

    server: Server
    found: Licensing
    machine_id: str
    """The machine's identity. It is the same under each of its names."""
    activation: AutomaticActivation | None = None
    pays_as_it_goes: bool = False
    """Whether Azure Arc pay-as-you-go licensed Windows when the host was read. Guests get no rights from it."""
    since: Era = None
    """The era of the changes by this process when the host was read."""
    known_partial: str | None = None
    """The last five characters of the last applied key for guests. A machine of Azure Local may not report it."""
    known_subscription: str | None = None
    """The last reported status of the subscription."""
    hyper_v: bool = True
    """Whether the Hyper-V role is installed, as far as the account can see."""
    will_be_licensed: bool = False
    """Whether the same run will license it, according to its preview. Then its present license does not count."""
    coming_key_version: str | None = None
    """The release of the coming key, if it is declared."""

    def with_product(self, product: Product | None) -> HostState:
        """Return the same host with another licensed product."""
        return replace(self, found=replace(self.found, product=product))

    @property
    def system(self) -> System:
        """The Windows release and edition of the host."""
        return self.found.system

    @property
    def platform(self) -> Platform:
        """The operating system of the host. The SKU decides, because both share builds."""
        return Platform.AZURE_LOCAL if self.system.azure_local else Platform.WINDOWS_SERVER

    @property
    def partial_product_key(self) -> str | None:
        """The last five characters of the key for guests on Azure Local: as reported, or else as last applied."""
        if self.activation is None or self.activation.tells_no_key:
            return None
        return self.activation.partial_product_key or self.known_partial

    @property
    def partial_in_use(self) -> str | None:
        """The last five characters of the key for guests, or else of the key of Windows."""
        product = self.found.product
        return self.partial_product_key or (product.partial_product_key if product else None)

    @property
    def subscription_status(self) -> str | None:
        """The status of the Windows Server subscription. If it cannot be read now, the last reported status."""
        if self.activation is None:
            return None
        return self.activation.subscription_status or (
            self.known_subscription if self.activation.subscription_error else None
        )

    @property
    def activates_guests(self) -> bool | None:
        """Whether the host can activate guests now. None if a machine of Azure Local does not report it."""
        return self.licensed_for_guests if self.hyper_v else False

    @property
    def licensed_for_guests(self) -> bool | None:
        """Whether the license covers guests. None if a machine of Azure Local does not report it."""
        if self.activation is not None:
            if self.activation.enabled is not None:
                return self.activation.enabled
            covered = self.activation.subscribed or self.partial_product_key is not None
            return covered or (False if self.activation.tells_no_key else None)
        fits = self.system.edition == compatibility.DATACENTER and not self.system.evaluation
        return fits and self.found.licensed and not self.licensed_as_it_goes

    def needs(self, product_key: str | None, activate: bool) -> bool:
        """Return True if a key must still be installed here, or activated."""
        if product_key is None:
            return False
        return self.partial_in_use != keys.partial(product_key) or (activate and self.licensed_for_guests is False)

    @property
    def licensed_as_it_goes(self) -> bool:
        """Whether only pay-as-you-go licenses the host. A key of its own takes precedence."""
        own = self.found.product is not None and self.found.product.channel in licensing.OWN
        return self.pays_as_it_goes and not own


def read_host_state(server: Server, operation: Operation) -> HostState:
    """Return the state of a host, including its license for guests.

    Raises:
        Refused: a machine of Azure Local lacks the module ServerAVMAManager.
        AvmaError: the host could not be queried.
    """
    machine_id = server.identity(operation.deadline)
    # Read the era first, so that a change by another thread during the reads is noticed.
    since = server.license_lock.changes.era
    found = server.licensing(operation.deadline)
    if found.system.azure_local:
        activation = server.automatic_activation(operation.deadline)
        return HostState(server, found, machine_id, activation, since=since)
    pays = licensing.pays_as_it_goes(server.wmi, found, operation.deadline)
    hyper_v = _has_hyper_v(server, operation)
    return HostState(server, found, machine_id, pays_as_it_goes=pays, since=since, hyper_v=hyper_v)


def _has_hyper_v(server: Server, operation: Operation) -> bool:
    """Return False if the machine lacks the Hyper-V role. A role that the account may not see counts as installed."""
    if server.has_hyper_v:
        return True
    try:
        server.virtual_machines(operation.deadline)
    except (errors.AccessDenied, errors.EmptyAnswer):
        return True
    except errors.WsmanFault as error:
        return not is_missing_class(error)
    return True


def wait_for_license(host: HostState, vm_name: str, operation: Operation, preview: bool) -> HostState:
    """Return the host once it can activate guests, or once no resource of this run is about to license it.

    In a preview, a coming license counts as present, and so does a key that replaces the present one.

    Raises:
        TimedOut, Cancelled: the deadline ended the wait.
        Refused: the claims of the run cannot be read.
    """
    try:
        return _await_license(host, vm_name, operation, preview)
    except OSError as error:
        raise unusable(error, host.server.where, _WAITING) from error


def _await_license(host: HostState, vm_name: str, operation: Operation, preview: bool) -> HostState:
    began, waited = time.monotonic(), False
    while True:
        claim = coming(operation.claims, host.machine_id)
        if preview and claim is not None:
            return replace(host, will_be_licensed=True, coming_key_version=claim.key_version)
        if host.licensed_for_guests is not False:
            return host
        elapsed = time.monotonic() - began
        if claim is None and elapsed >= _longest_wait(operation):
            # The license can have arrived between the last check and the end of the claim.
            return read_host_state(host.server, operation) if waited else host
        operation.status(f"{vm_name}: waiting for {host.server.name} to be licensed{_by_whom(claim)}, {elapsed:.0f} s")
        operation.deadline.wait(_PAUSE, _WAITING, host.server.where)
        waited = True
        if claim is not None:
            host = read_host_state(host.server, operation)


def _longest_wait(operation: Operation) -> float:
    """Return the seconds to wait while no resource has begun to license the host."""
    return _LONGEST_START if planned(operation.claims) is not None else operation.claims.patience


def _by_whom(claim: Claim | None) -> str:
    return f" by {claim.resource}" if claim is not None else ""
