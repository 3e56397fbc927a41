"""The current state of a failover cluster: its nodes, their states, and the owner of the cluster name."""

from __future__ import annotations

from enum import IntEnum

from avma_simulator import estate
from avma_simulator.state.machine import Machine


class NodeState(IntEnum):
    """`MSCluster_Node.State`, with Microsoft's names."""

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
        """The name of the cluster name object."""
        return self.name.upper()

    @property
    def owner(self) -> Machine | None:
        """The node that answers at the cluster's address. Simplified: the first node that is up, or else paused."""
        for wanted in (NodeState.Up, NodeState.Paused):
            for node in self.nodes:
                if self.state(node) is wanted:
                    return node
        return None

    def state(self, node: Machine) -> NodeState:
        """Return the state of a node from the view of the other nodes."""
        if not node.running:
            # A node that restarts is neither paused nor joining any more.
            self._held.pop(node, None)
            return NodeState.Down
        return self._held.get(node, NodeState.Up)

    def hold(self, node: Machine, state: NodeState) -> None:
        """Keep a running node in a state. `Up` releases it."""
        self._held[node] = state

    def leave(self, node: Machine) -> None:
        """Remove a node from the cluster."""
        self.nodes.remove(node)
        self._held.pop(node, None)
