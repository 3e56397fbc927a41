"""VmActivation: the host of one VM has activated Windows Server inside the VM."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from avma import characters, compatibility, errors, keys
from avma.addresses import canonical, doubled_error, host_name_error
from avma.configuration import READY_TIMEOUT
from avma.deadline import seconds
from avma.keys import KeyKind
from avma.properties import InvalidProperty, Values, build, dump, known, validate
from avma.resources import guest_access, preconditions
from avma.resources.claims import Claim
from avma.resources.guest_access import Placement
from avma.resources.machine_license import Attempt, license_outputs, restore, uninstall
from avma.resources.resource import (
    Change,
    Import,
    Operation,
    Resource,
    Result,
    Stored,
    Undoing,
    is_bookkeeping_only,
    partial_failure,
)
from avma.resources.vm_activation import vm_changes
from avma.resources.vm_activation.vm_plan import VmPlan, find_vm, make_plan, servers_of
from avma.resources.vm_activation.vm_properties import GuestOnDelete, VmActivationInputs, VmActivationOutputs
from avma.resources.vm_activation.wait_for_guest import WaitLimit, may_be_in_setup, may_pass
from avma.windows import events, hyperv
from avma.windows.hyperv import VirtualMachine
from avma.windows.licensing import LicenseChannel, LicenseStatus, Product
from avma.windows.operating_system import System

_TRIED = "activate the guest"
_KEEPS_UNKNOWN = "the guest keeps its key, because the provider has no KMS client key for its version and edition"
_WAITING = 0.95
"""The share of an operation's time for the wait until a VM is provisioned."""


class VmActivationResource(Resource):
    """The lifecycle of a VmActivation. Its identifier is `host/vmId` or `host,host/vmId`, all in lower case."""

    name = "VmActivation"
    description = (
        "Windows Server inside one VM, activated by its Hyper-V host (Automatic Virtual Machine Activation, AVMA). "
        "The provider installs the AVMA key for the version and edition of the guest, unless the guest has it "
        "already. Creation succeeds when Windows reports a license through this key."
    )
    imports = (
        Import("the host, and the name or GUID of the VM", "web01", "hv01.example.com/web01"),
        Import("all hosts, for a VM that moves between them", "web01", "hv01.example.com,hv02.example.com/web01"),
    )
    inputs = VmActivationInputs
    outputs = VmActivationOutputs
    timeout = 3600.0

    def check(self, values: Values) -> list[InvalidProperty]:
        """See `Resource.check`."""
        failures = validate(VmActivationInputs, values)
        failures += _one_of(values, "host", "hosts") + _one_of(values, "vmName", "vmId")
        connection = values.get("connection")
        if values.get("hosts") is not None and isinstance(connection, Mapping) and connection.get("address"):
            reason = "cannot be combined with `hosts`. The provider connects to the hosts by their names"
            failures.append(InvalidProperty("connection.address", reason))
        return failures

    def diff(self, stored: Stored, wanted: Values) -> list[Change]:
        """See `Resource.diff`."""
        return vm_changes.changes(VmActivationInputs, stored, wanted)

    def holdings(self, stored: Stored, wanted: Values) -> list[Claim]:
        """See `Resource.holdings`."""
        partial = vm_changes.wanted_partial(stored.outputs, wanted)
        return [Claim("", stored.outputs.get("vmId") or "", partial, installs=known(wanted.get("productKey")))]

    def predict(self, wanted: Values) -> dict[str, Any]:
        """See `Resource.predict`."""
        predicted = {
            "licenseStatus": LicenseStatus.LICENSED.value,
            "licenseChannel": LicenseChannel.AVMA.value,
        }
        if isinstance(wanted.get("productKey"), str):
            predicted["partialProductKey"] = keys.partial(wanted["productKey"])
        return predicted

    def askable(self, wanted: Values) -> bool:
        """See `Resource.askable`. If the guest's account is not known yet, a preview reads only the host."""
        return known({name: value for name, value in wanted.items() if name != "guest"})

    def probe(self, wanted: Values, operation: Operation, identifier: str | None = None) -> dict[str, Any]:
        """See `Resource.probe`. A host that the same run will license counts as licensed."""
        vm_id = _vm_of(identifier) if identifier else None
        if not known(wanted.get("guest")):
            return self._probe_host({**wanted, "guest": None}, operation, vm_id)
        inputs = build(VmActivationInputs, wanted)
        plan = make_plan(inputs, operation, vm_id, preview=True)
        _claim(plan.vm, plan.product_key, plan.guest.where, operation)
        _warn_of_retaining(inputs, plan.found.system, operation)
        now = dump(_result(plan.vm, wanted, plan.found.system, plan.found.product).outputs)
        lasting = {name: now[name] for name in ("vmId", "vmName", "guestVersion", "guestEdition")}
        return {**lasting, **self.predict(wanted), "partialProductKey": keys.partial(plan.product_key)}

    def _probe_host(self, wanted: Values, operation: Operation, vm_id: str | None) -> dict[str, Any]:
        """Read only the host. The guest's Data Exchange report replaces a read of the guest."""
        inputs = build(VmActivationInputs, wanted)
        placement, host = find_vm(inputs, vm_id, operation, preview=True)
        vm = placement.vm
        guest_access.require_data_exchange(placement, inputs.manage_data_exchange, True, operation)
        facts = guest_access.facts_of(placement, operation)
        guest_access.require_windows(vm, facts, placement.host.where)
        system = facts.system
        certain = {"vmId": vm.id, "vmName": vm.name, **self.predict(wanted)}
        if system is None:
            return certain
        key = preconditions.avma_key(system, host, inputs.product_key, placement.where)
        _claim(vm, key, placement.where, operation)
        told = {"guestVersion": system.version, "guestEdition": system.edition}
        return {**certain, **told, "partialProductKey": keys.partial(key)}

    def create(self, wanted: Values, operation: Operation) -> Result:
        """See `Resource.create`. If the VM is being provisioned, wait for it."""
        inputs = build(VmActivationInputs, wanted)
        return _activate(make_plan(inputs, operation, patience=_patience(inputs, operation)), wanted, operation)

    def read(self, identifier: str, stored: Stored | None, operation: Operation) -> Result | None:
        """See `Resource.read`. A VM that is off, or still starting, keeps its stored state."""
        wanted = stored.inputs if stored else _imported_inputs(identifier)
        inputs = build(VmActivationInputs, wanted)
        placement = guest_access.find_vm(servers_of(inputs, operation), _vm_of(identifier), operation)
        if placement is None:
            return None
        vm = placement.vm
        try:
            guest_access.require_running(placement)
            with may_be_in_setup(vm):
                found = guest_access.connect(placement, inputs.guest, operation).licensing(operation.deadline)
        except errors.NotReady as error:
            if stored is None or not stored.outputs or not may_pass(error, vm):
                raise
            operation.warn(f"{vm.name}: could not read its activation: {error.answer}")
            result = Result(identifier, wanted, build(VmActivationOutputs, stored.outputs))
            return _renamed(result, placement, operation)
        return _renamed(_result(vm, wanted, found.system, found.product), placement, operation)

    def update(self, identifier: str, stored: Stored, wanted: Values, operation: Operation) -> Result:
        """See `Resource.update`. The VM is the one that was activated before, even if another VM has its name now."""
        if is_bookkeeping_only(VmActivationInputs, self.diff(stored, wanted)):
            return Result(identifier, wanted, build(VmActivationOutputs, stored.outputs))
        plan = make_plan(build(VmActivationInputs, wanted), operation, _vm_of(identifier))
        return _activate(plan, wanted, operation)

    def delete(self, identifier: str, stored: Stored, operation: Operation) -> None:
        """See `Resource.delete`. If the VM is gone, so is its activation."""
        inputs = build(VmActivationInputs, stored.inputs)
        name = stored.outputs.get("vmName") or identifier
        if inputs.on_delete is GuestOnDelete.RETAIN:
            operation.status(f"{name}: the guest keeps its key. Pulumi only removes the resource from its state")
            return
        restores = inputs.on_delete is GuestOnDelete.RESTORE_KMS_CLIENT_KEY
        if restores and _kms_client_key(stored) is None:
            operation.warn(f"{name}: {_KEEPS_UNKNOWN}")
            return
        placement = guest_access.find_vm(servers_of(inputs, operation), _vm_of(identifier), operation)
        if placement is None:
            operation.warn(f"{name}: the VM is no longer on its host, so the provider uninstalled no key")
            return
        guest_access.require_running(placement)
        guest = guest_access.connect(placement, inputs.guest, operation)
        own = vm_changes.wanted_partial(stored.outputs, stored.inputs)
        kms = preconditions.kms_client_key(guest.system(operation.deadline)) if restores else None
        if kms is not None:
            restore(guest, placement.vm.id, own, kms.key, operation)
        elif restores:
            operation.warn(f"{name}: {_KEEPS_UNKNOWN}")
        else:
            uninstall(guest, placement.vm.id, own, operation)

    def undoes(self, identifier: str, stored: Stored, operation: Operation) -> Undoing | None:
        """See `Resource.undoes`."""
        inputs = build(VmActivationInputs, stored.inputs)
        own = vm_changes.wanted_partial(stored.outputs, stored.inputs)
        restores = inputs.on_delete is GuestOnDelete.RESTORE_KMS_CLIENT_KEY
        if inputs.on_delete is GuestOnDelete.RETAIN or (restores and _kms_client_key(stored) is None) or own is None:
            return None
        placement = guest_access.find_vm(servers_of(inputs, operation), _vm_of(identifier), operation)
        if placement is None:
            return None
        obstacle: errors.AvmaError | None = None
        try:
            guest_access.require_running(placement)
        except errors.NotReady as error:
            obstacle = error
        return Undoing(own, placement.vm.id, placement.vm.name, obstacle)


def _vm_of(identifier: str) -> str:
    """Return the VM in an identifier: its id, or its name in an import."""
    return identifier.partition("/")[2]


def _kms_client_key(stored: Stored) -> keys.PublishedKey | None:
    """Return the KMS client key for the stored version and edition of the guest, None if no key is known.

    A version `build N` is looked up by its build.
    """
    version, edition = str(stored.outputs.get("guestVersion", "")), str(stored.outputs.get("guestEdition", ""))
    build = version.removeprefix("build ")
    if build != version and build.isdecimal():
        return preconditions.kms_client_key(System(int(build), edition, evaluation=False))
    return keys.find(KeyKind.KMS_CLIENT, version, edition)


def _warn_of_retaining(inputs: VmActivationInputs, system: System, operation: Operation) -> None:
    """Warn if `restoreKmsClientKey` is declared for a guest without a known KMS client key."""
    restores = inputs.on_delete is GuestOnDelete.RESTORE_KMS_CLIENT_KEY
    if restores and preconditions.kms_client_key(system) is None:
        operation.warn(
            f"{inputs.vm_name or inputs.vm_id}: the provider has no KMS client key for {system}, so deleting the "
            "resource will leave the key of the guest unchanged"
        )


def _claim(vm: VirtualMachine, product_key: str, where: str, operation: Operation) -> None:
    """Claim the guest. This must happen before it is changed.

    Raises:
        KeyConflict: another resource of the run wants another key there.
    """
    operation.claim(vm.id, keys.partial(product_key), where, _TRIED, installs=True)


def _renamed(result: Result, placement: Placement, operation: Operation) -> Result:
    """Return a result with the VM's current name, and the id of another VM with the declared name."""
    vm, declared = placement.vm, result.inputs.get("vmName")
    namesake = placement.namesake(declared)
    if namesake is not None:
        operation.warn(
            f"{declared}: another VM ({namesake.id}) has this name now. `pulumi up` will activate that VM instead"
        )
    elif isinstance(declared, str) and declared.lower() != vm.name.lower():
        operation.warn(f"{declared}: the VM ({vm.id}) is now named {vm.name}. Set `vmName` to the new name")
    outputs = replace(result.outputs, vm_name=vm.name, name_taken_by=namesake.id if namesake else None)
    return replace(result, outputs=outputs)


def _activate(plan: VmPlan, wanted: Values, operation: Operation) -> Result:
    _claim(plan.vm, plan.product_key, plan.guest.where, operation)
    attempt = Attempt(plan.guest, plan.found, plan.since, operation)
    with partial_failure(attempt, lambda: _result(plan.vm, wanted, plan.found.system, attempt.product)):
        _license(attempt, plan)
    return _result(plan.vm, wanted, plan.found.system, attempt.product)


def _patience(inputs: VmActivationInputs, operation: Operation) -> WaitLimit:
    """Return the time to wait for a VM that is being provisioned."""
    declared = seconds(operation.configuration.effective_guest(inputs.guest).ready_timeout or READY_TIMEOUT)
    # Leave a little time after the wait, so the error can report the progress of the VM.
    most = operation.deadline.remaining() * _WAITING
    limit = "in `guest.readyTimeout`" if declared <= most else "with the resource option `customTimeouts`"
    return WaitLimit(operation.deadline.part(min(declared, most)), limit)


def _license(attempt: Attempt, plan: VmPlan) -> None:
    """License the guest. If Windows rejects it, add the messages in the event logs of guest and host."""
    try:
        attempt.license(plan.product_key, activate=True, channel=LicenseChannel.AVMA)
    except errors.LicensingFault as fault:
        said = {
            f"Event {events.GUEST_EVENT} of the guest": events.latest(plan.guest.wmi, events.GUEST_EVENT),
            f"Event {events.HOST_EVENT} of the host": events.latest(plan.host.server.wmi, events.HOST_EVENT),
        }
        fault.answer += "".join(f". {where}: {text}" for where, text in said.items() if text)
        if plan.found.system.edition == compatibility.AZURE_EDITION:
            fault.remedy = f"{preconditions.AZURE_EDITION_NEEDS}; without either, the guest needs its own key"
        raise


def _one_of(values: Values, first: str, second: str) -> list[InvalidProperty]:
    given = [name for name in (first, second) if values.get(name) is not None]
    if len(given) == 2:
        return [InvalidProperty(second, f"cannot be combined with `{first}`")]
    return [] if given else [InvalidProperty(first, f"is required unless you set `{second}`")]


def _imported_inputs(identifier: str) -> dict[str, Any]:
    host, slash, vm = identifier.partition("/")
    tried = f"import `{characters.shown(identifier)}`"
    if not (host and slash and vm):
        answer = "the id does not have the form host/vmName or host/vmId"
        remedy = "use for example hv01.example.com/web01, or hv01,hv02/web01 for a VM that moves between hosts"
        raise errors.InvalidInput(tried, "", answer, remedy)
    names = host.split(",")
    reason = next((reason for reason in map(host_name_error, names) if reason), None) or doubled_error(names)
    if reason:
        raise errors.InvalidInput(tried, "", reason, "use each host once, by DNS name or IP address")
    hidden = characters.hidden_error(vm)
    if hidden:
        answer = f"the name of the VM {hidden}"
        raise errors.InvalidInput(tried, "", answer, "use the name or the id of the VM")
    where = {"hosts": names} if len(names) > 1 else {"host": host}
    return {**where, ("vmId" if hyperv.canonical_vm_id(vm) else "vmName"): vm}


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


def _result(vm: VirtualMachine, wanted: Values, system: System, product: Product | None) -> Result:
    hosts = wanted.get("hosts") or [wanted["host"]]
    return Result(f"{','.join(dict.fromkeys(map(canonical, hosts)))}/{vm.id}", wanted, outputs_of(vm, system, product))
