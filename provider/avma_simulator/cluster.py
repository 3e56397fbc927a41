"""A failover cluster as it is now: its nodes, what state each is in, and which of them answers for all.

The module knows machines. It knows no WMI and no network.
"""

from __future__ import annotations

from enum import IntEnum

from avma_simulator import estate
from avma_simulator.machine import Machine


class NodeState(IntEnum):
    """`MSCluster_Node.State`, in Microsoft's words."""

    Up = 0
    Down = 1
    Paused = 2
    Joining = 3


class Cluster:
    """A cluster and its nodes."""

    def __init__(self, spec: estate.Cluster, nodes: list[Machine]) -> None:
        self.spec = spec
        self.name = spec.name
        self.nodes = nodes
        self._held: dict[Machine, NodeState] = {}

    @property
    def computer_name(self) -> str:
        """The name that the cluster's name object has."""
        return self.name.upper()

    @property
    def owner(self) -> Machine | None:
        """The node that answers at the cluster's address. Inferred: the first that is up, or else paused."""
        for wanted in (NodeState.Up, NodeState.Paused):
            for node in self.nodes:
                if self.state(node) is wanted:
                    return node
        return None

    def state(self, node: Machine) -> NodeState:
        """Return what the other nodes see of a node."""
        if not node.running:
            # A node that comes back has forgotten that it was paused or joining.
            self._held.pop(node, None)
            return NodeState.Down
        return self._held.get(node, NodeState.Up)

    def hold(self, node: Machine, state: NodeState) -> None:
        """Keep a node that runs in a state; `Up` lets go of it."""
        self._held[node] = state

    def leave(self, node: Machine) -> None:
        """Take a node out of the cluster."""
        self.nodes.remove(node)
        self._held.pop(node, None)
