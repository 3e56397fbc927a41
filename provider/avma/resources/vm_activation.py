"""VmActivation: the Windows Server inside one VM is activated by the Hyper-V host that the VM runs on.

It knows what a user declares of a guest and the rules of AVMA; Windows is asked through `avma.windows`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from avma import compatibility, errors, keys
from avma.configuration import Guest
from avma.connection import AddressedSettings, host_name_error, resolve
from avma.keys import KeyKind
from avma.properties import Choice, Failure, Values, build, declare, dump, validate
from avma.resources import guests
from avma.resources.activation import Attempt, LicenseOutputs, license_outputs, uninstall
from avma.resources.host_license import require_datacenter
from avma.resources.resource import Change, Operation, Resource, Result, Stored, input_changes
from avma.windows import hyperv, licensing
from avma.windows.hyperv import VirtualMachine
from avma.windows.licensing import LicenseChannel, LicenseStatus, Licensing, Product
from avma.windows.machine import Machine
from avma.windows.operating_system import System

_TRIED = "activate the guest"


class GuestOnDelete(Choice):
    """What deleting the resource does to the guest."""

    RETAIN = (
        "retain",
        "Nothing: the guest keeps its key and stays activated as long as its host activates it.",
    )
    UNINSTALL_KEY = "uninstallKey", "Uninstall the AVMA key; the guest is unlicensed afterwards."


def product_key_error(key: str) -> str | None:
    """Say why a key cannot be an AVMA key."""
    published = keys.published(key)
    if published is None or published.kind is KeyKind.AVMA:
        return keys.syntax_error(key)
    return (
        f"is the generic {published.kind.value} key of Windows Server {published.version} {published.edition}; leave "
        "it out, and the AVMA key of the guest's version and edition is used"
    )


def vm_id_error(text: str) -> str | None:
    """Say why a text cannot be a VM id."""
    return None if hyperv.is_vm_id(text) else "must be the VM's GUID, as `(Get-VM NAME).Id` shows it"


@dataclass(frozen=True)
class VmActivationInputs:
    """What a user declares of a guest's activation."""

    host: str = declare(
        "The Hyper-V host on which the VM runs: its DNS name or IP address.",
        replaces=True,
        check=host_name_error,
    )
    vm_name: str | None = declare("The VM's name. Give this or `vmId`.", default=None, replaces=True)
    vm_id: str | None = declare("The VM's GUID. Give this or `vmName`.", default=None, replaces=True, check=vm_id_error)
    guest: Guest | None = declare(
        "How the Windows inside the VM is reached, where it differs from the provider's `guest`. Its address is the "
        "one that the guest tells its host through Data Exchange, unless set.",
        default=None,
    )
    product_key: str | None = declare(
        "The AVMA key; the published one of the guest's own version and edition unless set.",
        default=None,
        secret=True,
        check=product_key_error,
    )
    on_delete: GuestOnDelete = declare("What deleting the resource does to the guest.", default=GuestOnDelete.RETAIN)
    connection: AddressedSettings | None = declare(
        "How the host is reached, where it differs from the provider's configuration.", default=None
    )


@dataclass(frozen=True, kw_only=True)
class VmActivationOutputs(LicenseOutputs):
    """What Windows says of a guest's activation."""

    vm_id: str = declare("The VM's GUID, in lower case.")
    vm_name: str = declare("The VM's name.")
    guest_version: str = declare("The guest's Windows Server release, such as `2022`.")
    guest_edition: str = declare("The guest's edition, such as `Standard`.")
    activated_by_host: str | None = declare(
        "The host that activated the guest, by its own name; absent when none did.", default=None
    )


class VmActivation(Resource):
    """The lifecycle of a VmActivation; its identifier is `host/vmId`, all in lower case."""

    name = "VmActivation"
    description = (
        "The Windows Server inside one VM, activated by its Hyper-V host (Automatic Virtual Machine Activation). The "
        "AVMA key of the guest's version and edition is installed unless it is there, and the resource is done when "
        "Windows says that it is licensed through it. "
        "Import by host and VM: `pulumi import avma:index:VmActivation web01 hv01.example.com/web01`."
    )
    inputs = VmActivationInputs
    outputs = VmActivationOutputs
    timeout = 900.0

    def check(self, values: Values) -> list[Failure]:
        """See `Resource.check`."""
        failures = validate(VmActivationInputs, values)
        names = [name for name in ("vmName", "vmId") if values.get(name) is not None]
        if len(names) == 2:
            failures.append(Failure("vmId", "stands beside `vmName`; give one of the two"))
        if not names:
            failures.append(Failure("vmName", "is required, or `vmId`"))
        return failures

    def diff(self, stored: Stored, wanted: Values) -> list[Change]:
        """See `Resource.diff`."""
        normal = {"host": str.lower, "vmName": str.lower, "vmId": str.lower, "productKey": keys.normalize}
        changes = list(input_changes(VmActivationInputs, stored.inputs, wanted, normal))
        if _same_vm(stored, wanted):
            changes = [change for change in changes if change.path not in ("vmName", "vmId")]
        if _holds_wanted(stored, wanted):
            changes = [change for change in changes if change.path != "productKey"]
        key_changes = any(change.path == "productKey" for change in changes)
        return changes + list(_drift(stored.outputs, wanted, key_changes))

    def predict(self, wanted: Values) -> dict[str, Any]:
        """See `Resource.predict`."""
        predicted = {
            "licenseStatus": LicenseStatus.LICENSED.value,
            "licenseChannel": LicenseChannel.AVMA.value,
        }
        if isinstance(wanted.get("productKey"), str):
            predicted["partialProductKey"] = keys.partial(wanted["productKey"])
        return predicted

    def probe(self, wanted: Values, operation: Operation) -> dict[str, Any]:
        """See `Resource.probe`. A host that the same run will license counts as licensed."""
        plan = _inspect(build(VmActivationInputs, wanted), operation, preview=True)
        now = dump(_result(plan.vm, wanted, plan.found.system, plan.found.product).outputs)
        lasting = {name: now[name] for name in ("vmId", "vmName", "guestVersion", "guestEdition")}
        return {**lasting, **self.predict(wanted), "partialProductKey": keys.partial(plan.product_key)}

    def create(self, wanted: Values, operation: Operation) -> Result:
        """See `Resource.create`."""
        plan = _inspect(build(VmActivationInputs, wanted), operation)
        system = plan.found.system
        attempt = Attempt(plan.guest, plan.found, operation)
        with attempt.keeping(lambda product: _result(plan.vm, wanted, system, product)):
            attempt.license(plan.product_key, activate=True, channel=LicenseChannel.AVMA)
        return _result(plan.vm, wanted, system, attempt.product)

    def read(self, identifier: str, stored: Stored | None, operation: Operation) -> Result | None:
        """See `Resource.read`. A VM that is off keeps the state that is stored: its guest cannot be asked."""
        wanted = stored.inputs if stored else _imported_inputs(identifier)
        inputs = build(VmActivationInputs, wanted)
        host = _host(inputs, operation)
        vm = guests.find_vm(host, identifier.partition("/")[2], operation)
        if vm is None:
            return None
        if not vm.running and stored is not None and stored.outputs:
            operation.warn(f"{vm.name}: the VM is off, so its activation was not read")
            return Result(identifier, wanted, build(VmActivationOutputs, stored.outputs))
        guests.require_running(vm, host)
        found = guests.connect(vm, host, inputs.guest, operation).licensing(operation.deadline)
        return _result(vm, wanted, found.system, found.product)

    def update(self, identifier: str, stored: Stored, wanted: Values, operation: Operation) -> Result:
        """See `Resource.update`: the wanted state is reached in the same way, whatever was there before."""
        return self.create(wanted, operation)

    def delete(self, identifier: str, stored: Stored, operation: Operation) -> None:
        """See `Resource.delete`. A VM that is gone took its activation with it."""
        inputs = build(VmActivationInputs, stored.inputs)
        name = stored.outputs.get("vmName") or identifier
        if inputs.on_delete is GuestOnDelete.RETAIN:
            operation.status(f"{name}: keeps its key; only the resource is forgotten")
            return
        host = _host(inputs, operation)
        vm = guests.find_vm(host, identifier.partition("/")[2], operation)
        if vm is None:
            return
        guests.require_running(vm, host)
        guest = guests.connect(vm, host, inputs.guest, operation)
        uninstall(guest, guest.licensing(operation.deadline).product, stored.outputs, operation)


@dataclass(frozen=True)
class _Plan:
    """What an activation needs to know, once nothing forbids it."""

    vm: VirtualMachine
    guest: Machine
    found: Licensing
    product_key: str


def locate(inputs: VmActivationInputs, operation: Operation) -> tuple[VirtualMachine, Licensing]:
    """Return a VM and what is licensed in it.

    Raises:
        AvmaError: the VM is not there or not running, or its guest could not be asked.
    """
    host = _host(inputs, operation)
    vm = guests.require_vm(host, inputs.vm_name or inputs.vm_id or "", operation)
    guests.require_running(vm, host)
    return vm, guests.connect(vm, host, inputs.guest, operation).licensing(operation.deadline)


def _inspect(inputs: VmActivationInputs, operation: Operation, preview: bool = False) -> _Plan:
    """Look at host, VM and guest without changing anything.

    Raises:
        AvmaError: what stands in the way.
    """
    host = _host(inputs, operation)
    name = inputs.vm_name or inputs.vm_id or ""
    operation.status(f"{name}: looking for the VM on {host.name}")
    vm = guests.require_vm(host, name, operation)
    on_host = host.licensing(operation.deadline)
    _require_activating(on_host, host, preview and host.will_be_licensed)
    guests.require_running(vm, host)
    guest = guests.connect(vm, host, inputs.guest, operation)
    operation.status(f"{guest.name}: reading the licence")
    found = guest.licensing(operation.deadline)
    key = _avma_key(found.system, on_host.system, inputs.product_key, guest)
    return _Plan(vm, guest, found, key)


def _host(inputs: VmActivationInputs, operation: Operation) -> Machine:
    guests.require_transport(inputs.vm_name or inputs.vm_id or "", inputs.guest, operation)
    return operation.machines.get(resolve(inputs.host, inputs.connection, operation.configuration))


def _require_activating(on_host: Licensing, host: Machine, will_be_licensed: bool) -> None:
    """Return if the host can activate guests."""
    require_datacenter(on_host, host.where, "activate guests")
    if not on_host.licensed and not will_be_licensed:
        answer = f"the host cannot, because {licensing.reason_text(on_host.product)}"
        remedy = "license it first (HostLicense, with `dependsOn` from this resource)"
        raise errors.Refused("activate guests", host.where, answer, remedy)


def _avma_key(guest: System, host: System, product_key: str | None, machine: Machine) -> str:
    """Return the key to install in the guest.

    Raises:
        Refused: no AVMA key exists for this guest, this host cannot activate it, or the given key is for another.
    """
    if guest.evaluation:
        remedy = "convert it to a full edition first (DISM /Set-Edition), and restart it"
        raise errors.Refused(_TRIED, machine.where, f"it runs an evaluation ({guest})", remedy)
    published = keys.find(KeyKind.AVMA, guest.version, guest.edition)
    if published is None:
        answer = f"there is no AVMA key for {guest}"
        remedy = "AVMA is for Windows Server 2012 R2 to 2025: Datacenter, Standard and, up to 2019, Essentials"
        raise errors.Refused(_TRIED, machine.where, answer, remedy)
    if guest.edition == compatibility.AZURE_EDITION:
        answer = f"it runs {guest}, which only Azure and Azure Local hosts activate, and the host runs {host}"
        raise errors.Refused(_TRIED, machine.where, answer, "run it on Azure Local, or use another edition")
    if not compatibility.activates(host.version, guest.version):
        answer = f"it runs {guest} and its host {host}, and a host activates guests up to its own version only"
        raise errors.Refused(_TRIED, machine.where, answer, "move the VM to a newer host, or upgrade the host")
    given = keys.published(product_key) if product_key else None
    if given is not None and given != published:
        answer = f"it runs {guest}, and the declared key is for Windows Server {given.version} {given.edition}"
        raise errors.Refused(_TRIED, machine.where, answer, "leave `productKey` out, and the right key is used")
    return keys.normalize(product_key) if product_key else published.key


def _same_vm(stored: Stored, wanted: Values) -> bool:
    """Say whether the wanted name or id is that of the stored VM, whichever of the two was given before."""
    name, vm_id = wanted.get("vmName"), wanted.get("vmId")
    if isinstance(vm_id, str):
        return vm_id.lower() == stored.outputs.get("vmId")
    return isinstance(name, str) and name.lower() == str(stored.outputs.get("vmName", "")).lower()


def _holds_wanted(stored: Stored, wanted: Values) -> bool:
    key = wanted.get("productKey")
    return key is None or (isinstance(key, str) and stored.outputs.get("partialProductKey") == keys.partial(key))


def _drift(outputs: Values, wanted: Values, key_changes: bool) -> Iterator[Change]:
    """Yield what Windows no longer has as AVMA wants it: the status, the channel, the key."""
    if outputs.get("licenseStatus") != LicenseStatus.LICENSED:
        yield Change("licenseStatus", drift=True)
    if outputs.get("licenseChannel") != LicenseChannel.AVMA:
        yield Change("licenseChannel", drift=True)
    if not key_changes and outputs.get("partialProductKey") != _wanted_partial(outputs, wanted):
        yield Change("partialProductKey", drift=True)


def _wanted_partial(outputs: Values, wanted: Values) -> str | None:
    key = wanted.get("productKey")
    if isinstance(key, str):
        return keys.partial(key)
    version, edition = outputs.get("guestVersion", ""), outputs.get("guestEdition", "")
    published = keys.find(KeyKind.AVMA, version, edition)
    return keys.partial(published.key) if published else None


def _imported_inputs(identifier: str) -> dict[str, Any]:
    host, slash, vm = identifier.partition("/")
    if not (host and slash and vm):
        answer = f"`{identifier}` is not of the form host/vmName or host/vmId"
        raise errors.InvalidInput("import a VM", identifier, answer, "give for example hv01.example.com/web01")
    return {"host": host, ("vmId" if hyperv.is_vm_id(vm) else "vmName"): vm}


def outputs_of(vm: VirtualMachine, system: System, product: Product | None) -> VmActivationOutputs:
    """Return the outputs that describe a VM and the licence in it."""
    return VmActivationOutputs(
        **license_outputs(product),
        vm_id=vm.id,
        vm_name=vm.name,
        guest_version=system.version,
        guest_edition=system.edition,
        activated_by_host=(product.activated_by_host or None) if product else None,
    )


def _result(vm: VirtualMachine, wanted: Values, system: System, product: Product | None) -> Result:
    return Result(f"{str(wanted['host']).lower()}/{vm.id}", wanted, outputs_of(vm, system, product))
