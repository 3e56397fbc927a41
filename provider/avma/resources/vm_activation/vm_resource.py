"""VmActivation: the host of one VM has activated Windows Server inside the VM."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from avma import compatibility, errors, keys
from avma.addresses import canonical
from avma.keys import KeyKind
from avma.properties import InvalidProperty, Values, build, dump, known, validate
from avma.resources import preconditions
from avma.resources.claims import Claim
from avma.resources.guest_access import (
    GuestState,
    connect,
    facts_of,
    may_be_in_setup,
    read_guest_state,
    require_data_exchange,
    require_windows,
    turn_on_data_exchange,
)
from avma.resources.host_state import HostState, read_host_state
from avma.resources.machine_license import Attempt, restore, uninstall
from avma.resources.placement import Placement, find_vm, require_running, require_vm
from avma.resources.resource import (
    Change,
    Import,
    Operation,
    Resource,
    Result,
    Stored,
    Undoing,
    is_bookkeeping_only,
    lasting,
    partial_failure,
)
from avma.resources.vm_activation import vm_changes
from avma.resources.vm_activation.vm_identifier import identifier_of, imported_inputs, vm_in
from avma.resources.vm_activation.vm_properties import (
    GuestOnDelete,
    VmActivationInputs,
    VmActivationOutputs,
    outputs_of,
)
from avma.resources.vm_activation.wait_for_guest import begin_wait, may_answer_later, wait_for_guest, wait_until_running
from avma.resources.vm_activation.wait_for_license import wait_for_license
from avma.windows import events
from avma.windows.hyperv import VirtualMachine
from avma.windows.licensing import LicenseChannel, Product
from avma.windows.machine import Server
from avma.windows.operating_system import System
from avma.wording import NEXT_RUN, ONLY_FORGETS, capitalized, setting

_TRIED = "activate the guest"
_KEEPS_UNKNOWN = "the guest keeps its key, because the provider has no KMS client key for its version and edition"


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
        failures += _one_of(values, "host", "hosts") + _one_of(values, "vm_name", "vm_id")
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
        return [Claim("", stored.outputs.get("vm_id") or "", partial, installs=known(wanted.get("product_key")))]

    def askable(self, wanted: Values) -> bool:
        """See `Resource.askable`. If the guest's account is not known yet, a preview reads only the host."""
        return known({name: value for name, value in wanted.items() if name != "guest"})

    def create(self, wanted: Values, operation: Operation) -> Result:
        """See `Resource.create`. If the VM is being provisioned, wait for it."""
        inputs = build(VmActivationInputs, wanted)
        hosts = hosts_of(inputs, operation)
        placement = _find(inputs, None, hosts, operation)
        host = _require_activating_host(placement, operation)
        wait = begin_wait(inputs.guest, operation)
        placement = wait_until_running(placement, hosts, wait)
        turn_on_data_exchange(placement, inputs.manage_data_exchange, operation)
        placement, guest = wait_for_guest(placement, hosts, inputs.guest, wait)
        if placement.host is not host.server:  # the VM moved during the wait
            host = _require_activating_host(placement, operation)
        key = preconditions.choose_key(guest.found.system, host, inputs.product_key, guest.machine.where)
        return _license_guest(placement, host, guest, key, wanted, operation)

    def update(self, identifier: str, stored: Stored, wanted: Values, operation: Operation) -> Result:
        """See `Resource.update`. The VM is the one that was activated before, even if another VM has its name now."""
        if is_bookkeeping_only(VmActivationInputs, self.diff(stored, wanted)):
            return Result(identifier, wanted, build(VmActivationOutputs, stored.outputs))
        inputs = build(VmActivationInputs, wanted)
        placement = _find(inputs, vm_in(identifier), hosts_of(inputs, operation), operation)
        host = _require_activating_host(placement, operation)
        require_running(placement)
        turn_on_data_exchange(placement, inputs.manage_data_exchange, operation)
        guest = read_guest_state(placement, inputs.guest, operation)
        key = preconditions.choose_key(guest.found.system, host, inputs.product_key, guest.machine.where)
        return _license_guest(placement, host, guest, key, wanted, operation)

    def probe(self, wanted: Values, operation: Operation, identifier: str | None = None) -> dict[str, Any]:
        """See `Resource.probe`. A host that the same run will license counts as licensed."""
        inputs = build(VmActivationInputs, {**wanted, "guest": None} if not known(wanted.get("guest")) else wanted)
        vm_id = vm_in(identifier) if identifier else None
        placement = _find(inputs, vm_id, hosts_of(inputs, operation), operation)
        host = _require_activating_host(placement, operation, preview=True)
        if not known(wanted.get("guest")):
            return self._probe_host(placement, host, inputs, wanted, operation)
        require_running(placement)
        _announce_data_exchange(placement, inputs, operation)
        guest = read_guest_state(placement, inputs.guest, operation)
        key = preconditions.choose_key(guest.found.system, host, inputs.product_key, guest.machine.where)
        _claim(placement, key, guest.machine.where, operation)
        _warn_of_retaining(inputs, guest.found.system, operation)
        now = dump(outputs_of(placement.vm, guest.found.system, guest.found.product))
        return {**lasting(VmActivationOutputs, now), **self.predict({**wanted, "product_key": key})}

    def _probe_host(
        self, placement: Placement, host: HostState, inputs: VmActivationInputs, wanted: Values, operation: Operation
    ) -> dict[str, Any]:
        """Return the expected outputs, as far as the guest's Data Exchange report shows them."""
        _announce_data_exchange(placement, inputs, operation)
        facts = facts_of(placement, operation)
        require_windows(placement.vm, facts, placement.host.where)
        certain = {"vm_id": placement.vm.id, "vm_name": placement.vm.name}
        system = facts.system
        if system is None:
            return {**certain, **self.predict(wanted)}
        key = preconditions.choose_key(system, host, inputs.product_key, placement.where)
        _claim(placement, key, placement.where, operation)
        reported = {"guest_version": system.version, "guest_edition": system.edition}
        return {**certain, **reported, **self.predict({**wanted, "product_key": key})}

    def read(self, identifier: str, stored: Stored | None, operation: Operation) -> Result | None:
        """See `Resource.read`. A VM that is off, or still starting, keeps its stored state."""
        wanted = stored.inputs if stored else imported_inputs(identifier)
        inputs = build(VmActivationInputs, wanted)
        placement = find_vm(hosts_of(inputs, operation), vm_in(identifier), operation)
        if placement is None:
            return None
        vm = placement.vm
        try:
            require_running(placement)
            with may_be_in_setup(vm):
                found = connect(placement, inputs.guest, operation).licensing(operation.deadline)
        except errors.NotReady as error:
            if stored is None or not stored.outputs or not may_answer_later(placement, error):
                raise
            operation.warn(f"{vm.name}: could not read its activation: {error.answer}")
            result = Result(identifier, wanted, build(VmActivationOutputs, stored.outputs))
            return _renamed(result, placement, operation)
        return _renamed(_result(vm, wanted, found.system, found.product), placement, operation)

    def delete(self, identifier: str, stored: Stored, operation: Operation) -> None:
        """See `Resource.delete`. If the VM is gone, so is its activation."""
        inputs = build(VmActivationInputs, stored.inputs)
        name = stored.outputs.get("vm_name") or identifier
        if inputs.on_delete is GuestOnDelete.RETAIN:
            operation.status(f"{name}: the guest keeps its key. {capitalized(ONLY_FORGETS)}")
            return
        restores = inputs.on_delete is GuestOnDelete.RESTORE_KMS_CLIENT_KEY
        if restores and _kms_client_key(stored) is None:
            operation.warn(f"{name}: {_KEEPS_UNKNOWN}")
            return
        placement = find_vm(hosts_of(inputs, operation), vm_in(identifier), operation)
        if placement is None:
            operation.warn(f"{name}: the VM is no longer on its host, so the provider uninstalled no key")
            return
        require_running(placement)
        guest = connect(placement, inputs.guest, operation)
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
        placement = find_vm(hosts_of(inputs, operation), vm_in(identifier), operation)
        if placement is None:
            return None
        obstacle: errors.AvmaError | None = None
        try:
            require_running(placement)
        except errors.NotReady as error:
            obstacle = error
        return Undoing(own, placement.vm.id, placement.vm.name, obstacle)


def hosts_of(inputs: VmActivationInputs, operation: Operation) -> list[Server]:
    """Return the possible hosts of the VM."""
    names = {canonical(name): name for name in inputs.hosts or [inputs.host or ""]}
    return [operation.machine(name, inputs.connection, operation.configuration) for name in names.values()]


def _find(inputs: VmActivationInputs, vm_id: str | None, hosts: Sequence[Server], operation: Operation) -> Placement:
    """Return the VM and its host. `vm_id` has precedence over the declared name or id."""
    name = inputs.vm_name or inputs.vm_id or ""
    where = f" on {len(hosts)} hosts" if len(hosts) > 1 else ""
    operation.status(f"{name}: looking for the VM{where}")
    return require_vm(hosts, vm_id or name, operation)


def _require_activating_host(placement: Placement, operation: Operation, preview: bool = False) -> HostState:
    """Return the state of the VM's host, once it can activate guests. Another resource may be about to license it.

    Raises:
        Refused: it cannot activate guests.
        AvmaError: it could not be queried.
    """
    host = wait_for_license(read_host_state(placement.host, operation), placement.vm.name, operation, preview)
    preconditions.require_activating(host)
    return host


def _announce_data_exchange(placement: Placement, inputs: VmActivationInputs, operation: Operation) -> None:
    """Announce in a preview that the provider is going to turn on Data Exchange.

    Raises:
        DataExchangeOff: it is off, and the provider may not turn it on.
    """
    if require_data_exchange(placement, inputs.manage_data_exchange, operation) is not None:
        operation.status(f"{placement.vm.name}: {NEXT_RUN} will turn on Data Exchange")


def _kms_client_key(stored: Stored) -> keys.PublishedKey | None:
    """Return the KMS client key for the stored version and edition of the guest, None if no key is known.

    A version `build N` is looked up by its build.
    """
    version, edition = str(stored.outputs.get("guest_version", "")), str(stored.outputs.get("guest_edition", ""))
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


def _claim(placement: Placement, product_key: str, where: str, operation: Operation) -> None:
    """Claim the guest. This must happen before it is changed.

    Raises:
        KeyConflict: another resource of the run wants another key there.
    """
    operation.claim(placement.vm.id, keys.partial(product_key), where, _TRIED, installs=True)


def _renamed(result: Result, placement: Placement, operation: Operation) -> Result:
    """Return a result with the VM's current name, and the id of another VM with the declared name."""
    vm, declared = placement.vm, result.inputs.get("vm_name")
    namesake = placement.namesake(declared)
    if namesake is not None:
        operation.warn(
            f"{declared}: another VM ({namesake.id}) has this name now. {capitalized(NEXT_RUN)} will activate that VM "
            "instead"
        )
    elif isinstance(declared, str) and declared.lower() != vm.name.lower():
        operation.warn(f"{declared}: the VM ({vm.id}) is now named {vm.name}. Set {setting('vm_name')} to the new name")
    outputs = replace(result.outputs, vm_name=vm.name, name_taken_by=namesake.id if namesake else None)
    return replace(result, outputs=outputs)


def _license_guest(
    placement: Placement, host: HostState, guest: GuestState, product_key: str, wanted: Values, operation: Operation
) -> Result:
    """Claim the guest, install its key and activate it.

    Raises:
        PartlyDone: the guest was changed before the error.
        AvmaError: nothing was changed.
    """
    _claim(placement, product_key, guest.machine.where, operation)
    attempt = Attempt(guest.machine, guest.found, guest.since, operation)
    with partial_failure(attempt, lambda: _result(placement.vm, wanted, guest.found.system, attempt.product)):
        try:
            attempt.license(product_key, activate=True, channel=LicenseChannel.AVMA)
        except errors.LicensingFault as fault:
            _add_event_logs(fault, host, guest)
            raise
    return _result(placement.vm, wanted, guest.found.system, attempt.product)


def _add_event_logs(fault: errors.LicensingFault, host: HostState, guest: GuestState) -> None:
    """Add the messages in the event logs of guest and host to a rejection by Windows."""
    said = {
        f"Event {events.GUEST_EVENT} of the guest": events.latest(guest.machine.wmi, events.GUEST_EVENT),
        f"Event {events.HOST_EVENT} of the host": events.latest(host.server.wmi, events.HOST_EVENT),
    }
    fault.answer += "".join(f". {where}: {text}" for where, text in said.items() if text)
    if guest.found.system.edition == compatibility.AZURE_EDITION:
        fault.remedy = f"{preconditions.AZURE_EDITION_NEEDS}; without either, the guest needs its own key"


def _one_of(values: Values, first: str, second: str) -> list[InvalidProperty]:
    given = [name for name in (first, second) if values.get(name) is not None]
    if len(given) == 2:
        return [InvalidProperty(second, f"cannot be combined with {setting(first)}")]
    return [] if given else [InvalidProperty(first, f"is required unless you set {setting(second)}")]


def _result(vm: VirtualMachine, wanted: Values, system: System, product: Product | None) -> Result:
    hosts = wanted.get("hosts") or [wanted["host"]]
    return Result(identifier_of(hosts, vm.id), wanted, outputs_of(vm, system, product))
