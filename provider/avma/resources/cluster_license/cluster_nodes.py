"""One node of a cluster while it is being licensed, and the rules for all nodes together."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from avma import characters, compatibility, errors, keys
from avma.addresses import canonical, host_name_error, parse_ip
from avma.properties import Values, build
from avma.resources import preconditions
from avma.resources.cluster_license.cluster_properties import ClusterLicenseOutputs, NodeLicense
from avma.resources.host_state import HostState, read_host_state
from avma.resources.key_installation import KeyInstallation
from avma.resources.machine_license import Attempt, license_outputs
from avma.resources.resource import Operation
from avma.resources.stored_machine import is_another, require_stored_machine
from avma.settings import AddressedSettings
from avma.windows.licensing import LicenseStatus
from avma.windows.machine import Server
from avma.wording import RUN_AGAIN, setting

TRIED = "license the nodes"
_TRIED_NODES = "read the nodes of the cluster"

_NODE = re.compile(r"[\w.-]+")
"""A name of a computer: letters of any script, digits, hyphens and underscores (Microsoft KB 909264)."""
_AT_ONCE = 16
_NETBIOS_LENGTH = 15
"""The maximum length of NetBIOS names. Clusters and WMI report `hyperv-host-rack12` as `hyperv-host-rac`."""


@dataclass
class NodeState:
    """A node during an operation: its wanted state, its current state, and the result."""

    name: str
    machine: Server
    cluster_state: str | None = None
    """The state of the node according to the cluster. None if the cluster was not asked."""
    product_key: str | None = None
    known: Values = field(default_factory=dict)
    """Its stored license: the values of a `NodeLicense`, empty for a new node."""
    keeps: bool = False
    """Whether it could not be reached, and keeps its stored license."""
    state: HostState | None = None
    error: errors.AvmaError | None = None
    changed: bool = False
    """Whether this operation has changed it."""


def find_nodes(
    cluster: str | None,
    names: Sequence[str],
    connection: AddressedSettings | None,
    operation: Operation,
    listed: str = "nodes",
) -> list[NodeState]:
    """Return the named nodes, or the nodes that the cluster reports. A node that is down already has its error.

    `listed` is the input with the names of nodes, for errors.

    If `cluster` is a name, the provider connects to the nodes by name, in the same domain. If it is an address, the
    provider uses their addresses.

    Raises:
        AvmaError: the cluster could not be queried.
    """
    layers = (connection, operation.configuration)
    if cluster is None:
        unique = dict.fromkeys(map(canonical, names))
        return [NodeState(name, operation.machine(name, *layers)) for name in unique]
    asked = operation.machine(cluster, *layers)
    by_address = parse_ip(asked.connection.address) is not None
    domain = "" if by_address else cluster.partition(".")[2]
    nodes = []
    for found in asked.cluster(operation.deadline).nodes:
        # Never use the address of the cluster for a node: without its own address, use its name.
        address = (found.address if by_address else "") or f"{found.name}.{domain}".rstrip(".")
        _require_usable(found.name, address, asked, listed)
        machine = operation.machine(found.name, AddressedSettings(address=address), *layers)
        node = NodeState(found.name, machine, cluster_state=found.state)
        if not found.reachable:
            answer = f"the cluster reports the node as {found.state}"
            remedy = f"bring the node up, then {RUN_AGAIN}"
            node.error = errors.NotReady("reach the node", machine.where, answer, remedy)
        nodes.append(node)
    return nodes


def _require_usable(node: str, address: str, cluster: Server, listed: str) -> None:
    """Raise UnexpectedAnswer unless the reported name and address of a node are usable. Commands for users name it."""
    reason = host_name_error(address)
    if reason is not None:
        answer = f"the cluster reports the node {characters.shown(node)!r} at an unusable address: {reason}"
        remedy = f"set {setting(listed)} to the names or IP addresses of all nodes, instead of {setting('cluster')}"
        raise errors.UnexpectedAnswer(_TRIED_NODES, cluster.where, answer, remedy)
    if not _NODE.fullmatch(node):
        answer = f"the cluster reports the node {characters.shown(node)!r}, and no computer can have this name"
        remedy = "check the names of the nodes with Get-ClusterNode on a node of the cluster"
        raise errors.UnexpectedAnswer(_TRIED_NODES, cluster.where, answer, remedy)


def is_name_of(declared: str, node: str) -> bool:
    """Return True if a declared name, in lower case, is the name of a node that the cluster reports."""
    return declared == node or (len(node) == _NETBIOS_LENGTH and declared.partition(".")[0][:_NETBIOS_LENGTH] == node)


def key_of(node: str, product_keys: Mapping[str, str]) -> str | None:
    """Return the declared key of a node, None without one. An exact name comes first."""
    declared = {canonical(name): key for name, key in product_keys.items()}
    if node in declared:
        return declared[node]
    return next((key for name, key in declared.items() if is_name_of(name, node)), None)


def read_node(node: NodeState, operation: Operation) -> None:
    """Read the license of a node that is up."""
    if node.error is None:
        try:
            state = read_host_state(node.machine, operation)
        except errors.Unreachable as error:
            raise error.but(remedy=error.remedy + _longer_name(node)) from error
        wanted = keys.partial(node.product_key) if node.product_key else None
        same = not is_another(node.known, state.machine_id)
        partial = node.known.get("partial_product_key") if same else None
        node.state = replace(state, found=state.found.preferring(wanted), known_partial=partial)


def read_same_node(node: NodeState, operation: Operation) -> None:
    """Read the license of a node that is up, before a change. The node must be the stored machine.

    Raises:
        Refused: another machine answers. Then the node has no state, so nothing changes it.
    """
    read_node(node, operation)
    found, node.state = node.state, None
    if found is not None:
        require_stored_machine(node.known, found.machine_id, node.machine.where, TRIED)
    node.state = found


def identities(nodes: Sequence[NodeState], operation: Operation) -> Mapping[str, str]:
    """Return the identities of the nodes, by name. Nodes that are down or fail are left out."""
    found: dict[str, str] = {}

    def identify(node: NodeState, in_time: Operation) -> None:
        found[node.name] = node.machine.identity(in_time.deadline)

    read_each([node for node in nodes if node.error is None], identify, operation)
    return found


def _longer_name(node: NodeState) -> str:
    """Return the remedy for an unreachable node whose name may be longer than reported."""
    if node.cluster_state is None or len(node.name) != _NETBIOS_LENGTH:
        return ""
    return (
        f"; if the node's name is longer than {node.name}, list the full names of all nodes in {setting('nodes')} "
        f"instead of {setting('cluster')}: the cluster reports only the first {_NETBIOS_LENGTH} characters of a name"
    )


def claim(node: NodeState, activate: bool, key_version: str | None, operation: Operation) -> None:
    """Claim a node that could be read. This must happen before a node is changed.

    Raises:
        KeyConflict: another resource of the run wants another key there.
    """
    state = node.state
    if state is None:
        return
    operation.claim(
        state.machine_id,
        keys.partial(node.product_key) if node.product_key else state.partial_in_use,
        node.machine.where,
        TRIED,
        installs=node.product_key is not None,
        coming=activate,
        key_version=key_version,
        place=node.name,
        spends=state.needs(node.product_key, activate),
    )


def license_node(node: NodeState, activate: bool, operation: Operation) -> None:
    """License a node that could be read."""
    if node.state is None:
        return
    if node.product_key is None:
        require_license_to_adopt(node)
    elif node.state.activation is not None:
        _apply(node, node.state, node.product_key, operation)
    else:
        attempt = Attempt(node.machine, node.state.found, node.state.since, operation)
        try:
            attempt.license(node.product_key, activate)
        finally:
            node.state, node.changed = node.state.with_product(attempt.product), attempt.changed


def require_license_to_adopt(node: NodeState) -> None:
    """Raise Refused unless a readable node without a declared key has a license for its guests."""
    if node.state is not None:
        preconditions.require_license_to_adopt(node.state, TRIED)


def _apply(node: NodeState, state: HostState, product_key: str, operation: Operation) -> None:
    """Apply a key for the guests of a node of Azure Local."""
    application = KeyInstallation(state, operation)
    try:
        application.apply(product_key)
    finally:
        node.state, node.changed = application.state, application.changed


def each(nodes: Sequence[NodeState], work: Callable[[NodeState], None]) -> None:
    """Run `work` on all nodes in parallel. An error stays with its node.

    Raises:
        Cancelled: the user stopped the run before a node was changed. The node itself has no error.
    """

    def guarded(node: NodeState) -> None:
        try:
            work(node)
        except errors.AvmaError as error:
            node.error = error

    with ThreadPoolExecutor(min(len(nodes), _AT_ONCE) or 1) as threads:
        list(threads.map(guarded, nodes))
    canceled = next((node.error for node in nodes if isinstance(node.error, errors.Cancelled)), None)
    if canceled is not None and not any(node.changed for node in nodes):
        raise canceled


def read_each(nodes: Sequence[NodeState], read: Callable[[NodeState, Operation], None], operation: Operation) -> None:
    """Read all nodes in parallel, as `each` does. One that never answers leaves time for the others."""
    in_time = operation.in_share() if len(nodes) > 1 else operation
    each(nodes, lambda node: read(node, in_time))


def require_distinct(nodes: Sequence[NodeState]) -> None:
    """Raise Refused unless all readable nodes are different machines."""
    names: dict[str, str] = {}
    for node in nodes:
        if node.state is None:
            continue
        other = names.setdefault(node.state.machine_id, node.name)
        if other != node.name:
            answer = f"{other} and {node.name} are the same machine ({node.state.machine_id})"
            remedy = "check the names in DNS and the list of nodes: each node must have its own address"
            raise errors.Refused(TRIED, node.machine.where, answer, remedy)


def require_one_version(nodes: Sequence[NodeState], where: str) -> None:
    """Raise Refused unless all readable nodes run the same release. Guests must find the same on each node."""
    versions = {node.name: node.state.system.version for node in nodes if node.state is not None}
    if len(set(versions.values())) > 1:
        answer = "the nodes run different releases: " + ", ".join(
            f"{name} {versions[name]}" for name in sorted(versions)
        )
        remedy = "upgrade all nodes to the same release, or use HostLicense for each node during the upgrade"
        raise errors.Refused(TRIED, where, answer, remedy)


def require_one_key_version(nodes: Sequence[NodeState], declared: str | None, where: str) -> None:
    """Raise Refused if the nodes of Azure Local are going to have keys of different releases, as far as known."""
    will = {node.name: declared if node.product_key else _key_version(node) for node in nodes}
    versions = {name: version for name, version in will.items() if version is not None}
    if len(set(versions.values())) > 1:
        raise errors.Refused(TRIED, where, *_mixed_keys(versions))


def require_common_key_version(node: NodeState, nodes: Sequence[NodeState]) -> None:
    """Raise Refused unless the node's key is for the newest release in the cluster. A node with an error passes."""
    versions = {each.name: version for each in nodes if (version := _key_version(each)) is not None}
    own = versions.get(node.name)
    if node.error is None and own is not None and own != max(versions.values()):
        raise errors.Refused(TRIED, node.machine.where, *_mixed_keys(versions))


def _key_version(node: NodeState) -> str | None:
    """Return the release of a node's key, None if it is unknown.

    Windows Server does not report it. With a subscription, it does not matter.
    """
    activation = node.state.activation if node.state else None
    return None if activation is None or activation.subscribed else activation.key_version


def _mixed_keys(versions: Mapping[str, str]) -> tuple[str, str]:
    named = ", ".join(f"{name} {versions[name]}" for name in sorted(versions))
    answer = f"the nodes use keys for different versions of Windows Server: {named}"
    places = f"{setting('product_key')}, or {setting('product_keys')} for each"
    return answer, f"set keys of the newest version for all nodes ({places})"


def cluster_outputs(nodes: Sequence[NodeState], operation: Operation) -> ClusterLicenseOutputs:
    """Return the outputs for the nodes of a cluster."""
    licenses = [_node_license(node, operation) for node in sorted(nodes, key=lambda node: node.name)]
    versions = {each.key_version for each in licenses}
    return ClusterLicenseOutputs(
        node_licenses=licenses,
        licensed_nodes=sum(_is_licensed(each) for each in licenses),
        key_version=next(iter(versions)) if len(versions) == 1 else None,
    )


def _is_licensed(node: NodeLicense) -> bool:
    if node.edition == compatibility.AZURE_LOCAL:
        return node.activates_guests is True
    return node.license_status is LicenseStatus.LICENSED


def _node_license(node: NodeState, operation: Operation) -> NodeLicense:
    state, error = node.state, operation.rendered(node.error.answer) if node.error else None
    if node.keeps:
        return build(NodeLicense, node.known)
    if state is None:
        partial, machine = node.known.get("partial_product_key"), node.known.get("machine_id")
        return NodeLicense(node=node.name, partial_product_key=partial, machine_id=machine, error=error)
    found = NodeLicense(
        node=node.name,
        **license_outputs(state.found.product),
        os_version=state.system.version,
        edition=state.system.edition,
        activates_guests=state.activates_guests,
        hyper_v=state.hyper_v if state.activation is None else None,
        machine_id=state.machine_id,
        error=error,
    )
    if state.activation is None:
        return found
    return replace(found, partial_product_key=state.partial_product_key, key_version=state.activation.key_version)
