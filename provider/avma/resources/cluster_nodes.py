"""One node of a cluster while it is licensed, and what must hold of all nodes together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from avma import characters, errors, keys
from avma.addresses import canonical, host_name_error, parse_ip
from avma.resources import hosts, rules
from avma.resources.activation import Attempt
from avma.resources.azure_local import Application
from avma.resources.hosts import HostState
from avma.resources.resource import Operation
from avma.settings import AddressedSettings
from avma.windows.machine import Server

TRIED = "license the nodes"

_AT_ONCE = 16
_NETBIOS_LENGTH = 15
"""Clusters and WMI report NetBIOS names, which end here: `hyperv-host-rack12` is `hyperv-host-rac`."""


@dataclass
class NodeState:
    """A node while it is worked on: what is wanted, what was found, what came of it."""

    name: str
    machine: Server
    cluster_state: str | None = None
    """Its state in the cluster's words, where the cluster was asked."""
    product_key: str | None = None
    known_partial: str | None = None
    """The last five of the key that is stored for it."""
    known_machine: str | None = None
    """The identity that is stored for it."""
    state: HostState | None = None
    error: errors.AvmaError | None = None
    changed: bool = False
    """Whether it was changed."""


def find_nodes(
    cluster: str | None, names: Sequence[str], connection: AddressedSettings | None, operation: Operation
) -> list[NodeState]:
    """Return the nodes that are named, or else those that the cluster tells; one that is down has its error already.

    Asked for by name, a cluster's nodes are reached by their names in the same domain; by address, by theirs.

    Raises:
        AvmaError: the cluster could not be asked.
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
        # Without an address of its own a node is reached by its name, never at the address of the cluster.
        address = (found.address if by_address else "") or f"{found.name}.{domain}".rstrip(".")
        _require_usable(found.name, address, asked)
        machine = operation.machine(found.name, AddressedSettings(address=address), *layers)
        node = NodeState(found.name, machine, cluster_state=found.state)
        if not found.reachable:
            answer = f"the cluster says that the node is {found.state}"
            node.error = errors.NotReady("reach the node", machine.where, answer, "bring the node up and run again")
        nodes.append(node)
    return nodes


def _require_usable(node: str, address: str, cluster: Server) -> None:
    """Raise UnexpectedAnswer unless a node that the cluster reports can be reached at the address, and no other."""
    reason = host_name_error(address)
    if reason is not None:
        answer = f"the cluster reports the node {characters.shown(node)!r} at an address that cannot be used: {reason}"
        remedy = "declare the nodes by name or IP address in `nodes`"
        raise errors.UnexpectedAnswer("read the nodes of the cluster", cluster.where, answer, remedy)


def is_name_of(declared: str, node: str) -> bool:
    """Return True if a declared name, in lower case, is that of a node as the cluster reports it."""
    return declared == node or (len(node) == _NETBIOS_LENGTH and declared.partition(".")[0][:_NETBIOS_LENGTH] == node)


def key_of(node: str, product_keys: Mapping[str, str]) -> str | None:
    """Return the key that is declared for a node, None without one; an exact name comes first."""
    declared = {canonical(name): key for name, key in product_keys.items()}
    if node in declared:
        return declared[node]
    return next((key for name, key in declared.items() if is_name_of(name, node)), None)


def look(node: NodeState, operation: Operation) -> None:
    """Read what is licensed on a node that is up."""
    if node.error is None:
        try:
            state = hosts.look(node.machine, operation)
        except errors.Unreachable as error:
            error.remedy += _longer_name(node)
            raise
        wanted = keys.partial(node.product_key) if node.product_key else None
        node.state = replace(state, found=state.found.preferring(wanted), known_partial=node.known_partial)


def identities(nodes: Sequence[NodeState], operation: Operation) -> Mapping[str, str]:
    """Return which machines the nodes are, by name, without those that are down or cannot be asked."""
    found: dict[str, str] = {}

    def identify(node: NodeState) -> None:
        found[node.name] = node.machine.identity(operation.deadline)

    each([node for node in nodes if node.error is None], identify)
    return found


def _longer_name(node: NodeState) -> str:
    """Return what to do about a node that may not have been reached because its name is longer than reported."""
    if node.cluster_state is None or len(node.name) != _NETBIOS_LENGTH:
        return ""
    return (
        f"; the cluster reports at most {_NETBIOS_LENGTH} characters of a name: if the node's name is longer than "
        f"{node.name}, list the full names of all nodes in `nodes` instead of `cluster`"
    )


def claim(node: NodeState, activate: bool, key_version: str | None, operation: Operation) -> None:
    """Claim a node that could be asked, before any is changed.

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
    """License a node that could be asked."""
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
    """Raise Refused unless a node that could be asked has a license for its guests, where no key is declared."""
    if node.state is not None:
        rules.require_license_to_adopt(node.state, TRIED)


def _apply(node: NodeState, state: HostState, product_key: str, operation: Operation) -> None:
    """Apply a key for the guests of a node of Azure Local."""
    application = Application(state, operation)
    try:
        application.apply(product_key)
    finally:
        node.state, node.changed = application.state, application.changed


def each(nodes: Sequence[NodeState], work: Callable[[NodeState], None]) -> None:
    """Do the same on all nodes at once; an error stays with its node."""

    def guarded(node: NodeState) -> None:
        try:
            work(node)
        except errors.AvmaError as error:
            node.error = error

    with ThreadPoolExecutor(min(len(nodes), _AT_ONCE) or 1) as threads:
        list(threads.map(guarded, nodes))


def require_distinct(nodes: Sequence[NodeState]) -> None:
    """Raise Refused unless each node that could be asked is a machine of its own."""
    names: dict[str, str] = {}
    for node in nodes:
        if node.state is None:
            continue
        other = names.setdefault(node.state.machine_id, node.name)
        if other != node.name:
            answer = f"{other} and {node.name} lead to one machine ({node.state.machine_id})"
            remedy = "check the names in DNS and the list of nodes: each node must answer at an address of its own"
            raise errors.Refused(TRIED, node.machine.where, answer, remedy)


def require_one_version(nodes: Sequence[NodeState]) -> None:
    """Return if all nodes that could be asked run one release: guests must find the same wherever they move."""
    versions = {node.name: node.state.system.version for node in nodes if node.state is not None}
    if len(set(versions.values())) > 1:
        answer = "they run different releases: " + ", ".join(f"{name} {versions[name]}" for name in sorted(versions))
        remedy = "bring all nodes to one release, or license them by HostLicense while they are upgraded"
        raise errors.Refused(TRIED, "the cluster", answer, remedy)


def require_one_key_version(nodes: Sequence[NodeState], declared: str | None) -> None:
    """Return if the machines of Azure Local will have keys of one release, as far as that is known before."""
    will = {node.name: declared if node.product_key else _key_version(node) for node in nodes}
    versions = {name: version for name, version in will.items() if version is not None}
    if len(set(versions.values())) > 1:
        raise errors.Refused(TRIED, "the cluster", *_mixed_keys(versions))


def require_common_key_version(node: NodeState, nodes: Sequence[NodeState]) -> None:
    """Return if the node's key is for the newest release that is in the cluster, and nothing else is wrong with it."""
    versions = {each.name: version for each in nodes if (version := _key_version(each)) is not None}
    own = versions.get(node.name)
    if node.error is None and own is not None and own != max(versions.values()):
        raise errors.Refused(TRIED, node.machine.where, *_mixed_keys(versions))


def _key_version(node: NodeState) -> str | None:
    """Return the release of a node's key; None on Windows Server, where nothing is told, and with a subscription."""
    activation = node.state.activation if node.state else None
    return None if activation is None or activation.subscribed else activation.key_version


def _mixed_keys(versions: Mapping[str, str]) -> tuple[str, str]:
    named = ", ".join(f"{name} {versions[name]}" for name in sorted(versions))
    answer = f"some machines use keys for an older version of Windows Server than others: {named}"
    return answer, "bring all to one version: declare keys of the newest one (`productKey`, or `productKeys` for each)"
