"""What a Hyper-V host is and activates its guests with: its own licence, or on Azure Local a key or a subscription.

It asks the host and changes nothing; what follows from the answers is in `rules`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from avma import compatibility, errors, keys
from avma.properties import Choice
from avma.resources.resource import Operation
from avma.windows import licensing
from avma.windows.azure_local import AutomaticActivation
from avma.windows.licensing import Licensing, Product
from avma.windows.machine import Server
from avma.windows.operating_system import System
from avma.wsman.faults import is_missing_class


class Platform(Choice):
    """The operating system of a host."""

    WINDOWS_SERVER = "windowsServer", "Windows Server."
    AZURE_LOCAL = "azureLocal", "Azure Local, formerly Azure Stack HCI."


@dataclass(frozen=True)
class HostState:
    """A host, its own licensing, and on Azure Local its automatic activation."""

    server: Server
    found: Licensing
    machine_id: str
    """The machine's identity, the same under each of its names."""
    activation: AutomaticActivation | None = None
    pays_as_it_goes: bool = False
    """Whether Windows was licensed by Azure Arc pay-as-you-go, which holds for no guest, when it was looked at."""
    since: int = 0
    """How often this process had changed the machine when it was looked at."""
    known_partial: str | None = None
    """The last five of the key for guests that was set last, where a machine of Azure Local does not tell it."""
    known_subscription: str | None = None
    """The status of the subscription when it was last told."""
    hyper_v: bool = True
    """Whether the Hyper-V role is installed, as far as the account can see."""
    will_be_licensed: bool = False
    """Whether the same run licenses it, as its preview has found; then what it has now does not count."""
    coming_key_version: str | None = None
    """The release of the key by which the run does so, where that is declared."""

    def with_product(self, product: Product | None) -> HostState:
        """Return the same host with another product licensed."""
        return replace(self, found=replace(self.found, product=product))

    @property
    def system(self) -> System:
        """Which Windows it runs."""
        return self.found.system

    @property
    def platform(self) -> Platform:
        """Its operating system, which its SKU decides; builds are shared by both."""
        return Platform.AZURE_LOCAL if self.system.azure_local else Platform.WINDOWS_SERVER

    @property
    def partial_product_key(self) -> str | None:
        """The last five of the key for guests on Azure Local: what the machine tells, or what was set last."""
        if self.activation is None or self.activation.tells_no_key:
            return None
        return self.activation.partial_product_key or self.known_partial

    @property
    def partial_in_use(self) -> str | None:
        """The last five of the key for guests, or else of the key of Windows."""
        product = self.found.product
        return self.partial_product_key or (product.partial_product_key if product else None)

    @property
    def subscription_status(self) -> str | None:
        """The status of the Windows Server subscription; the last one that was told, where it cannot be asked now."""
        if self.activation is None:
            return None
        return self.activation.subscription_status or (
            self.known_subscription if self.activation.subscription_error else None
        )

    @property
    def activates_guests(self) -> bool | None:
        """Whether it can activate guests now; None where a machine of Azure Local does not tell."""
        return self.licensed_for_guests if self.hyper_v else False

    @property
    def licensed_for_guests(self) -> bool | None:
        """Whether its license holds for guests; None where a machine of Azure Local does not tell."""
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
        """Whether nothing but pay-as-you-go licenses it: a key of its own comes first."""
        own = self.found.product is not None and self.found.product.channel in licensing.OWN
        return self.pays_as_it_goes and not own


def look(server: Server, operation: Operation) -> HostState:
    """Return what a host is and what it activates its guests with.

    Raises:
        Refused: a machine of Azure Local lacks the module for it.
        AvmaError: the host could not be asked.
    """
    machine_id = server.identity(operation.deadline)
    since = server.turns.changes
    found = server.licensing(operation.deadline)
    if found.system.azure_local:
        activation = server.automatic_activation(operation.deadline)
        return HostState(server, found, machine_id, activation, since=since)
    pays = licensing.pays_as_it_goes(server.wmi, found, operation.deadline)
    hyper_v = _has_hyper_v(server, operation)
    return HostState(server, found, machine_id, pays_as_it_goes=pays, since=since, hyper_v=hyper_v)


def _has_hyper_v(server: Server, operation: Operation) -> bool:
    """Return False if the machine lacks the Hyper-V role. A role that the account may not see counts as installed."""
    try:
        server.virtual_machines(operation.deadline)
    except (errors.AccessDenied, errors.EmptyAnswer):
        return True
    except errors.WsmanFault as error:
        return not is_missing_class(error)
    return True
