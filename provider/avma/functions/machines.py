"""Functions for machines: hosts, clusters and VMs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from avma.addresses import host_name_error
from avma.configuration import Guest
from avma.functions.function import Function, Listed
from avma.properties import InvalidProperty, Values, build, declare
from avma.resources import hosts
from avma.resources.cluster_nodes import NodeState, each, find_nodes, look
from avma.resources.guests import facts_in
from avma.resources.host_license import HostLicenseResource, host_outputs
from avma.resources.host_properties import HostLicenseOutputs
from avma.resources.resource import Operation
from avma.resources.vm_activation import VmActivationResource, outputs_of
from avma.resources.vm_plan import locate
from avma.resources.vm_properties import VmActivationInputs, VmActivationOutputs, vm_id_error, vm_name_error
from avma.settings import AddressedSettings
from avma.windows.hyperv import GuestFacts, VirtualMachine
from avma.windows.licensing import LicenseStatus

_VM_ID = "9b1c0f9e-4f4d-4c0b-8a55-0d4b6a4a7c11"


@dataclass(frozen=True)
class HostInputs:
    """The inputs of functions that read a host."""

    host: str = declare("The DNS name or IP address of the host.", example="hv01.example.com", check=host_name_error)
    connection: AddressedSettings | None = declare(
        "Connection settings for the host, where they differ from the provider configuration.",
        default=None,
        unset="the provider configuration",
        example={"address": "192.0.2.11"},
    )


@dataclass(frozen=True, kw_only=True)
class GetHostLicenseOutputs(HostLicenseOutputs):
    """The outputs of getHostLicense."""

    automatic_activation: dict[str, str] | None = declare(
        "On Azure Local: the complete output of `Get-VMAutomaticActivation`, with product keys masked. Microsoft "
        "does not document this output.",
        default=None,
        example={"ActivationType": "DatacenterKey"},
    )


class GetHostLicense(Function):
    """Read the license of a host."""

    name = "getHostLicense"
    description = "Reads the license of a host."
    inputs = HostInputs
    outputs = GetHostLicenseOutputs

    def call(self, values: Values, operation: Callable[[], Operation]) -> GetHostLicenseOutputs:
        """See `Function.call`."""
        asked, now = build(HostInputs, values), operation()
        state = hosts.look(now.machine(asked.host, asked.connection, now.configuration), now)
        shown = dict(state.activation.shown) if state.activation else None
        return GetHostLicenseOutputs(**vars(host_outputs(state, now)), automatic_activation=shown)


@dataclass(frozen=True)
class GetVmActivationInputs:
    """The inputs of getVmActivation."""

    host: str | None = declare(
        "The DNS name or IP address of the VM's Hyper-V host. Set either `host` or `hosts`.",
        default=None,
        unset="none",
        example="hv01.example.com",
        check=host_name_error,
    )
    hosts: list[str] | None = declare(
        "All hosts that can run the VM, for example the nodes of a cluster. The provider finds the VM on any of "
        "them. Set either `host` or `hosts`.",
        default=None,
        unset="none",
        example=["hv01.example.com", "hv02.example.com"],
        check=host_name_error,
    )
    vm_name: str | None = declare(
        "The name of the VM. Set either `vmName` or `vmId`.",
        default=None,
        unset="none",
        example="web01",
        check=vm_name_error,
    )
    vm_id: str | None = declare(
        "The GUID of the VM. Set either `vmName` or `vmId`.",
        default=None,
        unset="none",
        example=_VM_ID,
        check=vm_id_error,
    )
    guest: Guest | None = declare(
        "Connection settings for Windows inside the VM, where they differ from the provider's `guest`.",
        default=None,
        unset="the provider's `guest`",
        example={"transport": "winrm", "address": "192.0.2.21"},
    )
    connection: AddressedSettings | None = declare(
        "Connection settings for the host, where they differ from the provider configuration.",
        default=None,
        unset="the provider configuration",
        example={"address": "192.0.2.11"},
    )


@dataclass(frozen=True, kw_only=True)
class GetVmActivationOutputs(VmActivationOutputs):
    """The outputs of getVmActivation."""

    minutes_remaining: int = declare(
        "The time until Windows must renew the activation. 0 if the activation does not end.",
        unit="minutes",
        example=10080,
    )
    last_activation_time: str | None = declare(
        "When the host last activated the guest, in ISO 8601. Absent if no host activated it.",
        default=None,
        example="2026-02-03T10:15:00Z",
    )


class GetVmActivation(Function):
    """Read the activation of a guest."""

    name = "getVmActivation"
    description = "Reads the activation of a guest, with the time of the last activation and the minutes remaining."
    inputs = GetVmActivationInputs
    outputs = GetVmActivationOutputs

    def check(self, values: Values) -> list[InvalidProperty]:
        """See `Function.check`."""
        return VmActivationResource().check(values)

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

    name = "getHostVms"
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


@dataclass(frozen=True, kw_only=True)
class ClusterNode:
    """A node of a failover cluster. Properties that the provider could not read are absent."""

    node: str = declare("The name of the node, in lower case.", example="hv01")
    state: str = declare(
        "The state of the node in the cluster: `Up`, `Down`, `Paused`, `Joining` or `Unknown`.", example="Up"
    )
    address: str = declare("The name or address the provider connects to.", example="hv01.example.com")
    os_version: str | None = declare(
        "The release of Windows Server or Azure Local, or `build N` for an unknown release.",
        default=None,
        example="2025",
    )
    edition: str | None = declare("The edition of Windows.", default=None, example="Datacenter")
    license_status: LicenseStatus | None = declare(
        "The license status of Windows, in the terms of WMI.", default=None, example="Licensed"
    )
    partial_product_key: str | None = declare(
        "The last five characters of the installed key. On an Azure Local host, of its key for guests. Absent "
        "without a key.",
        default=None,
        example="46789",
    )
    activates_guests: bool | None = declare("Whether the host can activate guests now.", default=None)
    error: str | None = declare(
        "Why the provider could not read the node.", default=None, example="nothing answers at hv02:5986"
    )


@dataclass(frozen=True)
class GetClusterNodesInputs:
    """The inputs of getClusterNodes."""

    cluster: str = declare(
        "The DNS name or IP address of the cluster, or of any of its nodes.",
        example="cl01.example.com",
        check=host_name_error,
    )
    connection: AddressedSettings | None = declare(
        "Connection settings for the cluster and its nodes, where they differ from the provider configuration.",
        default=None,
        unset="the provider configuration",
        example={"username": "LAB\\svc-avma", "password": "${password}"},
    )


@dataclass(frozen=True)
class GetClusterNodesOutputs:
    """The outputs of getClusterNodes."""

    nodes: list[ClusterNode] = declare("The nodes of the cluster, sorted by name.")


class GetClusterNodes(Function):
    """List the nodes of a failover cluster, with the license of each."""

    name = "getClusterNodes"
    description = (
        "Lists the nodes of a failover cluster, with the license of each. If the provider cannot read a node, the "
        "node has an `error` instead."
    )
    inputs = GetClusterNodesInputs
    outputs = GetClusterNodesOutputs
    lists = HostLicenseResource.name

    def call(self, values: Values, operation: Callable[[], Operation]) -> GetClusterNodesOutputs:
        """See `Function.call`."""
        asked, now = build(GetClusterNodesInputs, values), operation()
        nodes = find_nodes(asked.cluster, [], asked.connection, now)
        each(nodes, lambda node: look(node, now))
        return GetClusterNodesOutputs([_cluster_node(node) for node in nodes])

    def listed(self, _values: Values, outputs: GetClusterNodesOutputs) -> list[Listed]:
        """See `Function.listed`."""
        return [Listed(node.address, node.node) for node in outputs.nodes]


def _cluster_node(node: NodeState) -> ClusterNode:
    seen = ClusterNode(
        node=node.name,
        state=node.cluster_state or "Unknown",
        address=node.machine.connection.address,
        error=str(node.error) if node.error else None,
    )
    if node.state is None:
        return seen
    product, system = node.state.found.product, node.state.system
    own = product.partial_product_key if product else None
    return replace(
        seen,
        os_version=system.version,
        edition=system.edition,
        license_status=node.state.found.status,
        partial_product_key=node.state.partial_product_key if system.azure_local else own,
        activates_guests=node.state.activates_guests,
    )
