"""The nodes of a failover cluster, from the WMI namespace root\\mscluster.

The classes are `MSCluster_Cluster`, `MSCluster_Node`, `MSCluster_Network` and `MSCluster_NetworkInterface`
(learn.microsoft.com, Failover Cluster WMI provider). Any node and the cluster's own name can answer.
"""

from __future__ import annotations

from dataclasses import dataclass

from avma.context import Context
from avma.deadline import Deadline
from avma.windows.wmi import CLUSTER, CLUSTER_NODES, Wmi, require_row

NAMESPACE = "root/mscluster"

_STATES = {0: "Up", 1: "Down", 2: "Paused", 3: "Joining"}
_REACHABLE = ("Up", "Paused")
_FOR_CLIENTS = (2, 3)
"""The values of `MSCluster_Network.Role` for networks with client access."""


@dataclass(frozen=True)
class Node:
    """A node: its lowercase name, its state in the terms of WMI, and its address in a network with client access."""

    name: str
    state: str
    address: str

    @property
    def reachable(self) -> bool:
        """Whether the node is running, according to the cluster. A paused node is running too."""
        return self.state in _REACHABLE


@dataclass(frozen=True)
class FailoverCluster:
    """The name of a cluster, and its nodes sorted by name."""

    name: str
    nodes: tuple[Node, ...]


def read(wmi: Wmi, deadline: Deadline) -> FailoverCluster:
    """Read the cluster of a node.

    Raises:
        EmptyAnswer: the machine lists no cluster, or the cluster lists no node.
        AvmaError: the machine could not be queried.
    """
    context = Context("read the nodes of the cluster", wmi.where, deadline)
    names = wmi.query(context, NAMESPACE, "SELECT Name FROM MSCluster_Cluster")
    require_row(context, names, CLUSTER)
    addresses = _addresses(context, wmi)
    rows = wmi.query(context, NAMESPACE, "SELECT Name,State FROM MSCluster_Node")
    require_row(context, rows, CLUSTER_NODES)
    nodes = [_node((row.text("Name") or "").lower(), row.integer("State"), addresses) for row in rows]
    return FailoverCluster(names[0].text("Name") or "", tuple(sorted(nodes, key=lambda node: node.name)))


def _node(name: str, state: int | None, addresses: dict[str, str]) -> Node:
    return Node(name, _STATES.get(-1 if state is None else state, "Unknown"), addresses.get(name, ""))


def _addresses(context: Context, wmi: Wmi) -> dict[str, str]:
    """Return the address of each node by name. The first network with client access counts."""
    networks = wmi.query(context, NAMESPACE, "SELECT Name,Role FROM MSCluster_Network")
    for_clients = {row.text("Name") for row in networks if row.integer("Role") in _FOR_CLIENTS}
    interfaces = wmi.query(context, NAMESPACE, "SELECT Node,Network,Address FROM MSCluster_NetworkInterface")
    usable = sorted(
        ((row.text("Node") or "").lower(), row.text("Network") or "", row.text("Address") or "")
        for row in interfaces
        if row.text("Network") in for_clients
    )
    return {node: address for node, _, address in reversed(usable)}
