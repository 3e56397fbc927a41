"""What a user declares of a HostLicense, and what Windows says of it."""

from __future__ import annotations

from dataclasses import dataclass

from avma.addresses import host_name_error
from avma.compatibility import Version
from avma.properties import Choice, declare
from avma.resources import rules
from avma.resources.activation import LicenseOutputs
from avma.resources.hosts import Platform
from avma.settings import AddressedSettings

_CONFIRMATION_DIGITS = 48


class LicenseSource(Choice):
    """Where a host's licence comes from."""

    PRODUCT_KEY = "productKey", "The product key that is declared."
    EXISTING = "existing", "The licence that the host has already, whatever its channel; nothing is spent."
    SUBSCRIPTION = (
        "subscription",
        "The Windows Server subscription of Azure Local: it is looked for, and never bought or cancelled.",
    )


class HostOnDelete(Choice):
    """What deleting the resource does to the host."""

    RETAIN = "retain", "Nothing: the host stays licensed and is forgotten."
    UNINSTALL_KEY = (
        "uninstallKey",
        "Uninstall the declared product key; refused while a VM is running on the host, unless `forceDestroy` is set. "
        "Not possible on Azure Local.",
    )


def _confirmation_id_error(text: str) -> str | None:
    return None if len(digits(text)) == _CONFIRMATION_DIGITS else "must have 48 digits, in groups or not"


def digits(text: str) -> str:
    """Return the digits of a confirmation ID, which people write in groups, in ASCII."""
    return "".join(str(int(character)) for character in text if character.isdecimal())


@dataclass(frozen=True)
class HostLicenseInputs:
    """What a user declares of a host's licence."""

    host: str = declare(
        "The host's DNS name or IP address.", example="hv01.example.com", replaces=True, check=host_name_error
    )
    product_key: str | None = declare(
        "The Windows Server Datacenter product key for the host.",
        default=None,
        unset="the licence that is there is adopted",
        example="BCDFG-HJKMN-PQRTV-WXY23-46789",
        secret=True,
        check=rules.host_key_error,
    )
    product_key_version: Version | None = declare(
        "The Windows Server release that `productKey` is for. A key does not show it; with it, a key that does not fit "
        "the host, or on Azure Local the key that is there, is found in the preview.",
        default=None,
        unset="not known",
        example="2025",
    )
    license_source: LicenseSource | None = declare(
        "Where the licence comes from.",
        default=None,
        unset="`productKey` when a key is given, else `existing`",
        example="subscription",
    )
    confirmation_id: str | None = declare(
        "The 48 digits that the Microsoft Activation Center gives for the output `installationId`: the host is then "
        "activated by telephone, without internet.",
        default=None,
        unset="the host is activated over the internet",
        example="-".join(["012345"] * 8),
        check=_confirmation_id_error,
    )
    activate: bool = declare("Whether to activate Windows once the key is installed.", default=True)
    on_delete: HostOnDelete = declare(
        "What deleting the resource does to the host. An activation that was used is never given back.",
        default=HostOnDelete.RETAIN,
        example="uninstallKey",
    )
    force_destroy: bool = declare(
        "Whether `onDelete: uninstallKey` uninstalls the key also while VMs are running on the host, which then lose "
        "their activation.",
        default=False,
    )
    connection: AddressedSettings | None = declare(
        "How the host is reached, where it differs from the provider's configuration.",
        default=None,
        unset="as the provider's configuration says",
        example={"address": "192.0.2.11"},
    )


@dataclass(frozen=True, kw_only=True)
class HostLicenseOutputs(LicenseOutputs):
    """What Windows says of a host's licence."""

    platform: Platform = declare("The host's operating system.", example="windowsServer")
    os_version: str = declare("The release, of Windows Server or of Azure Local.", example="2025")
    os_build: int = declare("The build number.", unit="a build's number", example=26100)
    edition: str = declare("The edition.", example="Datacenter")
    activates_guests: bool | None = declare(
        "Whether the host can activate guests now: a licensed Datacenter with the Hyper-V role that is no evaluation "
        "and is not paid as it goes; on Azure Local, one with a Windows Server key or a subscription, and absent where "
        "that is not told.",
        default=None,
    )
    hyper_v: bool | None = declare(
        "Whether the Hyper-V role is installed; true if the account may not see it, and absent on Azure Local.",
        default=None,
    )
    key_version: str | None = declare(
        "The newest Windows Server release that the host's key activates, on Azure Local, where that is told.",
        default=None,
        example="2022",
    )
    subscription_status: str | None = declare(
        "The status of the Windows Server subscription in Windows' word, on Azure Local.",
        default=None,
        example="Active",
    )
    machine_id: str | None = declare(
        "The host's identity, the same under each name and address: its computer name and its firmware's UUID.",
        default=None,
        example="hv01.example.com/4c4c4544-0042-3510-8052-b4c04f4d3132",
    )
    installation_id: str | None = declare(
        "The digits to give to the Microsoft Activation Center, while a host with a bought key is not activated.",
        default=None,
        example="0123456" * 9,
    )
