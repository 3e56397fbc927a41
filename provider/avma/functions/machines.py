"""The look-ups that ask machines: hosts, clusters, VMs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from avma.addresses import host_name_error
from avma.configuration import Guest
from avma.functions.function import Function, Listed
from avma.properties import Failure, Values, build, declare
from avma.resources import hosts
from avma.resources.cluster_nodes import NodeState, each, find_nodes, look
from avma.resources.guests import facts_in
from avma.resources.host_license import HostLicense, host_outputs
from avma.resources.host_properties import HostLicenseOutputs
from avma.resources.resource import Operation
from avma.resources.vm_activation import VmActivation, outputs_of
from avma.resources.vm_plan import locate
from avma.resources.vm_properties import VmActivationInputs, VmActivationOutputs, vm_id_error, vm_name_error
from avma.settings import AddressedSettings
from avma.windows.hyperv import GuestFacts, VirtualMachine
from avma.windows.licensing import LicenseStatus

_VM_ID = "9b1c0f9e-4f4d-4c0b-8a55-0d4b6a4a7c11"


@dataclass(frozen=True)
class HostInputs:
    """The host to ask."""

    host: str = declare("The host's DNS name or IP address.", example="hv01.example.com", check=host_name_error)
    connection: AddressedSettings | None = declare(
        "How the host is reached, where it differs from the provider's configuration.",
        default=None,
        unset="as the provider's configuration says",
        example={"address": "192.0.2.11"},
    )


@dataclass(frozen=True, kw_only=True)
class GetHostLicenseOutputs(HostLicenseOutputs):
    """What Windows says of a host's licence, with what is not state."""

    automatic_activation: dict[str, str] | None = declare(
        "All that `Get-VMAutomaticActivation` shows on Azure Local, as it is, product keys masked. Microsoft does not "
        "document it.",
        default=None,
        example={"ActivationType": "DatacenterKey"},
    )


class GetHostLicense(Function):
    """What is licensed on a host."""

    name = "getHostLicense"
    description = "What Windows says of a host's licence."
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
    """The VM to ask."""

    host: str | None = declare(
        "The Hyper-V host on which the VM runs. Give this or `hosts`.",
        default=None,
        unset="none, where `hosts` is given",
        example="hv01.example.com",
        check=host_name_error,
    )
    hosts: list[str] | None = declare(
        "All hosts on which the VM may run.",
        default=None,
        unset="none, where `host` is given",
        example=["hv01.example.com", "hv02.example.com"],
        check=host_name_error,
    )
    vm_name: str | None = declare(
        "The VM's name. Give this or `vmId`.",
        default=None,
        unset="none, where `vmId` is given",
        example="web01",
        check=vm_name_error,
    )
    vm_id: str | None = declare(
        "The VM's GUID. Give this or `vmName`.",
        default=None,
        unset="none, where `vmName` is given",
        example=_VM_ID,
        check=vm_id_error,
    )
    guest: Guest | None = declare(
        "How the Windows inside the VM is reached, where it differs from the provider's `guest`.",
        default=None,
        unset="as the provider's `guest` says",
        example={"transport": "winrm", "address": "192.0.2.21"},
    )
    connection: AddressedSettings | None = declare(
        "How the host is reached, where it differs from the provider's configuration.",
        default=None,
        unset="as the provider's configuration says",
        example={"address": "192.0.2.11"},
    )


@dataclass(frozen=True, kw_only=True)
class GetVmActivationOutputs(VmActivationOutputs):
    """What Windows says of a guest's activation now, with what changes by itself."""

    minutes_remaining: int = declare(
        "The time until the activation has to be renewed; 0 when it does not end.", unit="minutes", example=10080
    )
    last_activation_time: str | None = declare(
        "When the host last activated the guest, as Windows writes it; absent when it never did.",
        default=None,
        example="2026-02-03T10:15:00Z",
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

    vm_id: str = declare("The VM's GUID, in lower case.", example=_VM_ID)
    vm_name: str = declare("The VM's name.", example="web01")
    running: bool = declare("Whether the VM is running.")
    guest_name: str | None = declare("The guest's DNS name.", default=None, example="web01.lab.example.com")
    guest_os: str | None = declare(
        "The guest's operating system, in its own words.", default=None, example="Windows Server 2022 Standard"
    )
    guest_build: str | None = declare("The guest's build number.", default=None, example="20348")
    ip_addresses: list[str] = declare("The guest's IP addresses, IPv4 first.", example=["192.0.2.21"])


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
    lists = VmActivation.name

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
    """A node of a failover cluster; what could not be asked is absent."""

    node: str = declare("The node's name, in lower case.", example="hv01")
    state: str = declare("Its state in the cluster's words: `Up`, `Down`, `Paused` or `Joining`.", example="Up")
    address: str = declare("The name or address by which it is reached.", example="hv01.example.com")
    os_version: str | None = declare("Its release, of Windows Server or of Azure Local.", default=None, example="2025")
    edition: str | None = declare("Its edition.", default=None, example="Datacenter")
    license_status: LicenseStatus | None = declare(
        "Its licence status, in WMI's words.", default=None, example="Licensed"
    )
    partial_product_key: str | None = declare(
        "The last five characters of its key; on Azure Local, of its key for guests.", default=None, example="46789"
    )
    activates_guests: bool | None = declare("Whether it can activate guests now.", default=None)
    error: str | None = declare("Why it could not be asked.", default=None, example="nothing answers at hv02:5986")


@dataclass(frozen=True)
class GetClusterNodesInputs:
    """The cluster to ask."""

    cluster: str = declare(
        "The cluster's name, or any of its nodes; DNS name or IP address.",
        example="cl01.example.com",
        check=host_name_error,
    )
    connection: AddressedSettings | None = declare(
        "How cluster and nodes are reached, where it differs from the provider's configuration.",
        default=None,
        unset="as the provider's configuration says",
        example={"username": "LAB\\svc-avma", "password": "${password}"},
    )


@dataclass(frozen=True)
class GetClusterNodesOutputs:
    """The nodes of a cluster."""

    nodes: list[ClusterNode] = declare("The cluster's nodes, by name.")


class GetClusterNodes(Function):
    """The nodes of a failover cluster, and what is licensed on each."""

    name = "getClusterNodes"
    description = "The nodes of a failover cluster, with the licence of each; a node that is down has its error."
    inputs = GetClusterNodesInputs
    outputs = GetClusterNodesOutputs
    lists = HostLicense.name

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
