"""The provider's configuration: the connection to the machines, and the default credentials of guests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from avma import deadline
from avma.properties import Choice, declare
from avma.settings import Addressed, HostSettings, Settings, merged
from avma.wording import TIME_LIMIT, capitalized, setting


class Transport(Choice):
    """How the provider connects to Windows inside a VM."""

    POWERSHELL_DIRECT = (
        "powershell_direct",
        "PowerShell Direct, through the host of the VM. The guest needs no network. Host and guest need Windows "
        f"Server 2016 or newer. Of the other {setting('guest')} settings, only {setting('username')}, "
        f"{setting('password')} and {setting('ready_timeout')} apply.",
    )
    WINRM = (
        "winrm",
        f"WinRM over the network, to {setting('address')}. Without {setting('address')}, the provider tries each "
        "address in the guest's Data Exchange report until one belongs to this VM. Starts no PowerShell process.",
    )


READY_TIMEOUT = "15m"


@dataclass(frozen=True)
class _OfGuests:
    """Settings for guests only."""

    environment_prefix: ClassVar[str] = "AVMA_GUEST_"

    transport: Transport | None = declare(
        "How the provider connects to the guest.",
        default=None,
        unset=f"`{Transport.POWERSHELL_DIRECT.value}`",
        example="winrm",
        environment=("AVMA_GUEST_TRANSPORT",),
    )
    ready_timeout: str | None = declare(
        "How long creating a VmActivation waits until the VM runs and its guest answers. "
        f"{capitalized(TIME_LIMIT)} limits this time too, to one hour by default. Updates, refreshes and previews do "
        "not wait.",
        default=None,
        unit=deadline.UNIT,
        unset=f"`{READY_TIMEOUT}`",
        example="1h30m",
        check=deadline.duration_error,
        environment=("AVMA_GUEST_READY_TIMEOUT",),
    )


@dataclass(frozen=True)
class GuestDefaults(_OfGuests, Settings):
    """Default connection settings for guests. A resource can override each of them."""


@dataclass(frozen=True)
class Guest(_OfGuests, Addressed, Settings):
    """Connection settings for Windows inside one VM. Omitted settings come from the provider's `guest`."""


def _concurrency_error(count: float) -> str | None:
    return None if 1 <= count <= 100 else "must be from 1 to 100"


def _freshness_error(age: str) -> str | None:
    return None if age in ("0", "0s") else deadline.duration_error(age)


@dataclass(frozen=True)
class Configuration(HostSettings):
    """The configuration of the provider."""

    guest: GuestDefaults | None = declare(
        "Default connection settings and credentials for Windows inside VMs.",
        default=None,
        unset=f"{setting('ca_cert')} and the timeouts of the provider, and no account",
        example={"username": "Administrator", "password": "${guestPassword}"},
    )
    max_concurrency: int = declare(
        "How many requests the provider sends to one machine in parallel, from 1 to 100.",
        default=4,
        unit="requests",
        example=8,
        check=_concurrency_error,
        environment=("AVMA_MAX_CONCURRENCY",),
    )
    read_freshness: str = declare(
        "The age up to which previews, refreshes and functions accept an answer that another resource of the same run "
        "got from a machine. `0s` switches this off. An operation that changes a machine always reads it again.",
        default="10s",
        unit=deadline.UNIT,
        example="30s",
        check=_freshness_error,
        environment=("AVMA_READ_FRESHNESS",),
    )
    read_ahead: bool = declare(
        "Whether the first read of a guest also reads the other guests of its host. The later reads of the same run "
        "then use these answers. This applies to PowerShell Direct and the account in `guest`. The provider signs in "
        "with this account to each running VM that reports Windows Server, also if no resource declares the VM.",
        default=False,
        environment=("AVMA_READ_AHEAD",),
    )
    preview_probe: bool = declare(
        "Whether a preview reads the machines to find problems. The preview changes nothing.",
        default=True,
        environment=("AVMA_PREVIEW_PROBE",),
    )
    delete_unreachable: bool = declare(
        "Whether deleting a resource succeeds if the provider cannot reach its machine. The provider then forgets "
        "the resource. If the connection broke during a change, a warning says that the machine may have changed.",
        default=False,
        environment=("AVMA_DELETE_UNREACHABLE",),
    )

    @property
    def max_age(self) -> float:
        """`read_freshness` in seconds."""
        return 0.0 if self.read_freshness == "0" else deadline.seconds(self.read_freshness)

    def effective_guest(self, guest: Guest | None) -> Guest:
        """Return the settings for one guest: its own, then the provider's `guest`, then inherited settings.

        Guests inherit the CA certificate and the timeouts of the provider, but no credentials.
        """
        inherited = Settings(
            ca_cert=self.ca_cert,
            connect_timeout=self.connect_timeout,
            operation_timeout=self.operation_timeout,
            sources=self.sources,
        )
        return Guest(**merged(guest, self.guest, inherited))
