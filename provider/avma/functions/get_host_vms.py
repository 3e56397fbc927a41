"""getHostVms: the VMs of a host."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from avma.functions.function import Function, HostInputs, Listed
from avma.properties import Values, build, declare
from avma.resources.data_exchange import facts_in
from avma.resources.resource import Operation
from avma.resources.vm_activation.vm_resource import VmActivationResource
from avma.windows.hyperv import GuestFacts, VirtualMachine

_VM_ID = "9b1c0f9e-4f4d-4c0b-8a55-0d4b6a4a7c11"


@dataclass(frozen=True, kw_only=True)
class HostVm:
    """A VM on a host, with the Data Exchange report of its guest."""

    vm_id: str = declare("The GUID of the VM, in lower case.", example=_VM_ID)
    vm_name: str = declare("The name of the VM.", example="web01")
    running: bool = declare("Whether the VM is running.")
    guest_name: str | None = declare("The DNS name of the guest.", default=None, example="web01.lab.example.com")
    guest_os: str | None = declare(
        "The operating system of the guest, as the guest reports it.",
        default=None,
        example="Windows Server 2022 Standard",
    )
    guest_build: str | None = declare("The build number of the guest.", default=None, example="20348")
    ip_addresses: list[str] = declare("The IP addresses of the guest, IPv4 first.", example=["192.0.2.21"])


@dataclass(frozen=True)
class GetHostVmsOutputs:
    """The outputs of getHostVms."""

    vms: list[HostVm] = declare("The VMs of the host, sorted by name.")


class GetHostVms(Function):
    """List the VMs of a host."""

    name = "get_host_vms"
    description = (
        "Lists the VMs of a host, with the Data Exchange report of each guest. Needs no account in the guests."
    )
    inputs = HostInputs
    outputs = GetHostVmsOutputs
    lists = VmActivationResource.name

    def call(self, values: Values, operation: Callable[[], Operation]) -> GetHostVmsOutputs:
        """See `Function.call`."""
        asked, now = build(HostInputs, values), operation()
        host = now.machine(asked.host, asked.connection, now.configuration)
        vms = sorted(host.virtual_machines(now.deadline), key=lambda vm: (vm.name.lower(), vm.id))
        facts = host.guest_facts(now.deadline)
        return GetHostVmsOutputs([_host_vm(vm, facts_in(facts, vm, now)) for vm in vms])

    def listed(self, values: Values, outputs: GetHostVmsOutputs) -> list[Listed]:
        """See `Function.listed`."""
        return [Listed(f"{values['host']}/{vm.vm_id}", vm.vm_name) for vm in outputs.vms]


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
