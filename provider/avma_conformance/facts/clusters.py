r"""Facts about failover clusters: the classes of root\mscluster on a node."""

from __future__ import annotations

from collections.abc import Sequence

from avma import addresses
from avma.windows import cluster
from avma.wsman.instance import Instance
from avma_conformance.fact import Area, Observation, On, equal, fact, present, question, true
from avma_conformance.subject import CIMV2, Subject

_STATES = {0, 1, 2, 3}
_ROLES = {0, 1, 2, 3}
_FOR_CLIENTS = (2, 3)
_LONGEST_NAME = 15
"""Characters of a NetBIOS name."""


def _rows(subject: Subject, columns: str, cim_class: str) -> list[Instance]:
    return subject.query(f"SELECT {columns} FROM {cim_class}", cluster.NAMESPACE)


def _names(rows: Sequence[Instance], column: str = "Name") -> set[str]:
    return {(row.text(column) or "").lower() for row in rows}


@fact(Area.CLUSTERS, "MSCluster_Cluster at learn.microsoft.com", on=On.CLUSTER)
def node_lists_one_cluster(subject: Subject) -> Observation:
    """A node lists one cluster with a name."""
    return equal([True], [bool(row.text("Name")) for row in _rows(subject, "Name", "MSCluster_Cluster")])


@fact(Area.CLUSTERS, "MSCluster_Node at learn.microsoft.com", on=On.CLUSTER)
def node_lists_itself_as_up(subject: Subject) -> Observation:
    """The nodes contain the machine that answers, with the state 0 (up) or 2 (paused)."""
    own = (subject.row("SELECT Name FROM Win32_ComputerSystem", CIMV2).text("Name") or "").lower()
    rows = _rows(subject, "Name,State", "MSCluster_Node")
    states = [row.integer("State") for row in rows if (row.text("Name") or "").lower() == own]
    return true("one row with 0 or 2", len(states) == 1 and states[0] in (0, 2), states)


@fact(Area.CLUSTERS, "MSCluster_Node at learn.microsoft.com", on=On.CLUSTER)
def node_state_is_a_documented_number(subject: Subject) -> Observation:
    """The state of each node is a number from 0 to 3."""
    found = {row.integer("State") for row in _rows(subject, "State", "MSCluster_Node")}
    return true("numbers from 0 to 3", bool(found) and found <= _STATES, found)


@fact(Area.CLUSTERS, "inferred: examples of MSCluster_Node at learn.microsoft.com", on=On.CLUSTER)
def node_name_is_a_netbios_name(subject: Subject) -> Observation:
    """The name of a node is its NetBIOS name, without a domain."""
    names = _names(present(_rows(subject, "Name", "MSCluster_Node"), "the cluster lists no node"))
    short = [name for name in names if 0 < len(name) <= _LONGEST_NAME and "." not in name]
    return equal(f"{len(names)} of {len(names)} names", f"{len(short)} of {len(names)} names")


@fact(Area.CLUSTERS, "ClusterNetworkRole at learn.microsoft.com", on=On.CLUSTER)
def network_role_is_a_documented_number(subject: Subject) -> Observation:
    """The role of each network is a number from 0 to 3. At least one is 2 or 3, for clients."""
    found = {row.integer("Role") for row in _rows(subject, "Name,Role", "MSCluster_Network")}
    held = found <= _ROLES and any(role in _FOR_CLIENTS for role in found)
    return true("numbers from 0 to 3, with 2 or 3", held, found)


@fact(Area.CLUSTERS, "MSCluster_NetworkInterface at learn.microsoft.com", on=On.CLUSTER)
def network_interface_names_its_node_and_network(subject: Subject) -> Observation:
    """Each network interface contains the name of its node and of its network, as these classes report them."""
    nodes, networks = (_names(_rows(subject, "Name", f"MSCluster_{kind}")) for kind in ("Node", "Network"))
    rows = _rows(subject, "Node,Network", "MSCluster_NetworkInterface")
    unknown = [_names(rows, "Node") - nodes, _names(rows, "Network") - networks]
    found = f"{len(rows)} interfaces, {len(unknown[0])} unknown nodes, {len(unknown[1])} unknown networks"
    return true("interfaces with known names", bool(rows) and not any(unknown), found)


@fact(Area.CLUSTERS, "MSCluster_NetworkInterface at learn.microsoft.com", on=On.CLUSTER)
def network_interface_has_one_ip_address(subject: Subject) -> Observation:
    """The Address of a network interface is one IP address."""
    rows = _rows(subject, "Address", "MSCluster_NetworkInterface")
    parsed = [addresses.parse_ip(row.text("Address") or "") is not None for row in rows]
    return true("each interface", bool(parsed) and all(parsed), f"{sum(parsed)} of {len(parsed)} interfaces")


@fact(Area.CLUSTERS, "inferred: MSCluster_NetworkInterface at learn.microsoft.com", on=On.CLUSTER)
def running_node_has_an_address_for_clients(subject: Subject) -> Observation:
    """Each node that runs has an address in a network for clients."""
    nodes = subject.server.cluster(subject.deadline).nodes
    running = present([node for node in nodes if node.reachable], "no node runs")
    with_address = [node for node in running if node.address]
    return true("each node", with_address == running, f"{len(with_address)} of {len(running)} nodes")


CLUSTER_NAME = question(
    "cluster-name-answers-from-one-node",
    Area.CLUSTERS,
    "The name of a cluster leads to WinRM of the node that owns the cluster group.",
    "Run `Get-ClusterGroup 'Cluster Group'` on a node, and `Invoke-Command CLUSTER { hostname }` from another machine. "
    "Compare the owner with the host name. Move the group with `Move-ClusterGroup 'Cluster Group'`, and compare again.",
    on=On.CLUSTER,
)
LIVE_MIGRATION = question(
    "data-exchange-survives-live-migration",
    Area.CLUSTERS,
    "After a live migration, the new host lists the VM with its Data Exchange items within a minute.",
    "Move a running VM with `Move-ClusterVirtualMachineRole NAME -Node OTHER -MigrationType Live`. On the new host, "
    "run `Get-CimInstance -Namespace root/virtualization/v2 Msvm_KvpExchangeComponent` every five seconds, and note "
    "when GuestIntrinsicExchangeItems is filled.",
    on=On.CLUSTER,
)
SESSION_IN_MIGRATION = question(
    "powershell-direct-session-ends-in-live-migration",
    Area.CLUSTERS,
    "A live migration ends a running session of PowerShell Direct with the error id 2100,PSSessionStateBroken.",
    "Run `Invoke-Command -VMId ID -Credential ACCOUNT { Start-Sleep 300 }` on the host, and move the VM. Read "
    "`$Error[0].FullyQualifiedErrorId`.",
    on=On.CLUSTER,
)
