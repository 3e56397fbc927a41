"""The inputs, outputs and identifier of a VmActivation."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from avma import characters, errors, keys
from avma.addresses import canonical, doubled_error, host_name_error
from avma.configuration import Guest
from avma.properties import Choice, Values, declare, redeclare
from avma.resources import preconditions
from avma.resources.machine_license import LicenseOutputs, license_outputs
from avma.settings import AddressedSettings
from avma.windows import hyperv
from avma.windows.computer import System
from avma.windows.hyperv import VirtualMachine
from avma.windows.licensing import LicenseChannel, LicenseStatus, Product
from avma.wording import setting

_VM_ID = "9b1c0f9e-4f4d-4c0b-8a55-0d4b6a4a7c11"


class GuestOnDelete(Choice):
    """What deleting the resource does to the guest."""

    RETAIN = "retain", "Leave the guest unchanged. It keeps its key, and stays activated while its host activates it."
    UNINSTALL_KEY = "uninstall_key", "Uninstall the AVMA key. The guest is then unlicensed."
    RESTORE_KMS_CLIENT_KEY = (
        "restore_kms_client_key",
        "Install the generic KMS client key for the version and edition of the guest, as on its installation media. "
        "If no such key is known, leave the guest unchanged.",
    )


def vm_name_error(text: str) -> str | None:
    """Return the reason why a text cannot be a VM's name, None if it can."""
    if not text.strip():
        return "must not be empty"
    hidden = characters.hidden_error(text)
    return f"{hidden}, or set {setting('vm_id')} if the VM really has that name" if hidden else None


def vm_id_error(text: str) -> str | None:
    """Return the reason why a text cannot be a VM id, None if it can."""
    if hyperv.canonical_vm_id(text) is not None:
        return None
    return characters.hidden_error(text) or "must be the GUID of the VM, as `(Get-VM NAME).Id` returns it"


@dataclass(frozen=True)
class VmActivationInputs:
    """The inputs of a VmActivation."""

    host: str | None = declare(
        "The DNS name or IP address of the VM's Hyper-V host. Set either `host` or `hosts`.",
        default=None,
        unset="none",
        example="hv01.example.com",
        replaces=True,
        check=host_name_error,
    )
    hosts: list[str] | None = declare(
        "All hosts that can run the VM, for example the nodes of a cluster. The provider finds the VM on any of "
        "them. Set either `host` or `hosts`.",
        default=None,
        unset="none",
        example=["hv01.example.com", "hv02.example.com"],
        check=host_name_error,
        connects=True,
    )
    vm_name: str | None = declare(
        f"The name of the VM. Set either {setting('vm_name')} or {setting('vm_id')}.",
        default=None,
        unset="none",
        example="web01",
        replaces=True,
        check=vm_name_error,
    )
    vm_id: str | None = declare(
        f"The GUID of the VM. Set either {setting('vm_name')} or {setting('vm_id')}.",
        default=None,
        unset="none",
        example=_VM_ID,
        replaces=True,
        check=vm_id_error,
    )
    guest: Guest | None = declare(
        "Connection settings for Windows inside the VM, where they differ from the provider's `guest`.",
        default=None,
        unset="the provider's `guest`",
        example={"transport": "winrm", "address": "192.0.2.21"},
        connects=True,
    )
    product_key: str | None = declare(
        "The AVMA key.",
        default=None,
        unset="the published AVMA key for the version and edition of the guest",
        example="YDFWN-MJ9JR-3DYRK-FXXRW-78VHK",
        secret=True,
        check=preconditions.avma_key_error,
    )
    manage_data_exchange: bool = declare(
        "Whether the provider can turn on the Data Exchange integration service of the VM. Without this service, a "
        "host activates no guest.",
        default=False,
    )
    on_delete: GuestOnDelete = declare(
        "What deleting the resource does to the guest.",
        default=GuestOnDelete.RETAIN,
        example=GuestOnDelete.RESTORE_KMS_CLIENT_KEY,
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


@dataclass(frozen=True, kw_only=True)
class VmActivationOutputs(LicenseOutputs):
    """The outputs of a VmActivation, as Windows reports them."""

    license_status: LicenseStatus = redeclare(
        LicenseOutputs, "license_status", promised=lambda _: LicenseStatus.LICENSED
    )
    license_channel: LicenseChannel | None = redeclare(
        LicenseOutputs, "license_channel", promised=lambda _: LicenseChannel.AVMA
    )
    partial_product_key: str | None = redeclare(LicenseOutputs, "partial_product_key", promised=_declared_partial)
    vm_id: str = declare("The GUID of the VM, in lower case.", example=_VM_ID, lasting=True)
    vm_name: str = declare("The name of the VM.", example="web01", lasting=True)
    name_taken_by: str | None = declare(
        "The GUID of another VM with the declared name, if this VM has a new name. Otherwise absent.",
        default=None,
        example="0f5a3f4e-8f0c-4a52-b9d4-3f1f3f1f0c22",
    )
    guest_version: str = declare(
        "The Windows Server release of the guest, or `build N` for an unknown release.",
        example="2022",
        lasting=True,
    )
    guest_edition: str = declare("The edition of the guest.", example="Standard", lasting=True)
    activated_by_host: str | None = declare(
        "The computer name of the host that activated the guest. Absent if no host did.", default=None, example="HV01"
    )


def outputs_of(vm: VirtualMachine, system: System, product: Product | None) -> VmActivationOutputs:
    """Return the outputs for a VM and the license in it."""
    return VmActivationOutputs(
        **license_outputs(product),
        vm_id=vm.id,
        vm_name=vm.name,
        guest_version=system.version,
        guest_edition=system.edition,
        activated_by_host=(product.activated_by_host or None) if product else None,
    )


def identifier_of(hosts: Iterable[str], vm_id: str) -> str:
    """Return the identifier: `host/vmId` or `host,host/vmId`, all in lower case."""
    return f"{','.join(dict.fromkeys(map(canonical, hosts)))}/{vm_id}"


def vm_in(identifier: str) -> str:
    """Return the VM in an identifier: its id, or its name in an import."""
    return identifier.partition("/")[2]


def hosts_in(identifier: str) -> set[str]:
    """Return the hosts in an identifier, in lower case."""
    return set(identifier.partition("/")[0].split(","))


def imported_inputs(identifier: str) -> dict[str, Any]:
    """Return the inputs of an imported resource.

    Raises:
        InvalidInput: the identifier has another form.
    """
    host, slash, vm = identifier.partition("/")
    tried = f"import `{characters.shown(identifier)}`"
    if not (host and slash and vm):
        answer = "the id does not have the form HOST/NAME or HOST/GUID"
        remedy = "use for example hv01.example.com/web01, or hv01,hv02/web01 for a VM that moves between hosts"
        raise errors.InvalidInput(tried, "", answer, remedy)
    names = host.split(",")
    malformed = next((reason for reason in map(host_name_error, names) if reason), None)
    if malformed:
        remedy = "write HOST/NAME without a scheme or port, for example hv01.example.com/web01"
        raise errors.InvalidHost(tried, "", malformed, remedy)
    doubled = doubled_error(names)
    if doubled:
        raise errors.InvalidInput(tried, "", doubled, "use each host once")
    hidden = characters.hidden_error(vm)
    if hidden:
        raise errors.InvalidInput(tried, "", f"the name of the VM {hidden}", "")
    where = {"hosts": names} if len(names) > 1 else {"host": host}
    return {**where, ("vm_id" if hyperv.canonical_vm_id(vm) else "vm_name"): vm}
