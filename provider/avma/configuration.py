"""What is configured once for all resources: the way to the machines and the default credentials of guests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from avma import deadline
from avma.properties import Choice, declare
from avma.settings import AddressedSettings, Settings


class Transport(Choice):
    """How the provider reaches the Windows inside a VM."""

    POWERSHELL_DIRECT = (
        "powershellDirect",
        "PowerShell Direct: through the VM's host, without a network in the guest; host and guest from 2016. Of the "
        "other settings of `guest`, `username` and `password` are used.",
    )
    WINRM = (
        "winrm",
        "WinRM over the network, to `address`. Without it, the addresses that the guest reports through Data Exchange "
        "are tried in turn, until one is that of this VM. No PowerShell process is started.",
    )


READY_TIMEOUT = "15m"


@dataclass(frozen=True)
class _OfGuests:
    """What is said of guests alone."""

    environment_prefix: ClassVar[str] = "AVMA_GUEST_"

    transport: Transport | None = declare(
        "How the guest is reached.",
        default=None,
        unset=f"`{Transport.POWERSHELL_DIRECT.value}`",
        example="winrm",
        environment=("AVMA_GUEST_TRANSPORT",),
    )
    ready_timeout: str | None = declare(
        "How long creating a VmActivation waits for a VM in setup: until it runs and its guest answers. The resource "
        "option `customTimeouts`, an hour unless set, ends it too. An update, a refresh and a preview do not wait.",
        default=None,
        unit=deadline.UNIT,
        unset=f"`{READY_TIMEOUT}`",
        example="1h30m",
        check=deadline.duration_error,
        environment=("AVMA_GUEST_READY_TIMEOUT",),
    )


@dataclass(frozen=True)
class GuestDefaults(_OfGuests, Settings):
    """How guests are reached, where a resource does not say otherwise."""


@dataclass(frozen=True)
class Guest(_OfGuests, AddressedSettings):
    """How the Windows inside one VM is reached. What is left out is taken from the provider's `guest`."""


def _concurrency_error(count: float) -> str | None:
    return None if 1 <= count <= 100 else "must be from 1 to 100"


@dataclass(frozen=True)
class Configuration(Settings):
    """The provider's configuration."""

    guest: GuestDefaults | None = declare(
        "Default connection settings and credentials for the Windows inside the VMs.",
        default=None,
        unset="`caCert` and the timeouts as for hosts, and no account",
        example={"username": "Administrator", "password": "${guestPassword}"},
    )
    max_concurrency: int = declare(
        "How many requests may be under way on one machine at a time.",
        default=4,
        unit="requests",
        example=8,
        check=_concurrency_error,
        environment=("AVMA_MAX_CONCURRENCY",),
    )
    preview_probe: bool = declare(
        "Whether a preview asks the machines, without changing anything, what would stand in the way.",
        default=True,
        environment=("AVMA_PREVIEW_PROBE",),
    )
    delete_unreachable: bool = declare(
        "Whether deleting a resource succeeds when its machine cannot be reached. "
        "A deletion that would have changed the machine then leaves it as it is.",
        default=False,
        environment=("AVMA_DELETE_UNREACHABLE",),
    )
