"""What a Hyper-V host is and activates its guests with: its own licence, or on Azure Local a key or a subscription.

It asks the host and changes nothing; what follows from the answers is in `rules`.
"""

from __future__ import annotations

from dataclasses import dataclass

from avma import compatibility
from avma.properties import Choice
from avma.resources.resource import Operation
from avma.windows import licensing
from avma.windows.azure_local import AutomaticActivation
from avma.windows.licensing import Licensing
from avma.windows.machine import Server
from avma.windows.operating_system import System


class Platform(Choice):
    """The operating system of a host."""

    WINDOWS_SERVER = "windowsServer", "Windows Server with the Hyper-V role."
    AZURE_LOCAL = "azureLocal", "Azure Stack HCI / Azure Local."


@dataclass(frozen=True)
class HostState:
    """A host, its own licensing, and on Azure Local its automatic activation."""

    server: Server
    found: Licensing
    activation: AutomaticActivation | None = None
    known_partial: str | None = None
    """The last five of the key for guests that was set last, where a machine of Azure Local does not tell it."""
    pays_as_it_goes: bool = False
    """Whether Windows is licensed by Azure Arc pay-as-you-go, which holds for no guest."""
    will_be_licensed: bool = False
    """Whether the same run licenses it, as its preview has found; then what it has now does not count."""

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
        if self.activation is None:
            return None
        return self.activation.partial_product_key or (None if self.activation.enabled is False else self.known_partial)

    @property
    def activates_guests(self) -> bool | None:
        """Whether it can activate guests now; None where a machine of Azure Local does not tell."""
        if self.activation is not None:
            covered = self.activation.subscribed or self.partial_product_key is not None
            return (covered or None) if self.activation.enabled is None else self.activation.enabled
        fits = self.system.edition == compatibility.DATACENTER and not self.system.evaluation
        return fits and self.found.licensed and not self.pays_as_it_goes


def look(server: Server, operation: Operation) -> HostState:
    """Return what a host is and what it activates its guests with.

    Raises:
        Refused: a machine of Azure Local lacks the module for it.
        AvmaError: the host could not be asked.
    """
    found = server.licensing(operation.deadline)
    if found.system.azure_local:
        return HostState(server, found, server.automatic_activation(operation.deadline))
    pays = licensing.pays_as_it_goes(server.wmi, found, operation.deadline)
    return HostState(server, found, pays_as_it_goes=pays)
