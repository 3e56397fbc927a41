"""getClusterNodes: the nodes of a failover cluster."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from avma.addresses import host_name_error
from avma.functions.function import Function, Listed
from avma.properties import Values, build, declare, redeclare
from avma.resources.cluster_license.cluster_nodes import NodeState, find_nodes, read_each, read_node
from avma.resources.cluster_license.cluster_properties import NodeLicense
from avma.resources.host_license.host_resource import HostLicenseResource
from avma.resources.resource import Operation
from avma.settings import AddressedSettings
from avma.windows.licensing import LicenseStatus


@dataclass(frozen=True, kw_only=True)
class ClusterNode:
    """A node of a failover cluster. Properties that the provider could not read are absent."""

    node: str = declare("The name of the node, in lower case.", example="hv01")
    state: str = declare(
        "The state of the node in the cluster: `Up`, `Down`, `Paused`, `Joining` or `Unknown`.", example="Up"
    )
    address: str = declare("The name or address the provider connects to.", example="hv01.example.com")
    os_version: str | None = redeclare(NodeLicense, "os_version")
    edition: str | None = redeclare(NodeLicense, "edition")
    license_status: LicenseStatus | None = redeclare(NodeLicense, "license_status")
    partial_product_key: str | None = redeclare(NodeLicense, "partial_product_key")
    activates_guests: bool | None = redeclare(NodeLicense, "activates_guests")
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

    name = "get_cluster_nodes"
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
        read_each(nodes, read_node, now)
        return GetClusterNodesOutputs([_cluster_node(node, now) for node in nodes])

    def listed(self, _values: Values, outputs: GetClusterNodesOutputs) -> list[Listed]:
        """See `Function.listed`."""
        return [Listed(node.address, node.node) for node in outputs.nodes]


def _cluster_node(node: NodeState, operation: Operation) -> ClusterNode:
    seen = ClusterNode(
        node=node.name,
        state=node.cluster_state or "Unknown",
        address=node.machine.connection.address,
        error=operation.rendered(node.error.message) if node.error else None,
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
