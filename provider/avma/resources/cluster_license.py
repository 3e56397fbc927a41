"""ClusterLicense: every node of a failover cluster holds an activated Windows Server Datacenter licence.

A guest stays activated when it moves only if each node can activate it. It knows what a user declares of a cluster;
a node is licensed as HostLicense licenses a host.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from avma import errors, keys
from avma.configuration import Configuration
from avma.connection import AddressedSettings, host_name_error
from avma.properties import Failure, Values, build, declare, validate
from avma.resources import rules
from avma.resources.activation import Attempt, license_outputs
from avma.resources.resource import Change, Operation, Resource, Result, Stored, input_changes, only_said
from avma.windows.licensing import LicenseChannel, LicenseStatus, Licensing, Product
from avma.windows.machine import Server

_TRIED = "license the nodes"
_AT_ONCE = 16


@dataclass(frozen=True)
class ClusterLicenseInputs:
    """What a user declares of the licences of a cluster."""

    cluster: str | None = declare(
        "The cluster's name, or any of its nodes; DNS name or IP address. With a name the nodes are reached by their "
        "names, in the same domain; with an address by theirs. Give this or `nodes`.",
        default=None,
        replaces=True,
        check=host_name_error,
    )
    nodes: list[str] | None = declare(
        "The nodes, where the cluster is not to be asked for them.", default=None, check=host_name_error
    )
    product_key: str | None = declare(
        "The Windows Server Datacenter volume key for all nodes that `productKeys` does not name.",
        default=None,
        secret=True,
        check=rules.host_key_error,
    )
    product_keys: dict[str, str] | None = declare(
        "The keys of single nodes, by the node's name. A node without a key keeps the licence that it has.",
        default=None,
        secret=True,
        check=rules.host_key_error,
    )
    activate: bool = declare("Whether to activate Windows once the keys are installed.", default=True)
    connection: AddressedSettings | None = declare(
        "How cluster and nodes are reached, where it differs from the provider's configuration.", default=None
    )


@dataclass(frozen=True)
class NodeLicense:
    """What Windows says of the licence of one node; what could not be asked is absent."""

    node: str = declare("The node's name, in lower case.")
    license_status: LicenseStatus | None = declare("The licence status, in WMI's words.", default=None)
    license_channel: LicenseChannel | None = declare("How the installed key was issued.", default=None)
    partial_product_key: str | None = declare("The last five characters of the installed key.", default=None)
    os_version: str | None = declare("Its Windows Server release.", default=None)
    edition: str | None = declare("Its edition.", default=None)
    error: str | None = declare("Why it could not be asked, or not be licensed.", default=None)


@dataclass(frozen=True)
class ClusterLicenseOutputs:
    """What Windows says of the licences of a cluster."""

    node_licenses: list[NodeLicense] = declare("Each node's licence, by name.")
    licensed_nodes: int = declare("How many nodes are licensed.")


@dataclass
class NodeState:
    """A node while it is worked on: what is wanted, what was found, what came of it."""

    name: str
    machine: Server
    product_key: str | None
    found: Licensing | None = None
    product: Product | None = None
    error: errors.AvmaError | None = None


class ClusterLicense(Resource):
    """The lifecycle of a ClusterLicense; its identifier is the cluster, or its nodes, in lower case."""

    name = "ClusterLicense"
    description = (
        "An activated Windows Server Datacenter licence on every node of a failover cluster, so that guests stay "
        "activated wherever they run. The nodes are asked of the cluster: one that joins later is drift, and the next "
        "`pulumi up` licenses it. A node that is down fails by itself: the others are licensed, and the next "
        "`pulumi up` finishes. Deleting the resource forgets it; the nodes stay licensed. "
        "Import by the cluster: `pulumi import avma:index:ClusterLicense cl01 cl01.example.com`."
    )
    inputs = ClusterLicenseInputs
    outputs = ClusterLicenseOutputs
    timeout = 1200.0

    def check(self, values: Values) -> list[Failure]:
        """See `Resource.check`."""
        failures = validate(ClusterLicenseInputs, values)
        given = [name for name in ("cluster", "nodes") if values.get(name) is not None]
        if not given:
            failures.append(Failure("cluster", "is required, or `nodes`"))
        if len(given) == 2:
            failures.append(Failure("nodes", "stands beside `cluster`; give one of the two"))
        return failures

    def diff(self, stored: Stored, wanted: Values) -> list[Change]:
        """See `Resource.diff`."""
        changes = list(input_changes(ClusterLicenseInputs, stored.inputs, wanted, _NORMAL))
        if not any(change.path.startswith("productKey") for change in changes):
            changes += _drift(stored.outputs, wanted)
        return changes

    def predict(self, wanted: Values) -> dict[str, Any]:
        """See `Resource.predict`."""
        return {}

    def probe(self, wanted: Values, operation: Operation) -> dict[str, Any]:
        """See `Resource.probe`. A node that is down is a warning: the others can be licensed without it."""
        nodes = self._inspect(build(ClusterLicenseInputs, wanted), operation)
        for node in nodes:
            if node.error is not None:
                operation.warn(f"{node.name}: {node.error}")
            elif node.machine is not None and wanted.get("activate") in (None, True):
                operation.machines.expect_license(node.machine)
        return {}

    def create(self, wanted: Values, operation: Operation) -> Result:
        """See `Resource.create`."""
        inputs = build(ClusterLicenseInputs, wanted)
        nodes = self._inspect(inputs, operation)
        _each(nodes, lambda node: _license(node, inputs.activate, operation))
        result = _result(wanted, nodes)
        failed = [node for node in nodes if node.error is not None]
        if not failed:
            return result
        error = _nodes_failed(failed, result.identifier)
        raise error if len(failed) == len(nodes) else errors.PartlyDone(result.identifier, result, error)

    def read(self, identifier: str, stored: Stored | None, operation: Operation) -> Result | None:
        """See `Resource.read`. A node that cannot be asked stands with its error; if none can, it is an error."""
        wanted = stored.inputs if stored else _imported_inputs(identifier)
        nodes = _find_nodes(build(ClusterLicenseInputs, wanted), operation)
        _each(nodes, lambda node: _look(node, operation))
        failed = [node for node in nodes if node.error is not None]
        if failed and len(failed) == len(nodes):
            raise _nodes_failed(failed, identifier, "read the licences of the nodes")
        return _result(wanted, nodes)

    def update(self, identifier: str, stored: Stored, wanted: Values, operation: Operation) -> Result:
        """See `Resource.update`: the wanted state is reached in the same way, whatever was there before."""
        if only_said(self.diff(stored, wanted)):
            return Result(identifier, wanted, build(ClusterLicenseOutputs, stored.outputs))
        return replace(self.create(wanted, operation), identifier=identifier)

    def delete(self, identifier: str, stored: Stored, operation: Operation) -> None:
        """See `Resource.delete`."""
        operation.status(f"{identifier}: its nodes keep their licences; only the resource is forgotten")

    def _inspect(self, inputs: ClusterLicenseInputs, operation: Operation) -> list[NodeState]:
        """Look at all nodes; raise what forbids to license the cluster, keep what is one node's trouble."""
        nodes = _find_nodes(inputs, operation)
        operation.status(f"reading the licences of {len(nodes)} nodes")
        _each(nodes, lambda node: _look(node, operation))
        for node in nodes:
            if node.found is not None:
                rules.require_datacenter(node.found, node.machine.where, _TRIED)
        _require_one_version(nodes)
        return nodes


def _find_nodes(inputs: ClusterLicenseInputs, operation: Operation) -> list[NodeState]:
    """Return the nodes, with the keys that are declared for them; one that is down has its error already."""
    layers = (inputs.connection, operation.configuration)
    if inputs.cluster is None:
        nodes = [NodeState(name.lower(), operation.machine(name, *layers), None) for name in inputs.nodes or []]
    else:
        nodes = ask_for_nodes(inputs.cluster, layers, operation)
    own = {name.lower(): key for name, key in (inputs.product_keys or {}).items()}
    unknown = sorted(set(own) - {node.name for node in nodes})
    if unknown:
        answer = f"`productKeys` names {', '.join(unknown)}, and the nodes are {', '.join(n.name for n in nodes)}"
        raise errors.InvalidInput(_TRIED, inputs.cluster or "the cluster", answer, "correct the names")
    return [replace(node, product_key=own.get(node.name, inputs.product_key)) for node in nodes]


def ask_for_nodes(
    cluster: str, layers: tuple[AddressedSettings | None, Configuration], operation: Operation
) -> list[NodeState]:
    """Return the nodes of a cluster as it tells them; one that is down has its error already.

    Raises:
        Refused: the machine is no node of a cluster.
        AvmaError: the machine could not be asked.
    """
    settings, configuration = layers
    asked = operation.machine(cluster, settings, configuration)
    by_address = _is_address(asked.connection.address)
    domain = "" if by_address else cluster.partition(".")[2]
    nodes = []
    for found in asked.cluster(operation.deadline).nodes:
        address = found.address if by_address else f"{found.name}.{domain}".rstrip(".")
        machine = operation.machine(found.name, AddressedSettings(address=address or None), settings, configuration)
        node = NodeState(found.name, machine, None)
        if not found.reachable:
            remedy = "bring the node up and run again"
            answer = f"the cluster says that the node is {found.state}"
            node.error = errors.NotReady(_TRIED, machine.where, answer, remedy)
        nodes.append(node)
    return nodes


def _look(node: NodeState, operation: Operation) -> None:
    """Read what is licensed on a node that is up."""
    if node.error is None:
        node.found = node.machine.licensing(operation.deadline)
        node.product = node.found.product


def _license(node: NodeState, activate: bool, operation: Operation) -> None:
    """License a node that could be asked."""
    if node.found is None:
        return
    if node.product_key is None:
        rules.require_licensed(node.found, node.machine.where, _TRIED)
        return
    attempt = Attempt(node.machine, node.found, operation)
    try:
        attempt.license(node.product_key, activate)
    finally:
        node.product = attempt.product


def _each(nodes: Sequence[NodeState], work: Callable[[NodeState], None]) -> None:
    """Do the same on all nodes at once; an error stays with its node."""

    def guarded(node: NodeState) -> None:
        try:
            work(node)
        except errors.AvmaError as error:
            node.error = error

    with ThreadPoolExecutor(min(len(nodes), _AT_ONCE) or 1) as threads:
        list(threads.map(guarded, nodes))


def _require_one_version(nodes: Sequence[NodeState]) -> None:
    """Return if all nodes that could be asked run one release: guests must find the same wherever they move."""
    versions = {node.name: node.found.system.version for node in nodes if node.found is not None}
    if len(set(versions.values())) > 1:
        answer = "they run different releases: " + ", ".join(f"{name} {versions[name]}" for name in sorted(versions))
        remedy = "bring all nodes to one release, or license them by HostLicense while they are upgraded"
        raise errors.Refused(_TRIED, "the cluster", answer, remedy)


def _nodes_failed(failed: Sequence[NodeState], where: str, tried: str = _TRIED) -> errors.AvmaError:
    """Return one error for the nodes that failed; a single one speaks for itself."""
    reasons = [node.error for node in failed if node.error is not None]
    if len(reasons) == 1:
        return reasons[0]
    answer = "; ".join(f"{node.name}: {node.error.answer}" for node in failed if node.error is not None)
    remedy = "; ".join(dict.fromkeys(error.remedy for error in reasons))
    return errors.NodesFailed(tried, where, f"{len(failed)} nodes failed: {answer}", remedy)


def _drift(outputs: Values, wanted: Values) -> Iterator[Change]:
    """Yield the licences when one of them is not as wanted, or not known."""
    active = wanted.get("activate") in (None, True)
    own = {name.lower(): key for name, key in (wanted.get("productKeys") or {}).items()}
    for node in outputs.get("nodeLicenses") or []:
        key = own.get(node.get("node"), wanted.get("productKey"))
        off = active and node.get("licenseStatus") != LicenseStatus.LICENSED
        other = isinstance(key, str) and node.get("partialProductKey") != keys.partial(key)
        if off or other or node.get("error"):
            yield Change("nodeLicenses", drift=True)
            return


def _imported_inputs(identifier: str) -> dict[str, Any]:
    names = identifier.split(",")
    reason = next((reason for reason in map(host_name_error, names) if reason), None)
    if reason:
        remedy = "give the cluster's name, or its nodes as node,node"
        raise errors.InvalidInput("import a cluster", identifier, reason, remedy)
    return {"nodes": names} if len(names) > 1 else {"cluster": identifier}


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _lower_set(names: list[str]) -> list[str]:
    return sorted({name.lower() for name in names})


def _by_node(product_keys: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): keys.normalize(key) for name, key in product_keys.items()}


_NORMAL: Mapping[str, Callable[[Any], Any]] = {
    "cluster": str.lower,
    "nodes": _lower_set,
    "productKey": keys.normalize,
    "productKeys": _by_node,
}
"""The forms in which inputs are compared."""


def _result(wanted: Values, nodes: Sequence[NodeState]) -> Result:
    licenses = [_node_license(node) for node in sorted(nodes, key=lambda node: node.name)]
    count = sum(each.license_status is LicenseStatus.LICENSED for each in licenses)
    identifier = wanted.get("cluster") or ",".join(wanted["nodes"])
    return Result(identifier.lower(), wanted, ClusterLicenseOutputs(licenses, count))


def _node_license(node: NodeState) -> NodeLicense:
    return NodeLicense(
        node=node.name,
        **(license_outputs(node.product) if node.found else {}),
        os_version=node.found.system.version if node.found else None,
        edition=node.found.system.edition if node.found else None,
        error=node.error.answer if node.error else None,
    )
