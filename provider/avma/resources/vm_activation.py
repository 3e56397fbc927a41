"""VmActivation: the Windows Server inside one VM is activated by the Hyper-V host that the VM runs on.

It knows what a user declares of a guest and the rules of AVMA; Windows is asked through `avma.windows`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from avma import errors, keys
from avma.configuration import Guest
from avma.connection import AddressedSettings, host_name_error
from avma.keys import KeyKind
from avma.properties import Choice, Failure, Values, build, declare, dump, validate
from avma.resources import guests, rules, vm_changes
from avma.resources.activation import Attempt, LicenseOutputs, license_outputs, restore, uninstall
from avma.resources.resource import Change, Operation, Resource, Result, Stored, only_said
from avma.windows import events, hyperv
from avma.windows.hyperv import VirtualMachine
from avma.windows.licensing import LicenseChannel, LicenseStatus, Licensing, Product
from avma.windows.machine import Machine, Server
from avma.windows.operating_system import System

_TRIED = "activate the guest"


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
    """Say why a text cannot be a VM's name."""
    return None if text.strip() else "must not be empty"


def vm_id_error(text: str) -> str | None:
    """Say why a text cannot be a VM id."""
    return None if hyperv.is_vm_id(text) else "must be the VM's GUID, as `(Get-VM NAME).Id` shows it"


@dataclass(frozen=True)
class VmActivationInputs:
    """What a user declares of a guest's activation."""

    host: str | None = declare(
        "The Hyper-V host on which the VM runs: its DNS name or IP address. Give this or `hosts`.",
        default=None,
        replaces=True,
        check=host_name_error,
    )
    hosts: list[str] | None = declare(
        "All hosts on which the VM may run, such as the nodes of a cluster; the VM is followed to where it is.",
        default=None,
        check=host_name_error,
    )
    vm_name: str | None = declare(
        "The VM's name. Give this or `vmId`.", default=None, replaces=True, check=vm_name_error
    )
    vm_id: str | None = declare("The VM's GUID. Give this or `vmName`.", default=None, replaces=True, check=vm_id_error)
    guest: Guest | None = declare(
        "How the Windows inside the VM is reached, where it differs from the provider's `guest`.",
        default=None,
    )
    product_key: str | None = declare(
        "The AVMA key; the published one of the guest's own version and edition unless set.",
        default=None,
        secret=True,
        check=rules.avma_key_error,
    )
    manage_data_exchange: bool = declare(
        "Whether the VM's Data Exchange integration service may be switched on, without which no guest is activated.",
        default=False,
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
    """The lifecycle of a VmActivation; its identifier is `host/vmId` or `host,host/vmId`, all in lower case."""

    name = "VmActivation"
    description = (
        "The Windows Server inside one VM, activated by its Hyper-V host (Automatic Virtual Machine Activation). The "
        "AVMA key of the guest's version and edition is installed unless it is there, and the resource is done when "
        "Windows says that it is licensed through it. "
        "Import by host and VM: `pulumi import avma:index:VmActivation web01 hv01.example.com/web01`, and with "
        "`hv01,hv02/web01` for a VM that moves between hosts."
    )
    inputs = VmActivationInputs
    outputs = VmActivationOutputs
    timeout = 900.0

    def check(self, values: Values) -> list[Failure]:
        """See `Resource.check`."""
        failures = validate(VmActivationInputs, values)
        failures += _one_of(values, "host", "hosts") + _one_of(values, "vmName", "vmId")
        connection = values.get("connection")
        if values.get("hosts") is not None and isinstance(connection, Mapping) and connection.get("address"):
            reason = "is one machine's, and `hosts` names several; the hosts are reached by their names"
            failures.append(Failure("connection.address", reason))
        return failures

    def diff(self, stored: Stored, wanted: Values) -> list[Change]:
        """See `Resource.diff`."""
        return vm_changes.changes(VmActivationInputs, stored, wanted)

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
        return self._activate(None, wanted, operation)

    def _activate(self, vm_id: str | None, wanted: Values, operation: Operation) -> Result:
        plan = _inspect(build(VmActivationInputs, wanted), operation, vm_id)
        system = plan.found.system
        attempt = Attempt(plan.guest, plan.found, operation)
        with attempt.keeping(lambda product: _result(plan.vm, wanted, system, product)):
            _license(attempt, plan)
        return _result(plan.vm, wanted, system, attempt.product)

    def read(self, identifier: str, stored: Stored | None, operation: Operation) -> Result | None:
        """See `Resource.read`. A VM that is off keeps the state that is stored: its guest cannot be asked."""
        wanted = stored.inputs if stored else _imported_inputs(identifier)
        inputs = build(VmActivationInputs, wanted)
        placement = guests.find_vm(_hosts(inputs, operation), _vm_of(identifier), operation)
        if placement is None:
            return None
        vm = placement.vm
        if not vm.running and stored is not None and stored.outputs:
            operation.warn(f"{vm.name}: the VM is off, so its activation was not read")
            return Result(identifier, wanted, build(VmActivationOutputs, stored.outputs))
        guests.require_running(placement)
        found = guests.connect(placement, inputs.guest, operation).licensing(operation.deadline)
        return _result(vm, wanted, found.system, found.product)

    def update(self, identifier: str, stored: Stored, wanted: Values, operation: Operation) -> Result:
        """See `Resource.update`. The VM is the one that was activated before, whatever now has its name."""
        if only_said(self.diff(stored, wanted)):
            return Result(identifier, wanted, build(VmActivationOutputs, stored.outputs))
        return self._activate(_vm_of(identifier), wanted, operation)

    def delete(self, identifier: str, stored: Stored, operation: Operation) -> None:
        """See `Resource.delete`. A VM that is gone took its activation with it."""
        inputs = build(VmActivationInputs, stored.inputs)
        name = stored.outputs.get("vmName") or identifier
        if inputs.on_delete is GuestOnDelete.RETAIN:
            operation.status(f"{name}: keeps its key; only the resource is forgotten")
            return
        placement = guests.find_vm(_hosts(inputs, operation), _vm_of(identifier), operation)
        if placement is None:
            operation.warn(f"{name}: the VM is not on its host any more, so no key was uninstalled")
            return
        guests.require_running(placement)
        guest = guests.connect(placement, inputs.guest, operation)
        own = vm_changes.wanted_partial(stored.outputs, stored.inputs)
        system = (stored.outputs.get("guestVersion", ""), stored.outputs.get("guestEdition", ""))
        kms = keys.find(KeyKind.KMS_CLIENT, *system)
        if inputs.on_delete is GuestOnDelete.RESTORE_KMS_CLIENT_KEY and kms is not None:
            restore(guest, own, kms.key, operation)
        else:
            uninstall(guest, own, operation)


def _vm_of(identifier: str) -> str:
    """Return the VM in an identifier: its id, or in an import its name."""
    return identifier.partition("/")[2]


@dataclass(frozen=True)
class _Plan:
    """What an activation needs to know, once nothing forbids it."""

    vm: VirtualMachine
    host: Machine
    guest: Machine
    found: Licensing
    product_key: str


def locate(inputs: VmActivationInputs, operation: Operation) -> tuple[VirtualMachine, Licensing]:
    """Return a VM and what is licensed in it.

    Raises:
        AvmaError: the VM is not there or not running, or its guest could not be asked.
    """
    placement = guests.require_vm(_hosts(inputs, operation), inputs.vm_name or inputs.vm_id or "", operation)
    guests.require_running(placement)
    return placement.vm, guests.connect(placement, inputs.guest, operation).licensing(operation.deadline)


def _license(attempt: Attempt, plan: _Plan) -> None:
    """License the guest; when Windows refuses, add what the event logs of guest and host say."""
    try:
        attempt.license(plan.product_key, activate=True, channel=LicenseChannel.AVMA)
    except errors.LicensingFault as fault:
        said = {
            f"event {events.GUEST_EVENT} of the guest": events.latest(plan.guest.wmi, events.GUEST_EVENT),
            f"event {events.HOST_EVENT} of the host": events.latest(plan.host.wmi, events.HOST_EVENT),
        }
        fault.answer += "".join(f"; {where} says: {text}" for where, text in said.items() if text)
        raise


def _inspect(
    inputs: VmActivationInputs, operation: Operation, vm_id: str | None = None, preview: bool = False
) -> _Plan:
    """Look at host, VM and guest without changing anything; with `vm_id` the VM is that one, whatever its name.

    Raises:
        AvmaError: what stands in the way.
    """
    hosts = _hosts(inputs, operation)
    name = inputs.vm_name or inputs.vm_id or ""
    operation.status(f"{name}: looking for the VM on {', '.join(host.name for host in hosts)}")
    placement = guests.require_vm(hosts, vm_id or name, operation)
    vm, host = placement.vm, placement.host
    on_host = host.licensing(operation.deadline)
    rules.require_activating(on_host, host, preview and operation.machines.expects_license(host))
    guests.require_running(placement)
    guests.require_data_exchange(placement, inputs.manage_data_exchange, preview, operation)
    guest = guests.connect(placement, inputs.guest, operation)
    operation.status(f"{guest.name}: reading the licence")
    found = guest.licensing(operation.deadline)
    key = rules.avma_key(found.system, on_host.system, inputs.product_key, guest)
    return _Plan(vm, host, guest, found, key)


def _hosts(inputs: VmActivationInputs, operation: Operation) -> list[Server]:
    """Return the hosts on which the VM may be."""
    names = inputs.hosts or [inputs.host or ""]
    return [operation.machine(name, inputs.connection, operation.configuration) for name in names]


def _one_of(values: Values, first: str, second: str) -> list[Failure]:
    given = [name for name in (first, second) if values.get(name) is not None]
    if len(given) == 2:
        return [Failure(second, f"stands beside `{first}`; give one of the two")]
    return [] if given else [Failure(first, f"is required, or `{second}`")]


def _imported_inputs(identifier: str) -> dict[str, Any]:
    host, slash, vm = identifier.partition("/")
    if not (host and slash and vm):
        answer = f"`{identifier}` is not of the form host/vmName or host/vmId"
        remedy = "give for example hv01.example.com/web01, or hv01,hv02/web01 for a VM that moves between hosts"
        raise errors.InvalidInput("import a VM", identifier, answer, remedy)
    for name in host.split(","):
        reason = host_name_error(name)
        if reason:
            raise errors.InvalidInput("import a VM", identifier, reason, "give hosts by DNS name or IP address")
    where = {"hosts": host.split(",")} if "," in host else {"host": host}
    return {**where, ("vmId" if hyperv.is_vm_id(vm) else "vmName"): vm}


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
    hosts = wanted.get("hosts") or [wanted["host"]]
    return Result(f"{','.join(hosts).lower()}/{vm.id}", wanted, outputs_of(vm, system, product))
