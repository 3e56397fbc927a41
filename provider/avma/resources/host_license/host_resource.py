"""HostLicense: one Hyper-V host has an activated Windows Server Datacenter license."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from avma import characters, errors, keys
from avma.addresses import canonical, host_name_error
from avma.compatibility import Version
from avma.properties import InvalidProperty, Values, build, dump, known, validate
from avma.resources import preconditions
from avma.resources.claims import Claim
from avma.resources.host_license import host_changes
from avma.resources.host_license.host_properties import (
    HostLicenseInputs,
    HostLicenseOutputs,
    HostOnDelete,
    LicenseSource,
    digits,
    host_outputs,
)
from avma.resources.host_state import HostState, Platform, read_host_state
from avma.resources.key_installation import KeyInstallation
from avma.resources.machine_license import Attempt, holds, uninstall
from avma.resources.resource import (
    Change,
    Import,
    Operation,
    Resource,
    Result,
    Stored,
    Undoing,
    is_connected_anew,
    lasting,
    partial_failure,
)
from avma.resources.stored_machine import another_machine, is_another, require_stored_machine, warn_of_another_machine
from avma.windows import licensing
from avma.windows.hyperv import in_memory
from avma.windows.machine import Server
from avma.wording import APPLY, ONLY_FORGETS, REPLACE, capitalized, setting

_TRIED = "license the host"
_TRIED_TO_UNDO = "uninstall the host's product key"
_KEYS = ("product_key", "confirmation_id")


class HostLicenseResource(Resource):
    """The lifecycle of a HostLicense. Its identifier is the host in lower case."""

    name = "HostLicense"
    description = (
        "An activated Windows Server Datacenter license on one Hyper-V host. The host can then activate its guests "
        "(Automatic Virtual Machine Activation, AVMA). If the declared key already licenses the host, the provider "
        "changes nothing and spends no activation. On Azure Local, the key is the Windows Server key for guests "
        "(`Set-VMAutomaticActivation`)."
    )
    imports = (Import("the DNS name or IP address of the host", "hv01", "hv01.example.com"),)
    licenses_hosts = True
    inputs = HostLicenseInputs
    outputs = HostLicenseOutputs
    timeout = 600.0

    def check(self, values: Values) -> list[InvalidProperty]:
        """See `Resource.check`."""
        failures = validate(HostLicenseInputs, values)
        return failures or list(_source_failures(values))

    def diff(self, stored: Stored, wanted: Values) -> list[Change]:
        """See `Resource.diff`."""
        return host_changes.changes(stored, wanted)

    def holdings(self, stored: Stored, wanted: Values) -> list[Claim]:
        """See `Resource.holdings`."""
        key, installed = wanted.get("product_key"), stored.outputs.get("partial_product_key")
        partial = keys.partial(key) if isinstance(key, str) else None
        machine = stored.outputs.get("machine_id") or ""
        # The front end adds the resource.
        return [Claim(resource="", machine=machine, key=partial or installed, installs=bool(partial))]

    def located(self, stored: Stored, wanted: Values, operation: Operation) -> list[Claim]:
        """See `Resource.located`."""
        inputs = build(HostLicenseInputs, {name: value for name, value in wanted.items() if known(value)})
        held = self.holdings(stored, wanted)
        with contextlib.suppress(errors.AvmaError):
            server = operation.machine(inputs.host, inputs.connection, operation.configuration)
            held = [replace(claim, machine=server.identity(operation.deadline)) for claim in held]
        return held

    def askable(self, wanted: Values) -> bool:
        """See `Resource.askable`. A preview can read the host even if the key is not known yet."""
        return known({name: value for name, value in wanted.items() if name not in _KEYS})

    def probe(self, wanted: Values, operation: Operation, identifier: str | None = None) -> dict[str, Any]:
        """See `Resource.probe`."""
        return self._probe(wanted, None, operation)

    def probe_update(self, identifier: str, stored: Stored, wanted: Values, operation: Operation) -> dict[str, Any]:
        """See `Resource.probe_update`. The host must be the same machine."""
        return self._probe(wanted, stored, operation)

    def _probe(self, wanted: Values, stored: Stored | None, operation: Operation) -> dict[str, Any]:
        certain = {name: value for name, value in wanted.items() if known(value)}
        inputs = build(HostLicenseInputs, certain)
        state = _read_host(inputs, {}, operation)
        if stored is not None and is_connected_anew(HostLicenseInputs, self.diff(stored, wanted)):
            _require_same_host(stored, state.machine_id)
        if stored is not None:
            require_stored_machine(stored.outputs, state.machine_id, state.server.where, _TRIED)
        _require_possible(inputs, state, wanted.get("product_key") is not None)
        _claim(inputs, state, operation)
        _warn_of_replacement(inputs.product_key, state, operation)
        preconditions.warn_without_hyper_v(state, operation)
        if wanted.get("product_key") is None:
            preconditions.warn_if_activated_as_a_guest(state, operation)
        now = dump(host_outputs(state, operation))
        certain = now if wanted.get("product_key") is None else lasting(HostLicenseOutputs, now)
        return {**certain, **self.predict(wanted), **({} if state.hyper_v else {"activates_guests": False})}

    def create(self, wanted: Values, operation: Operation) -> Result:
        """See `Resource.create`."""
        return self._license(wanted, {}, operation)

    def _license(self, wanted: Values, stored: Values, operation: Operation) -> Result:
        inputs = build(HostLicenseInputs, wanted)
        host = _read_host(inputs, stored, operation)
        require_stored_machine(stored, host.machine_id, host.server.where, _TRIED)
        _require_possible(inputs, host, inputs.product_key is not None)
        _claim(inputs, host, operation)
        preconditions.warn_without_hyper_v(host, operation)
        if inputs.product_key is None:
            return _adopt(host, wanted, operation)
        if host.platform is Platform.AZURE_LOCAL:
            return _install_key_for_guests(host, inputs.product_key, wanted, operation)
        return _install_and_activate(host, inputs, inputs.product_key, wanted, operation)

    def read(self, identifier: str, stored: Stored | None, operation: Operation) -> Result | None:
        """See `Resource.read`. A host without a license still exists: its state is unlicensed."""
        wanted = stored.inputs if stored else _imported_inputs(identifier)
        before = stored.outputs if stored else {}
        state = _read_host(build(HostLicenseInputs, wanted), before, operation)
        warn_of_another_machine(before, state.machine_id, state.server.name, operation)
        if stored is None:
            preconditions.require_host(state, "import the host")
            preconditions.warn_if_unlicensed(state, operation)
            preconditions.warn_without_hyper_v(state, operation)
            preconditions.warn_if_activated_as_a_guest(state, operation)
        if state.activation is not None and state.activation.subscription_error:
            said = state.activation.subscription_error
            operation.warn(
                f"{state.server.name}: its subscriptions could not be read, so the state keeps the last status: {said}"
            )
        return _result(wanted, state, operation)

    def try_settings(self, identifier: str, stored: Stored, operation: Operation) -> Result | None:
        """See `Resource.try_settings`. They must lead to the same host."""
        inputs = build(HostLicenseInputs, stored.inputs)
        machine = operation.machine(inputs.host, inputs.connection, operation.configuration)
        _require_same_host(stored, machine.identity(operation.deadline))
        return self.read(identifier, stored, operation)

    def update(self, identifier: str, stored: Stored, wanted: Values, operation: Operation) -> Result:
        """See `Resource.update`. The steps to the wanted state do not depend on the previous inputs."""
        settled = self.settled(identifier, stored, wanted, operation)
        return settled or self._license(wanted, stored.outputs, operation)

    def undoes(self, identifier: str, stored: Stored, operation: Operation) -> Undoing | None:
        """See `Resource.undoes`."""
        inputs = build(HostLicenseInputs, stored.inputs)
        if inputs.on_delete is HostOnDelete.RETAIN or inputs.product_key is None:
            return None
        machine = operation.machine(inputs.host, inputs.connection, operation.configuration)
        partial, found = keys.partial(inputs.product_key), machine.identity(operation.deadline)
        other = another_machine(stored.outputs, found, machine.where, _TRIED_TO_UNDO)
        if other is not None:
            return Undoing(partial, str(stored.outputs["machine_id"]), machine.name, other)
        obstacle = None
        installed = licensing.read_product(machine.wmi, operation.deadline, partial)
        if holds(installed, inputs.product_key) and not inputs.force_destroy:
            obstacle = _running_vms(machine, operation)
        return Undoing(partial, found, machine.name, obstacle)

    def delete(self, identifier: str, stored: Stored, operation: Operation) -> None:
        """See `Resource.delete`."""
        undoing = self.undoes(identifier, stored, operation)
        inputs = build(HostLicenseInputs, stored.inputs)
        if undoing is None:
            operation.status(f"{inputs.host}: the host keeps its license. {capitalized(ONLY_FORGETS)}")
            return
        machine = operation.machine(inputs.host, inputs.connection, operation.configuration)
        found = machine.identity(operation.deadline)
        require_stored_machine(stored.outputs, found, machine.where, _TRIED_TO_UNDO)
        uninstall(machine, undoing.machine, undoing.key, operation, undoing.obstacle)


def _require_same_host(stored: Stored, machine: str) -> None:
    """Raise Refused if new connection settings lead to another machine. Without a stored identity, each one passes."""
    if is_another(stored.outputs, machine):
        before = stored.outputs["machine_id"]
        answer = f"the new settings lead to the machine {machine}, and this resource is the machine {before}"
        remedy = f"correct {setting('connection')}, or {REPLACE} if the other machine takes its place"
        raise errors.Refused("try the new connection", str(stored.inputs["host"]), answer, remedy)


def _adopt(host: HostState, wanted: Values, operation: Operation) -> Result:
    """Return the host with its existing license. Change nothing."""
    preconditions.warn_if_activated_as_a_guest(host, operation)
    if host.activates_guests is None:
        operation.warn(f"{host.server.name}: the host does not report whether it activates guests: {host.activation}")
    return _result(wanted, host, operation)


def _install_key_for_guests(host: HostState, product_key: str, wanted: Values, operation: Operation) -> Result:
    """Apply a Windows Server key for the guests of a machine of Azure Local."""
    installation = KeyInstallation(host, operation)
    with partial_failure(installation, lambda: _result(wanted, installation.state, operation)):
        installation.apply(product_key)
    return _result(wanted, installation.state, operation)


def _install_and_activate(
    host: HostState, inputs: HostLicenseInputs, product_key: str, wanted: Values, operation: Operation
) -> Result:
    """Install the product key of Windows Server, and activate it."""
    confirmation = digits(inputs.confirmation_id) if inputs.confirmation_id else None
    attempt = Attempt(host.server, host.found, host.since, operation, confirmation)
    with partial_failure(attempt, lambda: _result(wanted, host.with_product(attempt.product), operation)):
        attempt.license(product_key, inputs.activate)
    return _result(wanted, host.with_product(attempt.product), operation)


def _imported_inputs(identifier: str) -> dict[str, Any]:
    reason = host_name_error(identifier)
    if reason:
        tried = f"import `{characters.shown(identifier)}`"
        raise errors.InvalidHost(tried, "", reason, "use the DNS name or IP address of the host")
    return {"host": identifier}


def _read_host(inputs: HostLicenseInputs, stored: Values, operation: Operation) -> HostState:
    """Return the current state of the host. Stored values of the same machine fill in what it does not report."""
    server = operation.machine(inputs.host, inputs.connection, operation.configuration)
    operation.status(f"{server.name}: reading the license")
    state = read_host_state(server, operation)
    wanted = keys.partial(inputs.product_key) if inputs.product_key else None
    stored = {} if is_another(stored, state.machine_id) else stored
    return replace(
        state,
        found=state.found.preferring(wanted),
        known_partial=stored.get("partial_product_key"),
        known_subscription=stored.get("subscription_status"),
    )


def _require_possible(inputs: HostLicenseInputs, state: HostState, with_key: bool) -> None:
    """Raise Refused if a rule forbids to license the host. `with_key` is True if a key is or will be declared.

    Raises:
        Refused: a rule forbids it.
    """
    preconditions.require_host(state, _TRIED)
    preconditions.require_key_version(state, _text(inputs.product_key_version), _TRIED)
    declared: dict[tuple[str, object], bool] = {
        ("activate", False): not inputs.activate and with_key,
        ("confirmation_id", None): inputs.confirmation_id is not None,
        ("on_delete", HostOnDelete.UNINSTALL_KEY): inputs.on_delete is HostOnDelete.UNINSTALL_KEY,
    }
    preconditions.require_possible(state, declared, _TRIED)
    if inputs.license_source is LicenseSource.SUBSCRIPTION:
        preconditions.require_subscription(state, _TRIED)
    elif not with_key:
        preconditions.require_license_to_adopt(state, _TRIED)


def _claim(inputs: HostLicenseInputs, state: HostState, operation: Operation) -> None:
    """Claim the host. This must happen before it is changed.

    Raises:
        KeyConflict: another resource of the run wants another key there.
    """
    key = inputs.product_key
    operation.claim(
        state.machine_id,
        keys.partial(key) if key else state.partial_in_use,
        state.server.where,
        _TRIED,
        installs=key is not None,
        coming=inputs.activate,
        key_version=_text(inputs.product_key_version),
        spends=state.needs(key, inputs.activate),
    )


def _warn_of_replacement(product_key: str | None, state: HostState, operation: Operation) -> None:
    """Warn if the declared key replaces a key in use: the activation spent on that key is lost."""
    product = state.found.product
    if state.platform is Platform.AZURE_LOCAL:
        partial, kind = state.partial_product_key, "for guests"
    else:
        partial = product.partial_product_key if product and product.licensed else None
        kind = "pay-as-you-go" if state.licensed_as_it_goes else product.channel.value if product else ""
    if product_key is not None and partial not in (None, keys.partial(product_key)):
        operation.warn(
            f"{state.server.name}: the declared key will replace key …{partial} ({kind}), which licenses the host now"
        )


def _text(version: Version | None) -> str | None:
    return version.value if version else None


def _source_failures(values: Values) -> Iterator[InvalidProperty]:
    key, source = values.get("product_key"), values.get("license_source")
    if source == LicenseSource.PRODUCT_KEY and key is None:
        yield InvalidProperty("product_key", f"is required with {setting('license_source', LicenseSource.PRODUCT_KEY)}")
    if key is None and values.get("on_delete") == HostOnDelete.UNINSTALL_KEY:
        reason = f"is `{HostOnDelete.UNINSTALL_KEY.value}`, which requires {setting('product_key')}"
        yield InvalidProperty("on_delete", reason)
    if source in (LicenseSource.EXISTING, LicenseSource.SUBSCRIPTION) and key is not None:
        yield InvalidProperty(
            "license_source",
            f"is `{source}`, which cannot be combined with {setting('product_key')}. Remove {setting('product_key')}, "
            f"or set {setting('license_source')} to `{LicenseSource.PRODUCT_KEY.value}`",
        )
    if key is None and values.get("product_key_version") is not None:
        yield InvalidProperty("product_key_version", f"requires {setting('product_key')}")


def _running_vms(machine: Server, operation: Operation) -> errors.Refused | None:
    """Return an error if VMs are running on the host: then its key must stay."""
    running = [vm.name for vm in machine.virtual_machines(operation.deadline) if in_memory(vm.state)]
    if not running:
        return None
    names = ", ".join(sorted(running)[:5]) + (", …" if len(running) > 5 else "")
    answer = f"VMs are running on the host ({names}), and they would lose their activation"
    remedy = (
        "move or stop the VMs first; or add the resource to the program again with "
        f"{setting('force_destroy', True)} or {setting('on_delete', HostOnDelete.RETAIN)}, {APPLY}, and then delete it"
    )
    return errors.Refused(_TRIED_TO_UNDO, machine.where, answer, remedy)


def _result(wanted: Values, state: HostState, operation: Operation) -> Result:
    return Result(canonical(str(wanted["host"])), wanted, host_outputs(state, operation))
