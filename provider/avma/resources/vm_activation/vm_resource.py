"""VmActivation: the host of one VM has activated Windows Server inside the VM."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from avma import errors, keys
from avma.keys import KeyKind
from avma.properties import InvalidProperty, Values, build, dump, known, validate
from avma.resources import preconditions
from avma.resources.claims import Claim
from avma.resources.data_exchange import facts_of, require_data_exchange, turn_on_data_exchange
from avma.resources.guest_access import (
    GuestState,
    connect,
    not_ready_during_setup,
    read_guest_state,
    read_licensing,
    require_windows,
)
from avma.resources.guest_licensing import claim_guest, license_guest, wait_for_activating_host
from avma.resources.host_state import HostState
from avma.resources.machine_license import Attempt, restore, uninstall
from avma.resources.placement import Placement, require_running
from avma.resources.resource import (
    Change,
    Import,
    Operation,
    Resource,
    Result,
    Stored,
    Undoing,
    lasting,
    partial_failure,
)
from avma.resources.vm_activation import vm_changes
from avma.resources.vm_activation.vm_hosts import find_declared, find_stored, hosts_of
from avma.resources.vm_activation.vm_properties import (
    GuestOnDelete,
    VmActivationInputs,
    VmActivationOutputs,
    identifier_of,
    imported_inputs,
    outputs_of,
    vm_in,
)
from avma.resources.vm_activation.wait_for_guest import (
    begin_wait,
    may_answer_later,
    read_without_waiting,
    wait_for_guest,
    wait_until_running,
)
from avma.windows.computer import System
from avma.windows.hyperv import VirtualMachine
from avma.windows.licensing import Product
from avma.wording import NEXT_RUN, ONLY_FORGETS, capitalized, setting

_NO_KMS_CLIENT_KEY = "the guest keeps its key, because the provider has no KMS client key for its version and edition"


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
        failures += _exactly_one_errors(values, "host", "hosts") + _exactly_one_errors(values, "vm_name", "vm_id")
        connection = values.get("connection")
        if values.get("hosts") is not None and isinstance(connection, Mapping) and connection.get("address"):
            reason = f"cannot be combined with {setting('hosts')}. The provider connects to the hosts by their names"
            failures.append(InvalidProperty("connection.address", reason))
        return failures

    def diff(self, stored: Stored, wanted: Values) -> list[Change]:
        """See `Resource.diff`."""
        return vm_changes.changes(VmActivationInputs, stored, wanted)

    def holdings(self, stored: Stored, wanted: Values) -> list[Claim]:
        """See `Resource.holdings`."""
        partial = vm_changes.wanted_partial(stored.outputs, wanted)
        machine = stored.outputs.get("vm_id") or ""
        # The front end adds the resource. Without a declared key, the provider installs the published one. So only a
        # declared key that is still unknown installs nothing yet.
        return [Claim(resource="", machine=machine, key=partial, installs=known(wanted.get("product_key")))]

    def askable(self, wanted: Values) -> bool:
        """See `Resource.askable`. If the guest's account is not known yet, a preview reads only the host."""
        return known({name: value for name, value in wanted.items() if name != "guest"})

    def create(self, wanted: Values, operation: Operation) -> Result:
        """See `Resource.create`. If the VM is being provisioned, wait for it."""
        inputs = build(VmActivationInputs, wanted)
        hosts = hosts_of(inputs, operation)
        placement = find_declared(inputs, None, hosts, operation)
        host = wait_for_activating_host(placement.host, placement.vm.name, operation)
        wait = begin_wait(inputs.guest, operation)
        placement = wait_until_running(placement, hosts, wait)
        turn_on_data_exchange(placement, inputs.manage_data_exchange, operation)
        placement, guest = wait_for_guest(placement, hosts, inputs.guest, wait)
        if placement.host is not host.server:  # the VM moved during the wait
            host = wait_for_activating_host(placement.host, placement.vm.name, operation)
        key = preconditions.choose_key(guest.licensing.system, host, inputs.product_key, guest.machine.where)
        return _license_guest(placement, host, guest, key, wanted, operation)

    def update(self, identifier: str, stored: Stored, wanted: Values, operation: Operation) -> Result:
        """See `Resource.update`. The VM is the one that was activated before, even if another VM has its name now."""
        settled = self.settled(identifier, stored, wanted, operation)
        if settled is not None:
            return settled
        inputs = build(VmActivationInputs, wanted)
        placement = find_declared(inputs, vm_in(identifier), hosts_of(inputs, operation), operation)
        host = wait_for_activating_host(placement.host, placement.vm.name, operation)
        require_running(placement)
        turn_on_data_exchange(placement, inputs.manage_data_exchange, operation)
        guest = read_guest_state(placement, inputs.guest, operation)
        key = preconditions.choose_key(guest.licensing.system, host, inputs.product_key, guest.machine.where)
        return _license_guest(placement, host, guest, key, wanted, operation)

    def probe(self, wanted: Values, operation: Operation, identifier: str | None = None) -> dict[str, Any]:
        """See `Resource.probe`. A host that the same run will license counts as licensed."""
        guest_known = known(wanted.get("guest"))
        inputs = build(VmActivationInputs, wanted if guest_known else {**wanted, "guest": None})
        vm_id = vm_in(identifier) if identifier else None
        placement = find_declared(inputs, vm_id, hosts_of(inputs, operation), operation)
        placement.host.list_for_preview(operation.deadline)
        host = wait_for_activating_host(placement.host, placement.vm.name, operation, preview=True)
        if not guest_known:
            return self._probe_host(placement, host, inputs, wanted, operation)
        require_running(placement)
        _announce_data_exchange(placement, inputs, operation)
        guest = read_without_waiting(placement, inputs.guest, operation)
        key = preconditions.choose_key(guest.licensing.system, host, inputs.product_key, guest.machine.where)
        claim_guest(placement.vm.id, key, guest.machine.where, operation)
        _warn_of_retaining(inputs, guest.licensing.system, operation)
        now = dump(outputs_of(placement.vm, guest.licensing.system, guest.licensing.product))
        return {**lasting(VmActivationOutputs, now), **self.predict({**wanted, "product_key": key})}

    def _probe_host(
        self, placement: Placement, host: HostState, inputs: VmActivationInputs, wanted: Values, operation: Operation
    ) -> dict[str, Any]:
        """Return the expected outputs, as far as the guest's Data Exchange report shows them."""
        _announce_data_exchange(placement, inputs, operation)
        facts = facts_of(placement, operation)
        require_windows(placement.vm, facts, placement.host.where)
        system = facts.system
        if system is None:
            return {"vm_id": placement.vm.id, "vm_name": placement.vm.name, **self.predict(wanted)}
        key = preconditions.choose_key(system, host, inputs.product_key, placement.where)
        claim_guest(placement.vm.id, key, placement.where, operation)
        now = dump(outputs_of(placement.vm, system, None))
        return {**lasting(VmActivationOutputs, now), **self.predict({**wanted, "product_key": key})}

    def read(self, identifier: str, stored: Stored | None, operation: Operation) -> Result | None:
        """See `Resource.read`. A VM that is off, or still starting, keeps its stored state."""
        wanted = stored.inputs if stored else imported_inputs(identifier)
        placement = find_stored(identifier, build(VmActivationInputs, wanted), operation)
        if placement is None:
            return None
        before = stored.outputs if stored else {}
        return self._read_guest(
            placement, identifier, Stored(wanted, before), operation, "could not read its activation"
        )

    def try_settings(self, identifier: str, stored: Stored, operation: Operation) -> Result | None:
        """See `Resource.try_settings`. A guest that is off, or still starting, is only a warning."""
        inputs = build(VmActivationInputs, stored.inputs)
        placement = find_declared(inputs, vm_in(identifier), hosts_of(inputs, operation), operation)
        untried = "the new settings were not tried in the guest"
        return self._read_guest(placement, identifier, stored, operation, untried)

    def _read_guest(
        self, placement: Placement, identifier: str, stored: Stored, operation: Operation, failed: str
    ) -> Result:
        """Return the current state. A guest that does not answer keeps its stored outputs, with a warning."""
        vm, wanted = placement.vm, stored.inputs
        inputs = build(VmActivationInputs, wanted)
        try:
            require_running(placement)
            # Not `read_guest_state`: it rejects a guest that reports another operating system. A refresh keeps the
            # stored state of a guest that does not answer.
            with not_ready_during_setup(vm):
                guest = connect(placement, inputs.guest, operation)
                found = read_licensing(guest, placement, inputs.guest, operation)
        except errors.NotReady as error:
            if not stored.outputs or not may_answer_later(placement, error):
                raise
            operation.warn(f"{vm.name}: {failed}: {error.answer}")
            result = Result(identifier, wanted, build(VmActivationOutputs, stored.outputs))
            return _with_current_name(result, placement, operation)
        return _with_current_name(_result(vm, wanted, found.system, found.product), placement, operation)

    def delete(self, identifier: str, stored: Stored, operation: Operation) -> None:
        """See `Resource.delete`. If the VM is gone, so is its activation."""
        inputs = build(VmActivationInputs, stored.inputs)
        name = stored.outputs.get("vm_name") or identifier
        own = _key_to_remove(inputs, stored)
        if own is None:
            _report_kept_key(name, inputs, stored, operation)
            return
        placement = find_stored(identifier, inputs, operation)
        if placement is None:
            operation.warn(f"{name}: the VM is no longer on its host, so the provider changed nothing")
            return
        require_running(placement)
        guest = connect(placement, inputs.guest, operation)
        if inputs.on_delete is GuestOnDelete.UNINSTALL_KEY:
            uninstall(guest, placement.vm.id, own, operation)
            return
        # The stored version can be out of date. So the guest's own version decides which key it gets.
        kms = preconditions.kms_client_key(guest.system(operation.deadline))
        if kms is None:
            operation.warn(f"{name}: {_NO_KMS_CLIENT_KEY}")
        else:
            restore(guest, placement.vm.id, own, kms.key, operation)

    def undoes(self, identifier: str, stored: Stored, operation: Operation) -> Undoing | None:
        """See `Resource.undoes`."""
        inputs = build(VmActivationInputs, stored.inputs)
        own = _key_to_remove(inputs, stored)
        if own is None:
            return None
        placement = find_stored(identifier, inputs, operation)
        if placement is None:
            return None
        obstacle: errors.AvmaError | None = None
        try:
            require_running(placement)
        except errors.NotReady as error:
            obstacle = error
        return Undoing(own, placement.vm.id, placement.vm.name, obstacle)


def _announce_data_exchange(placement: Placement, inputs: VmActivationInputs, operation: Operation) -> None:
    """Announce in a preview that the provider is going to turn on Data Exchange.

    Raises:
        DataExchangeOff: it is off, and the provider may not turn it on.
    """
    if require_data_exchange(placement, inputs.manage_data_exchange, operation) is not None:
        operation.status(f"{placement.vm.name}: {NEXT_RUN} will turn on Data Exchange")


def _key_to_remove(inputs: VmActivationInputs, stored: Stored) -> str | None:
    """Return the last five characters of the key that a deletion removes. None if the guest keeps its key.

    If the resource's own key is unknown, the guest keeps its key: it may belong to the user.
    """
    restores = inputs.on_delete is GuestOnDelete.RESTORE_KMS_CLIENT_KEY
    if inputs.on_delete is GuestOnDelete.RETAIN or (restores and _kms_client_key_of_stored(stored) is None):
        return None
    return vm_changes.wanted_partial(stored.outputs, stored.inputs)


def _report_kept_key(name: str, inputs: VmActivationInputs, stored: Stored, operation: Operation) -> None:
    """Show why a deletion leaves the key in the guest. The caller found no key to remove."""
    if inputs.on_delete is GuestOnDelete.RETAIN:
        operation.status(f"{name}: the guest keeps its key. {capitalized(ONLY_FORGETS)}")
    elif vm_changes.wanted_partial(stored.outputs, stored.inputs) is None:
        operation.warn(f"{name}: the guest keeps its key, because the provider does not know the key of this resource")
    else:
        operation.warn(f"{name}: {_NO_KMS_CLIENT_KEY}")


def _kms_client_key_of_stored(stored: Stored) -> keys.PublishedKey | None:
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


def _with_current_name(result: Result, placement: Placement, operation: Operation) -> Result:
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
    claim_guest(placement.vm.id, product_key, guest.machine.where, operation)
    attempt = Attempt(guest.machine, guest.licensing, guest.since, operation)
    with partial_failure(attempt, lambda: _result(placement.vm, wanted, guest.licensing.system, attempt.product)):
        license_guest(attempt, product_key, host, guest, operation)
    return _result(placement.vm, wanted, guest.licensing.system, attempt.product)


def _exactly_one_errors(values: Values, first: str, second: str) -> list[InvalidProperty]:
    given = [name for name in (first, second) if values.get(name) is not None]
    if len(given) == 2:
        return [InvalidProperty(second, f"cannot be combined with {setting(first)}")]
    return [] if given else [InvalidProperty(first, f"is required unless you set {setting(second)}")]


def _result(vm: VirtualMachine, wanted: Values, system: System, product: Product | None) -> Result:
    hosts = wanted.get("hosts") or [wanted["host"]]
    return Result(identifier_of(hosts, vm.id), wanted, outputs_of(vm, system, product))
