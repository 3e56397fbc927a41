"""The classes of a failover cluster on its nodes: the cluster and its nodes.

See "Failover Cluster WMI provider" at learn.microsoft.com: MSCluster_Cluster and MSCluster_Node. The module knows
clusters and CIM; it knows nothing of VMs.
"""

from __future__ import annotations

from avma_simulator.cim import Instance, Value, declare
from avma_simulator.cluster import Cluster

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
_MOST_NODES = 64


def clusters(cluster: Cluster) -> list[Instance]:
    """Return the cluster that a node belongs to."""
    values: dict[str, Value] = {
        "Caption": cluster.name,
        "Fqdn": cluster.name,
        "MaxNumberOfNodes": _MOST_NODES,
        "Name": cluster.name,
    }
    return [Instance(CLUSTER, values)]


def nodes(cluster: Cluster) -> list[Instance]:
    """Return the nodes, those that are down among them."""
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
