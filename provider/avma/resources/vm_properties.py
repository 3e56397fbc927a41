"""What a user declares of a VmActivation, and what Windows says of it."""

from __future__ import annotations

from dataclasses import dataclass

from avma import characters
from avma.addresses import host_name_error
from avma.configuration import Guest
from avma.properties import Choice, declare
from avma.resources import rules
from avma.resources.activation import LicenseOutputs
from avma.settings import AddressedSettings
from avma.windows import hyperv

_VM_ID = "9b1c0f9e-4f4d-4c0b-8a55-0d4b6a4a7c11"


class GuestOnDelete(Choice):
    """What deleting the resource does to the guest."""

    RETAIN = (
        "retain",
        "Nothing: the guest keeps its key and stays activated as long as its host activates it.",
    )
    UNINSTALL_KEY = "uninstallKey", "Uninstall the AVMA key; the guest is unlicensed afterwards."
    RESTORE_KMS_CLIENT_KEY = (
        "restoreKmsClientKey",
        "Install the generic KMS client key of the guest's version and edition, with which its media came.",
    )


def vm_name_error(text: str) -> str | None:
    """Return why a text cannot be a VM's name, None if it can."""
    if not text.strip():
        return "must not be empty"
    hidden = characters.hidden_error(text)
    return f"{hidden}, or set `vmId` if the VM really has that name" if hidden else None


def vm_id_error(text: str) -> str | None:
    """Return why a text cannot be a VM id, None if it can."""
    if hyperv.canonical_vm_id(text) is not None:
        return None
    return characters.hidden_error(text) or "must be the VM's GUID, as `(Get-VM NAME).Id` shows it"


@dataclass(frozen=True)
class VmActivationInputs:
    """What a user declares of a guest's activation."""

    host: str | None = declare(
        "The Hyper-V host on which the VM runs: its DNS name or IP address. Give this or `hosts`.",
        default=None,
        unset="none, where `hosts` is given",
        example="hv01.example.com",
        replaces=True,
        check=host_name_error,
    )
    hosts: list[str] | None = declare(
        "All hosts on which the VM may run, such as the nodes of a cluster; the VM is followed to where it is.",
        default=None,
        unset="none, where `host` is given",
        example=["hv01.example.com", "hv02.example.com"],
        check=host_name_error,
    )
    vm_name: str | None = declare(
        "The VM's name. Give this or `vmId`.",
        default=None,
        unset="none, where `vmId` is given",
        example="web01",
        replaces=True,
        check=vm_name_error,
    )
    vm_id: str | None = declare(
        "The VM's GUID. Give this or `vmName`.",
        default=None,
        unset="none, where `vmName` is given",
        example=_VM_ID,
        replaces=True,
        check=vm_id_error,
    )
    guest: Guest | None = declare(
        "How the Windows inside the VM is reached, where it differs from the provider's `guest`.",
        default=None,
        unset="as the provider's `guest` says",
        example={"transport": "winrm", "address": "192.0.2.21"},
    )
    product_key: str | None = declare(
        "The AVMA key.",
        default=None,
        unset="the published one of the guest's own version and edition",
        example="YDFWN-MJ9JR-3DYRK-FXXRW-78VHK",
        secret=True,
        check=rules.avma_key_error,
    )
    manage_data_exchange: bool = declare(
        "Whether the VM's Data Exchange integration service may be switched on, without which no guest is activated.",
        default=False,
    )
    on_delete: GuestOnDelete = declare(
        "What deleting the resource does to the guest.", default=GuestOnDelete.RETAIN, example="restoreKmsClientKey"
    )
    connection: AddressedSettings | None = declare(
        "How the host is reached, where it differs from the provider's configuration.",
        default=None,
        unset="as the provider's configuration says",
        example={"address": "192.0.2.11"},
    )


@dataclass(frozen=True, kw_only=True)
class VmActivationOutputs(LicenseOutputs):
    """What Windows says of a guest's activation."""

    vm_id: str = declare("The VM's GUID, in lower case.", example=_VM_ID)
    vm_name: str = declare("The VM's name.", example="web01")
    name_taken_by: str | None = declare(
        "The GUID of another VM that has the declared name now, while this one has a new name; absent otherwise.",
        default=None,
        example="0f5a3f4e-8f0c-4a52-b9d4-3f1f3f1f0c22",
    )
    guest_version: str = declare("The guest's Windows Server release.", example="2022")
    guest_edition: str = declare("The guest's edition.", example="Standard")
    activated_by_host: str | None = declare(
        "The host that activated the guest, by its own name; absent when none did.", default=None, example="HV01"
    )
