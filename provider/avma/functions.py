"""The read-only look-ups. Two of them are tables and need no machine; none changes anything."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from avma import compatibility, keys
from avma.compatibility import Edition, Version
from avma.configuration import Guest
from avma.connection import AddressedSettings, host_name_error
from avma.keys import KeyKind
from avma.properties import Failure, Values, build, declare, validate
from avma.resources.host_license import HostLicense
from avma.resources.host_properties import HostLicenseOutputs
from avma.resources.resource import Operation, Stored
from avma.resources.vm_activation import VmActivation, outputs_of
from avma.resources.vm_plan import locate
from avma.resources.vm_properties import VmActivationInputs, VmActivationOutputs, vm_id_error
from avma.windows.hyperv import GuestFacts, VirtualMachine


class Function(ABC):
    """One look-up. `inputs` and `outputs` are the dataclasses that declare its properties."""

    name: ClassVar[str]
    description: ClassVar[str]
    inputs: ClassVar[type]
    outputs: ClassVar[type]
    timeout: ClassVar[float] = 60.0

    def check(self, values: Values) -> list[Failure]:
        """Return everything that is wrong with the inputs."""
        return validate(self.inputs, values)

    @abstractmethod
    def call(self, values: Values, operation: Callable[[], Operation]) -> Any:
        """Return an instance of the outputs class; `operation` is asked for only where machines are.

        Raises:
            AvmaError: the answer could not be found.
        """


@dataclass(frozen=True)
class GetAvmaKeyInputs:
    """Which AVMA key is wanted."""

    version: Version = declare("The guest's Windows Server release.")
    edition: Edition = declare("The guest's edition.")


@dataclass(frozen=True)
class GetAvmaKeyOutputs:
    """A published AVMA key."""

    product_key: str = declare(
        "The AVMA key that Microsoft publishes, for an answer file, say. It licenses nothing by itself.", secret=True
    )
    partial_product_key: str = declare("Its last five characters.")


class GetAvmaKey(Function):
    """The published AVMA key of a release and edition."""

    name = "getAvmaKey"
    description = "The AVMA key that Microsoft publishes for a Windows Server release and edition. Asks no machine."
    inputs = GetAvmaKeyInputs
    outputs = GetAvmaKeyOutputs

    def check(self, values: Values) -> list[Failure]:
        """See `Function.check`."""
        failures = super().check(values)
        if failures or keys.find(KeyKind.AVMA, values["version"], values["edition"]):
            return failures
        return [Failure("edition", f"`{values['edition']}` has no AVMA key for Windows Server {values['version']}")]

    def call(self, values: Values, operation: Callable[[], Operation]) -> GetAvmaKeyOutputs:
        """See `Function.call`."""
        published = keys.find(KeyKind.AVMA, values["version"], values["edition"])
        key = published.key if published else ""
        return GetAvmaKeyOutputs(key, keys.partial(key))


@dataclass(frozen=True)
class GetCompatibilityInputs:
    """A host and a guest to compare."""

    host_version: Version = declare("The Windows Server release of the host, which must be Datacenter.")
    guest_version: Version = declare("The guest's Windows Server release.")
    guest_edition: Edition = declare("The guest's edition.", default=Edition.DATACENTER)


@dataclass(frozen=True)
class GetCompatibilityOutputs:
    """Whether the host can activate the guest."""

    activates: bool = declare("Whether a licensed Datacenter host of that release activates such guests.")
    reason: str = declare("Why, in a sentence.")


class GetCompatibility(Function):
    """Whether a host of one release activates guests of another."""

    name = "getCompatibility"
    description = "Whether a Datacenter host of one release activates guests of another. Asks no machine."
    inputs = GetCompatibilityInputs
    outputs = GetCompatibilityOutputs

    def call(self, values: Values, operation: Callable[[], Operation]) -> GetCompatibilityOutputs:
        """See `Function.call`."""
        asked = build(GetCompatibilityInputs, values)
        host, guest, edition = asked.host_version.value, asked.guest_version.value, asked.guest_edition.value
        if keys.find(KeyKind.AVMA, guest, edition) is None:
            return GetCompatibilityOutputs(False, f"there is no AVMA key for Windows Server {guest} {edition}")
        if edition == compatibility.AZURE_EDITION:
            return GetCompatibilityOutputs(False, "only Azure and Azure Local hosts activate Azure Edition")
        if not compatibility.activates(host, guest):
            return GetCompatibilityOutputs(False, f"a {host} host activates guests up to {host}, and {guest} is newer")
        return GetCompatibilityOutputs(True, f"a {host} Datacenter host activates {guest} guests")


@dataclass(frozen=True)
class HostInputs:
    """The host to ask."""

    host: str = declare("The host's DNS name or IP address.", check=host_name_error)
    connection: AddressedSettings | None = declare(
        "How the host is reached, where it differs from the provider's configuration.", default=None
    )


class GetHostLicense(Function):
    """What is licensed on a host."""

    name = "getHostLicense"
    description = "What Windows says of a host's licence."
    inputs = HostInputs
    outputs = HostLicenseOutputs

    def call(self, values: Values, operation: Callable[[], Operation]) -> Any:
        """See `Function.call`."""
        result = HostLicense().read(values["host"], Stored(values, {}), operation())
        return result.outputs if result else None


@dataclass(frozen=True)
class GetVmActivationInputs:
    """The VM to ask."""

    host: str | None = declare(
        "The Hyper-V host on which the VM runs. Give this or `hosts`.", default=None, check=host_name_error
    )
    hosts: list[str] | None = declare("All hosts on which the VM may run.", default=None, check=host_name_error)
    vm_name: str | None = declare("The VM's name. Give this or `vmId`.", default=None)
    vm_id: str | None = declare("The VM's GUID. Give this or `vmName`.", default=None, check=vm_id_error)
    guest: Guest | None = declare(
        "How the Windows inside the VM is reached, where it differs from the provider's `guest`.", default=None
    )
    connection: AddressedSettings | None = declare(
        "How the host is reached, where it differs from the provider's configuration.", default=None
    )


@dataclass(frozen=True, kw_only=True)
class GetVmActivationOutputs(VmActivationOutputs):
    """What Windows says of a guest's activation now, with what changes by itself."""

    minutes_remaining: int = declare("Minutes until the activation has to be renewed; 0 when it does not end.")
    last_activation_time: str | None = declare(
        "When the host last activated the guest, as Windows writes it; absent when it never did.", default=None
    )


class GetVmActivation(Function):
    """What is activated in a VM."""

    name = "getVmActivation"
    description = "What Windows says of a guest's activation now, with what changes by itself."
    inputs = GetVmActivationInputs
    outputs = GetVmActivationOutputs

    def check(self, values: Values) -> list[Failure]:
        """See `Function.check`."""
        return VmActivation().check(values)

    def call(self, values: Values, operation: Callable[[], Operation]) -> GetVmActivationOutputs:
        """See `Function.call`."""
        vm, found = locate(build(VmActivationInputs, values), operation())
        product = found.product
        return GetVmActivationOutputs(
            **vars(outputs_of(vm, found.system, product)),
            minutes_remaining=product.grace_minutes if product else 0,
            last_activation_time=product.activated_at if product else None,
        )


@dataclass(frozen=True, kw_only=True)
class HostVm:
    """A VM on a host, with what its guest tells through Data Exchange."""

    vm_id: str = declare("The VM's GUID, in lower case.")
    vm_name: str = declare("The VM's name.")
    running: bool = declare("Whether the VM is running.")
    guest_name: str | None = declare("The guest's DNS name.", default=None)
    guest_os: str | None = declare("The guest's operating system, in its own words.", default=None)
    guest_build: str | None = declare("The guest's build number.", default=None)
    ip_addresses: list[str] = declare("The guest's IPv4 addresses.")


@dataclass(frozen=True)
class GetHostVmsOutputs:
    """The VMs of a host."""

    vms: list[HostVm] = declare("The host's VMs, by name.")


class GetHostVms(Function):
    """The VMs of a host."""

    name = "getHostVms"
    description = "The VMs of a host, with what each guest tells its host through Data Exchange. Needs no guest logon."
    inputs = HostInputs
    outputs = GetHostVmsOutputs

    def call(self, values: Values, operation: Callable[[], Operation]) -> GetHostVmsOutputs:
        """See `Function.call`."""
        asked, now = build(HostInputs, values), operation()
        host = now.machine(asked.host, asked.connection, now.configuration)
        vms = sorted(host.virtual_machines(now.deadline), key=lambda vm: (vm.name.lower(), vm.id))
        facts = host.guest_facts(now.deadline)
        return GetHostVmsOutputs([_host_vm(vm, facts.get(vm.id, GuestFacts({}))) for vm in vms])


def _host_vm(vm: VirtualMachine, facts: GuestFacts) -> HostVm:
    return HostVm(
        vm_id=vm.id,
        vm_name=vm.name,
        running=vm.running,
        guest_name=facts.fully_qualified_domain_name or None,
        guest_os=facts.values.get("OSName") or None,
        guest_build=facts.values.get("OSBuildNumber") or None,
        ip_addresses=list(facts.ip_addresses),
    )


FUNCTIONS: tuple[Function, ...] = (GetAvmaKey(), GetCompatibility(), GetHostLicense(), GetHostVms(), GetVmActivation())
"""All functions that there are."""
