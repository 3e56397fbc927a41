"""The inputs and outputs of a HostLicense."""

from __future__ import annotations

from dataclasses import dataclass, replace

from avma import errors, keys
from avma.addresses import host_name_error
from avma.compatibility import Version
from avma.properties import Choice, Values, declare, redeclare
from avma.resources import preconditions
from avma.resources.host_state import HostState, Platform
from avma.resources.machine_license import LicenseOutputs, license_outputs
from avma.resources.resource import Operation
from avma.settings import AddressedSettings
from avma.windows import licensing
from avma.windows.licensing import LicenseStatus
from avma.wording import setting

_CONFIRMATION_DIGITS = 48


class LicenseSource(Choice):
    """Where the license of a host comes from."""

    PRODUCT_KEY = "product_key", "The declared product key."
    EXISTING = (
        "existing",
        "The existing license of the host, from any channel. The provider installs and activates nothing.",
    )
    SUBSCRIPTION = (
        "subscription",
        "The Windows Server subscription of Azure Local. The provider checks that it is active, and never buys or "
        "cancels it.",
    )


class HostOnDelete(Choice):
    """What deleting the resource does to the host."""

    RETAIN = "retain", "Leave the host unchanged. It stays licensed."
    UNINSTALL_KEY = (
        "uninstall_key",
        "Uninstall the declared product key. Fails while a VM is running on the host, unless "
        f"{setting('force_destroy')} is `true`. Not possible on Azure Local.",
    )


def _confirmation_id_error(text: str) -> str | None:
    return None if len(digits(text)) == _CONFIRMATION_DIGITS else "must have 48 digits, optionally in groups"


def digits(text: str) -> str:
    """Return the digits of a confirmation ID in ASCII, without its groups."""
    return "".join(str(int(character)) for character in text if character.isdecimal())


@dataclass(frozen=True)
class HostLicenseInputs:
    """The inputs of a HostLicense."""

    host: str = declare(
        "The DNS name or IP address of the host.", example="hv01.example.com", replaces=True, check=host_name_error
    )
    product_key: str | None = declare(
        "The Windows Server Datacenter product key for the host.",
        default=None,
        unset="the existing license",
        example="BCDFG-HJKMN-PQRTV-WXY23-46789",
        secret=True,
        check=preconditions.host_key_error,
    )
    product_key_version: Version | None = declare(
        f"The Windows Server release of {setting('product_key')}. If you set it, a preview rejects a key for the wrong "
        "release. "
        "On Azure Local, it also rejects a key older than the existing one.",
        default=None,
        unset="unknown",
        example="2025",
        applies_later=True,
    )
    license_source: LicenseSource | None = declare(
        "Where the license comes from.",
        default=None,
        unset=f"`{LicenseSource.PRODUCT_KEY.value}` with a product key, otherwise `existing`",
        example="subscription",
    )
    confirmation_id: str | None = declare(
        "The 48-digit confirmation ID from the Microsoft Activation Center for the output "
        f"{setting('installation_id')}. The provider then activates the host by phone activation, without internet "
        "access. Not possible on Azure Local.",
        default=None,
        unset="activation over the internet",
        example="-".join(["012345"] * 8),
        secret=True,
        check=_confirmation_id_error,
    )
    activate: bool = declare(
        "Whether to activate Windows after installing the key. On Azure Local, it must be `true`.", default=True
    )
    on_delete: HostOnDelete = declare(
        "What deleting the resource does to the host. It never restores a used activation.",
        default=HostOnDelete.RETAIN,
        example=HostOnDelete.UNINSTALL_KEY,
        applies_later=True,
    )
    force_destroy: bool = declare(
        f"Whether {setting('on_delete', HostOnDelete.UNINSTALL_KEY)} uninstalls the key even while VMs are running on "
        "the host. These VMs then lose their activation.",
        default=False,
        applies_later=True,
    )
    connection: AddressedSettings | None = declare(
        "Connection settings for the host, where they differ from the provider configuration.",
        default=None,
        unset="the provider configuration",
        example={"address": "192.0.2.11"},
        connects=True,
    )


def _declared_partial(wanted: Values) -> str | None:
    key = wanted.get("product_key")
    return keys.partial(key) if isinstance(key, str) else None


def _activates(wanted: Values) -> bool | None:
    return True if wanted.get("activate") in (None, True) else None


def _licensed(wanted: Values) -> LicenseStatus | None:
    return LicenseStatus.LICENSED if _activates(wanted) else None


@dataclass(frozen=True, kw_only=True)
class HostLicenseOutputs(LicenseOutputs):
    """The outputs of a HostLicense, as Windows reports them.

    On Azure Local, success does not depend on the license of Windows, and the machine may not report its guests.
    """

    license_status: LicenseStatus = redeclare(LicenseOutputs, "license_status", expected=_licensed)
    partial_product_key: str | None = redeclare(LicenseOutputs, "partial_product_key", promised=_declared_partial)
    platform: Platform = declare("The operating system of the host.", example=Platform.WINDOWS_SERVER, lasting=True)
    os_version: str = declare(
        "The release of Windows Server or Azure Local, or `build N` for an unknown release.",
        example="2025",
        lasting=True,
    )
    os_build: int = declare("The build number of Windows.", unit="build number", example=26100, lasting=True)
    edition: str = declare("The edition of Windows.", example="Datacenter", lasting=True)
    activates_guests: bool | None = declare(
        "Whether the host can activate guests now. A Windows Server host needs the Hyper-V role and a licensed "
        "Datacenter edition, not an evaluation and not pay-as-you-go. An Azure Local host needs a Windows Server key "
        "or subscription. Absent if an Azure Local host does not report it.",
        default=None,
        expected=_activates,
    )
    hyper_v: bool | None = declare(
        "Whether the host has the Hyper-V role. Also `true` if the account is not allowed to see the role. Absent on "
        "Azure Local.",
        default=None,
        lasting=True,
    )
    key_version: str | None = declare(
        "On Azure Local: the newest Windows Server release that the host's key activates. Absent if the host does "
        "not report it.",
        default=None,
        example="2022",
    )
    subscription_status: str | None = declare(
        "On Azure Local: the status of the Windows Server subscription, as Windows reports it.",
        default=None,
        example="Active",
    )
    machine_id: str | None = declare(
        "The identity of the host: its computer name and firmware UUID. It is the same for each of its names and "
        "addresses.",
        default=None,
        example="hv01.example.com/4c4c4544-0042-3510-8052-b4c04f4d3132",
        lasting=True,
    )
    installation_id: str | None = declare(
        "The installation ID to give to the Microsoft Activation Center. Present while the host has a MAK, retail or "
        "OEM key without activation.",
        default=None,
        example="0123456" * 9,
    )


def host_outputs(state: HostState, operation: Operation) -> HostLicenseOutputs:
    """Return the outputs for a host. On Azure Local, the partial key is that of the key for guests."""
    system, activation = state.system, state.activation
    outputs = HostLicenseOutputs(
        **license_outputs(state.found.product),
        platform=state.platform,
        os_version=system.version,
        os_build=system.build,
        edition=system.edition,
        activates_guests=state.activates_guests,
        hyper_v=state.hyper_v if activation is None else None,
        machine_id=state.machine_id,
    )
    if activation is None:
        return replace(outputs, installation_id=_installation_id(state, operation))
    return replace(
        outputs,
        partial_product_key=state.partial_product_key,
        key_version=activation.key_version,
        subscription_status=state.subscription_status,
    )


def _installation_id(state: HostState, operation: Operation) -> str | None:
    """Return the installation ID while the host has a bought key without activation, otherwise None."""
    product = state.found.product
    if product is None or product.licensed or product.channel not in licensing.BOUGHT:
        return None
    try:
        return licensing.installation_id(state.server.wmi, product.activation_id, operation.deadline) or None
    except errors.AvmaError:  # Reading the state matters more than this ID.
        return None
