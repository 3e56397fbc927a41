"""HostLicense: one Hyper-V host holds an activated Windows Server Datacenter licence.

It knows what a user declares of a host and the rules of host licensing; Windows is asked through `avma.windows`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from avma import compatibility, errors, keys
from avma.connection import AddressedSettings, host_name_error
from avma.properties import UNKNOWN, Choice, Failure, Values, build, declare, dump, validate
from avma.resources import rules
from avma.resources.activation import Attempt, LicenseOutputs, holds, license_outputs, uninstall
from avma.resources.resource import Change, Operation, Resource, Result, Stored, input_changes, only_said
from avma.windows import licensing
from avma.windows.licensing import LicenseChannel, LicenseStatus, Licensing, Product
from avma.windows.machine import Machine, Server

_TRIED = "license the host"
_CONFIRMATION_DIGITS = 48
_BY_TELEPHONE = (LicenseChannel.MAK, LicenseChannel.RETAIL, LicenseChannel.OEM)
_LASTING = ("platform", "osVersion", "osBuild", "edition")
"""The outputs that another product key does not change."""


class LicenseSource(Choice):
    """Where a host's licence comes from."""

    PRODUCT_KEY = "productKey", "The product key that is declared."
    EXISTING = "existing", "The licence that the host has already, whatever its channel; nothing is spent."


class HostOnDelete(Choice):
    """What deleting the resource does to the host."""

    RETAIN = "retain", "Nothing: the host stays licensed and is forgotten."
    UNINSTALL_KEY = "uninstallKey", "Uninstall the declared product key. Refused while a VM is running on the host."


class Platform(Choice):
    """The operating system of a host."""

    WINDOWS_SERVER = "windowsServer", "Windows Server with the Hyper-V role."


def _confirmation_id_error(text: str) -> str | None:
    return None if len(_digits(text)) == _CONFIRMATION_DIGITS else "must have 48 digits, in groups or not"


def _digits(text: str) -> str:
    return "".join(character for character in text if character.isdigit())


@dataclass(frozen=True)
class HostLicenseInputs:
    """What a user declares of a host's licence."""

    host: str = declare("The host's DNS name or IP address.", replaces=True, check=host_name_error)
    product_key: str | None = declare(
        "The Windows Server Datacenter product key for the host. Without it the licence that is there is adopted.",
        default=None,
        secret=True,
        check=rules.host_key_error,
    )
    license_source: LicenseSource | None = declare(
        "Where the licence comes from; `productKey` when a key is given, else `existing`.", default=None
    )
    confirmation_id: str | None = declare(
        "The 48 digits that the Microsoft Activation Center gives for the output `installationId`: the host is then "
        "activated by telephone, without internet.",
        default=None,
        check=_confirmation_id_error,
    )
    activate: bool = declare("Whether to activate Windows once the key is installed.", default=True)
    on_delete: HostOnDelete = declare(
        "What deleting the resource does to the host. An activation that was used is never given back.",
        default=HostOnDelete.RETAIN,
    )
    connection: AddressedSettings | None = declare(
        "How the host is reached, where it differs from the provider's configuration.", default=None
    )


@dataclass(frozen=True, kw_only=True)
class HostLicenseOutputs(LicenseOutputs):
    """What Windows says of a host's licence."""

    platform: Platform = declare("The host's operating system.")
    os_version: str = declare("The Windows Server release, such as `2025`.")
    os_build: int = declare("The build number, such as 26100.")
    edition: str = declare("The edition, such as `Datacenter`.")
    activates_guests: bool = declare("Whether the host can activate guests now: Datacenter, licensed, no evaluation.")
    installation_id: str | None = declare(
        "The digits to give to the Microsoft Activation Center, while a host with a bought key is not activated.",
        default=None,
    )


class HostLicense(Resource):
    """The lifecycle of a HostLicense; its identifier is the host in lower case."""

    name = "HostLicense"
    description = (
        "An activated Windows Server Datacenter licence on one Hyper-V host, which lets the host activate its guests "
        "(Automatic Virtual Machine Activation). A host that is licensed with the wanted key already is adopted "
        "without any change; the key of a host that is licensed is never activated again. "
        "Import by the host's name: `pulumi import avma:index:HostLicense hv01 hv01.example.com`."
    )
    inputs = HostLicenseInputs
    outputs = HostLicenseOutputs
    timeout = 600.0

    def check(self, values: Values) -> list[Failure]:
        """See `Resource.check`."""
        failures = validate(HostLicenseInputs, values)
        return failures or list(_source_failures(values))

    def diff(self, stored: Stored, wanted: Values) -> list[Change]:
        """See `Resource.diff`."""
        normal = {"host": str.lower, "productKey": keys.normalize, "confirmationId": _digits}
        changes = list(input_changes(HostLicenseInputs, stored.inputs, wanted, normal))
        if _adopts(stored, wanted):
            changes = [change for change in changes if change.path != "productKey"]
        key_changes = any(change.path == "productKey" for change in changes)
        return changes + list(_drift(stored.outputs, wanted, key_changes))

    def predict(self, wanted: Values) -> dict[str, Any]:
        """See `Resource.predict`."""
        key = wanted.get("productKey")
        predicted: dict[str, Any] = {
            "platform": Platform.WINDOWS_SERVER.value,
            "edition": compatibility.DATACENTER,
        }
        if isinstance(key, str):
            predicted["partialProductKey"] = keys.partial(key)
        if wanted.get("activate") in (None, True):
            predicted |= {"licenseStatus": LicenseStatus.LICENSED.value, "activatesGuests": True}
        return predicted

    def probe(self, wanted: Values, operation: Operation) -> dict[str, Any]:
        """See `Resource.probe`."""
        inputs = build(HostLicenseInputs, wanted)
        machine, found = _inspect(inputs, operation)
        if inputs.product_key and found.product and found.licensed and not holds(found.product, inputs.product_key):
            partial, channel = found.product.partial_product_key, found.product.channel.value
            operation.warn(f"{machine.name}: is licensed by key …{partial} ({channel}), which will be replaced")
        if inputs.activate:
            operation.machines.expect_license(machine)
        now = dump(_result(wanted, found, found.product).outputs)
        lasting = now if wanted.get("productKey") is None else {name: now[name] for name in _LASTING}
        return {**lasting, **self.predict(wanted)}

    def create(self, wanted: Values, operation: Operation) -> Result:
        """See `Resource.create`."""
        inputs = build(HostLicenseInputs, wanted)
        machine, found = _inspect(inputs, operation)
        confirmation = _digits(inputs.confirmation_id) if inputs.confirmation_id else None
        attempt = Attempt(machine, found, operation, confirmation)
        if inputs.product_key is not None:
            with attempt.keeping(lambda product: _reached(wanted, machine, found, product, operation)):
                attempt.license(inputs.product_key, inputs.activate)
        return _reached(wanted, machine, found, attempt.product, operation)

    def read(self, identifier: str, stored: Stored | None, operation: Operation) -> Result | None:
        """See `Resource.read`. A host without a licence is not gone: it is there, unlicensed."""
        wanted = stored.inputs if stored else _imported_inputs(identifier)
        inputs = build(HostLicenseInputs, wanted)
        machine = operation.machine(inputs.host, inputs.connection, operation.configuration)
        found = machine.licensing(operation.deadline)
        if stored is None:
            rules.require_datacenter(found, machine.where, "import the host")
        return _reached(wanted, machine, found, found.product, operation)

    def update(self, identifier: str, stored: Stored, wanted: Values, operation: Operation) -> Result:
        """See `Resource.update`: the wanted state is reached in the same way, whatever was there before."""
        if only_said(self.diff(stored, wanted)):
            return Result(identifier, wanted, build(HostLicenseOutputs, stored.outputs))
        return self.create(wanted, operation)

    def delete(self, identifier: str, stored: Stored, operation: Operation) -> None:
        """See `Resource.delete`."""
        inputs = build(HostLicenseInputs, stored.inputs)
        if inputs.on_delete is HostOnDelete.RETAIN or inputs.product_key is None:
            operation.status(f"{inputs.host}: keeps its licence; only the resource is forgotten")
            return
        machine = operation.machine(inputs.host, inputs.connection, operation.configuration)
        if holds(machine.licensing(operation.deadline).product, inputs.product_key):
            _require_no_running_vm(machine, operation)
        uninstall(machine, keys.partial(inputs.product_key), operation)


def _imported_inputs(identifier: str) -> dict[str, Any]:
    reason = host_name_error(identifier)
    if reason:
        raise errors.InvalidInput("import a host", identifier, reason, "give its DNS name or IP address")
    return {"host": identifier}


def _inspect(inputs: HostLicenseInputs, operation: Operation) -> tuple[Server, Licensing]:
    """Return the host and what is licensed there, once nothing forbids to license it."""
    machine = operation.machine(inputs.host, inputs.connection, operation.configuration)
    operation.status(f"{machine.name}: reading the licence")
    found = machine.licensing(operation.deadline)
    rules.require_datacenter(found, machine.where, _TRIED)
    if inputs.product_key is None:
        rules.require_licensed(found, machine.where, _TRIED)
    return machine, found


def _source_failures(values: Values) -> Iterator[Failure]:
    key, source = values.get("productKey"), values.get("licenseSource")
    if source == LicenseSource.PRODUCT_KEY and key is None:
        yield Failure("productKey", "is required with `licenseSource: productKey`")
    if key is None and values.get("onDelete") == HostOnDelete.UNINSTALL_KEY:
        yield Failure("onDelete", "is `uninstallKey`, which is for a key that is declared: give `productKey`")
    if source == LicenseSource.EXISTING and key is not None:
        yield Failure("licenseSource", "is `existing`, so leave `productKey` out, or set it to `productKey`")


def _adopts(stored: Stored, wanted: Values) -> bool:
    """Say whether a key is declared for the first time, and the host holds it already."""
    key = wanted.get("productKey")
    return (
        stored.inputs.get("productKey") is None
        and isinstance(key, str)
        and stored.outputs.get("partialProductKey") == keys.partial(key)
    )


def _drift(outputs: Values, wanted: Values, key_changes: bool) -> Iterator[Change]:
    key = wanted.get("productKey")
    if isinstance(key, str) and not key_changes and outputs.get("partialProductKey") != keys.partial(key):
        yield Change("partialProductKey", drift=True)
    active = wanted.get("activate") in (None, True, UNKNOWN)
    if active and outputs.get("licenseStatus") != LicenseStatus.LICENSED:
        yield Change("licenseStatus", drift=True)


def _require_no_running_vm(machine: Server, operation: Operation) -> None:
    running = [vm.name for vm in machine.virtual_machines(operation.deadline) if vm.running]
    if running:
        names = ", ".join(sorted(running)[:5]) + (", …" if len(running) > 5 else "")
        answer = f"{len(running)} VMs are running there ({names}), which would lose their activation"
        remedy = "move or stop them first, or set `onDelete: retain` and run `pulumi up`"
        raise errors.Refused("uninstall the host's product key", machine.where, answer, remedy)


def _reached(
    wanted: Values, machine: Machine, found: Licensing, product: Product | None, operation: Operation
) -> Result:
    """Return the state, with what activation by telephone needs while it can be wanted."""
    result = _result(wanted, found, product)
    if product is None or product.licensed or product.channel not in _BY_TELEPHONE:
        return result
    try:
        digits = licensing.installation_id(machine.wmi, product.activation_id, operation.deadline)
    except errors.AvmaError:  # the state is worth more than these digits
        return result
    return replace(result, outputs=replace(result.outputs, installation_id=digits or None))


def _result(wanted: Values, found: Licensing, product: Product | None) -> Result:
    system = found.system
    licensed = product is not None and product.licensed
    outputs = HostLicenseOutputs(
        **license_outputs(product),
        platform=Platform.WINDOWS_SERVER,
        os_version=system.version,
        os_build=system.build,
        edition=system.edition,
        activates_guests=licensed and system.edition == compatibility.DATACENTER and not system.evaluation,
    )
    return Result(str(wanted["host"]).lower(), wanted, outputs)
