"""The classes of a failover cluster on its nodes: the cluster, its nodes and their networks.

See "Failover Cluster WMI provider" at learn.microsoft.com: MSCluster_Cluster, MSCluster_Node, MSCluster_Network and
MSCluster_NetworkInterface.
"""

from __future__ import annotations

from avma_simulator.state.cluster import Cluster
from avma_simulator.wmi.cim import Instance, Value, declare

NAMESPACE = "root/mscluster"
CLUSTER = declare(
    NAMESPACE,
    "MSCluster_Cluster",
    "Name",
    string="Caption Description Fqdn Name Status",
    uint32="ClusterFunctionalLevel MaxNumberOfNodes",
)
NODE = declare(
    NAMESPACE,
    "MSCluster_Node",
    "Name",
    string="Caption Description Name Status",
    uint32="BuildNumber MajorVersion MinorVersion State",
)
NETWORK = declare(NAMESPACE, "MSCluster_Network", "Name", string="Caption Name", uint32="Role State")
NETWORK_INTERFACE = declare(
    NAMESPACE,
    "MSCluster_NetworkInterface",
    "Name",
    string="Address Caption Name Network Node",
    uint32="State",
    strings="IPv4Addresses",
)
_MOST_NODES = 64
# ClusterNetworkRole: 1 is for cluster traffic only, 3 also for client traffic.
_ROLES = {"Cluster Network 1": 3, "Cluster Network 2": 1}


def clusters(cluster: Cluster) -> list[Instance]:
    """Return the cluster of a node."""
    values: dict[str, Value] = {
        "Caption": cluster.name,
        "Fqdn": cluster.name,
        "MaxNumberOfNodes": _MOST_NODES,
        "Name": cluster.name,
    }
    return [Instance(CLUSTER, values)]


def networks(_cluster: Cluster) -> list[Instance]:
    """Return the networks of the cluster: one for clients, and one between the nodes only."""
    return [
        Instance(NETWORK, {"Caption": name, "Name": name, "Role": role, "State": 3}) for name, role in _ROLES.items()
    ]


def network_interfaces(cluster: Cluster) -> list[Instance]:
    """Return the interfaces of the nodes in each network. Clients cannot use the address in the inner network."""
    rows: list[Instance] = []
    for number, node in enumerate(cluster.nodes):
        addresses = {"Cluster Network 1": node.spec.address, "Cluster Network 2": f"127.255.255.{number + 1}"}
        rows += [_network_interface(node.computer_name, network, address) for network, address in addresses.items()]
    return rows


def _network_interface(node: str, network: str, address: str) -> Instance:
    name = f"{node} - {network}"
    values: dict[str, Value] = {
        "Address": address,
        "Caption": name,
        "IPv4Addresses": (address,),
        "Name": name,
        "Network": network,
        "Node": node,
        "State": 3,
    }
    return Instance(NETWORK_INTERFACE, values)


def nodes(cluster: Cluster) -> list[Instance]:
    """Return the nodes, including nodes that are down."""
    rows: list[Instance] = []
    for node in cluster.nodes:
        major, minor, build = (int(part) for part in node.windows.release.split("."))
        values: dict[str, Value] = {
            "BuildNumber": build,
            "Caption": node.computer_name,
            "MajorVersion": major,
            "MinorVersion": minor,
            "Name": node.computer_name,
            "State": int(cluster.state(node)),
        }
        rows.append(Instance(NODE, values))
    return rows
