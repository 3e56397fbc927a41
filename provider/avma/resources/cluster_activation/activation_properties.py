"""The inputs, outputs and identifier of a ClusterActivation."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from avma import characters, errors, keys
from avma.addresses import canonical, doubled_error, host_name_error
from avma.configuration import Guest, GuestDefaults
from avma.properties import Choice, declare, redeclare
from avma.resources import preconditions
from avma.resources.machine_license import LicenseOutputs
from avma.resources.vm_activation.vm_properties import GuestOnDelete
from avma.settings import AddressedSettings
from avma.windows.licensing import LicenseChannel, LicenseStatus

_VM_ID = "9b1c0f9e-4f4d-4c0b-8a55-0d4b6a4a7c11"


class ActivationState(Choice):
    """The activation of one guest, as a ClusterActivation sees it."""

    ACTIVATED = "activated", "The host of the VM has activated the guest."
    NOT_ACTIVATED = "not_activated", "The guest is not activated yet. The next update activates it."
    STOPPED = "stopped", "The VM is not running, so the provider could not read its guest."
    UNREACHABLE = "unreachable", "The provider could not read the guest."
    NOT_APPLICABLE = (
        "not_applicable",
        "The resource leaves the guest alone. It cannot be activated by its host, or it has another license.",
    )


class UnreadGuests(Choice):
    """What the provider does about guests that it cannot read."""

    WARN = "warn", "Continue with the other guests, and warn."
    FAIL = "fail", "Continue with the other guests, and then fail. In a refresh, report drift."
    IGNORE = "ignore", "Continue with the other guests."


def pattern_error(text: str) -> str | None:
    """Return the reason why a text cannot be a pattern or a VM id, None if it can."""
    return "must not be empty" if not text.strip() else characters.hidden_error(text)


@dataclass(frozen=True)
class GuestSettings(Guest):
    """Settings for one guest of a ClusterActivation. Omitted settings come from its `guest`."""

    product_key: str | None = declare(
        "The AVMA key of this guest.",
        default=None,
        unset="the published AVMA key for the version and edition of the guest",
        example="YDFWN-MJ9JR-3DYRK-FXXRW-78VHK",
        secret=True,
        check=preconditions.avma_key_error,
    )


@dataclass(frozen=True)
class ClusterActivationInputs:
    """The inputs of a ClusterActivation."""

    cluster: str | None = declare(
        "The DNS name or IP address of the cluster, or of any of its nodes. If you give a name, the provider "
        "connects to the nodes by name, in the same domain. If you give an address, it uses their addresses. Set "
        "either `cluster` or `hosts`.",
        default=None,
        unset="none",
        example="cl01.example.com",
        check=host_name_error,
    )
    hosts: list[str] | None = declare(
        "The DNS names or IP addresses of the Hyper-V hosts. It can be a single host. Set either `cluster` or `hosts`.",
        default=None,
        unset="the nodes that `cluster` reports",
        example=["hv01.example.com", "hv02.example.com"],
        check=host_name_error,
    )
    include: list[str] | None = declare(
        "The VMs to activate: GUIDs, or patterns of names. In a pattern, `*` stands for any text and `?` for one "
        "character. Upper and lower case do not matter.",
        default=None,
        unset="all VMs",
        example=["web*", _VM_ID],
        check=pattern_error,
    )
    exclude: list[str] | None = declare(
        "The VMs to leave out, in the same form. A VM that is in both lists is left out. The provider does not "
        "connect to these guests.",
        default=None,
        unset="none",
        example=["test-*"],
        check=pattern_error,
    )
    guest: GuestDefaults | None = declare(
        "Connection settings for Windows inside the VMs, where they differ from the provider's `guest`.",
        default=None,
        unset="the provider's `guest`",
        example={"username": "Administrator", "password": "${guestPassword}"},
        connects=True,
    )
    guests: dict[str, GuestSettings] | None = declare(
        "Settings for single guests, by the name or GUID of the VM, where they differ from `guest`.",
        default=None,
        unset="none",
        example={"web01": {"transport": "winrm", "address": "192.0.2.21"}},
    )
    manage_data_exchange: bool = declare(
        "Whether the provider can turn on the Data Exchange integration service of the VMs. Without this service, a "
        "host activates no guest.",
        default=False,
    )
    unreachable_guests: UnreadGuests = declare(
        "What the provider does about running guests that it cannot read, and about hosts that it cannot connect to.",
        default=UnreadGuests.WARN,
        example=UnreadGuests.FAIL,
        applies_later=True,
    )
    stopped_guests: UnreadGuests = declare(
        "What the provider does about VMs that are not running.",
        default=UnreadGuests.WARN,
        example=UnreadGuests.IGNORE,
        applies_later=True,
    )
    replace_other_licenses: bool = declare(
        "Whether the provider also activates guests that have another license, for example a MAK or a KMS activation. "
        "It then replaces their keys.",
        default=False,
    )
    on_delete: GuestOnDelete = declare(
        "What deleting the resource does to the guests that it has activated itself. It changes no other guest.",
        default=GuestOnDelete.RETAIN,
        example=GuestOnDelete.RESTORE_KMS_CLIENT_KEY,
        applies_later=True,
    )
    connection: AddressedSettings | None = declare(
        "Connection settings for the cluster and its nodes, or for the hosts, where they differ from the provider "
        "configuration.",
        default=None,
        unset="the provider configuration",
        example={"username": "LAB\\svc-avma", "password": "${password}"},
        connects=True,
    )


@dataclass(frozen=True, kw_only=True)
class GuestActivation:
    """One guest of a ClusterActivation. Properties that the provider could not read are absent."""

    vm_name: str = declare("The name of the VM.", example="web01")
    vm_id: str = declare("The GUID of the VM, in lower case.", example=_VM_ID)
    state: ActivationState = declare("The activation of the guest.", example="activated")
    reason: str | None = declare(
        "Why the guest is not activated, or why the resource leaves it alone.",
        default=None,
        example="the VM is not running (Off)",
        volatile=True,
    )
    host: str = declare(
        "The host that lists the VM, as the resource or the cluster names it.", example="hv01", volatile=True
    )
    guest_version: str | None = declare(
        "The Windows Server release of the guest, or `build N` for an unknown release.", default=None, example="2022"
    )
    guest_edition: str | None = declare("The edition of the guest.", default=None, example="Standard")
    license_status: LicenseStatus | None = declare(
        "The license status of Windows, in the terms of WMI.", default=None, example="Licensed"
    )
    license_channel: LicenseChannel | None = redeclare(LicenseOutputs, "license_channel")
    partial_product_key: str | None = redeclare(LicenseOutputs, "partial_product_key")
    activated_by_host: str | None = declare(
        "The computer name of the host that activated the guest. Absent if no host did.",
        default=None,
        example="HV01",
        volatile=True,
    )
    managed: bool = declare(
        "Whether this resource has activated the guest. Only then can deleting the resource change the guest.",
        default=False,
    )


@dataclass(frozen=True, kw_only=True)
class NamedGuest:
    """The VM that a name in `guests` means. A host can give this name to other VMs, and they do not get its account."""

    name: str = declare("The name, in lower case.", example="web01")
    vm_id: str = redeclare(GuestActivation, "vm_id")
    hosts: list[str] = declare(
        "The host that runs the VM. Without a single one, all hosts that may have it.", example=["hv01"]
    )


@dataclass(frozen=True)
class ClusterActivationOutputs:
    """The outputs of a ClusterActivation."""

    guest_activations: list[GuestActivation] = declare("The activation of each guest, sorted by the names of the VMs.")
    activated: int = declare("The number of activated guests.", unit="guests", example=38)
    not_activated: int = declare(
        "The number of all other guests, also of stopped and unreachable ones.",
        unit="guests",
        example=0,
    )
    not_applicable: int = declare("The number of guests that the resource leaves alone.", unit="guests", example=2)
    named_guests: list[NamedGuest] | None = declare(
        "The VMs that names in `guests` mean. Absent if no name means one.", default=None, volatile=True
    )


def identifier_of(cluster: str | None, hosts: Iterable[str] | None) -> str:
    """Return the identifier: the cluster, or the hosts with commas, in lower case. A single host ends with a comma."""
    if cluster:
        return canonical(cluster)
    names = list(dict.fromkeys(map(canonical, hosts or [])))
    return ",".join(names) if len(names) > 1 else f"{names[0]},"


def imported_inputs(identifier: str) -> dict[str, Any]:
    """Return the inputs of an imported resource.

    Raises:
        InvalidInput: the identifier has another form.
    """
    names = [identifier[:-1]] if identifier.find(",") == len(identifier) - 1 else identifier.split(",")
    malformed = next((reason for reason in map(host_name_error, names) if reason), None)
    reason = malformed or doubled_error(names)
    if reason:
        kind = errors.InvalidHost if malformed else errors.InvalidInput
        remedy = "use the name of the cluster, or each host once, separated by commas; a single host ends with a comma"
        raise kind(f"import `{characters.shown(identifier)}`", "", reason, remedy)
    return {"hosts": names} if "," in identifier else {"cluster": identifier}


def wanted_key(declared: str | None, version: str | None, edition: str | None) -> str | None:
    """Return the key that a guest must have: its declared one, else the published AVMA key. None without either."""
    if declared is not None:
        return declared
    published = keys.find(keys.KeyKind.AVMA, version or "", edition or "")
    return published.key if published else None
