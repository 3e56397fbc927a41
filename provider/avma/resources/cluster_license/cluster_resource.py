"""ClusterLicense: every node of a failover cluster has an activated Windows Server Datacenter license.

A guest stays activated after a move only if each node can activate it. This module contains the rules for the cluster
as a whole. A node is licensed like a host of HostLicense.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from avma import characters, errors, keys
from avma.addresses import canonical, doubled_error, host_name_error
from avma.properties import InvalidProperty, Values, build, known, validate
from avma.resources import preconditions
from avma.resources.claims import Claim
from avma.resources.cluster_license import cluster_changes
from avma.resources.cluster_license.cluster_nodes import (
    TRIED,
    NodeState,
    claim,
    cluster_outputs,
    each,
    find_nodes,
    identities,
    is_name_of,
    key_of,
    license_node,
    read_each,
    read_node,
    read_same_node,
    require_common_key_version,
    require_distinct,
    require_license_to_adopt,
    require_one_key_version,
    require_one_version,
)
from avma.resources.cluster_license.cluster_properties import (
    ClusterLicenseInputs,
    ClusterLicenseOutputs,
    UnreachableNodes,
)
from avma.resources.resource import (
    Change,
    Import,
    Operation,
    Resource,
    Result,
    Stored,
)
from avma.resources.stored_machine import another_cluster, warn_of_another_cluster, warn_of_another_machine
from avma.wording import NEXT_RUN, ONLY_FORGETS, capitalized, setting

_KEYS = ("product_key", "product_keys")
_AWAY = (errors.Unreachable, errors.TimedOut, errors.NotReady)
"""The errors of a node that is down or in maintenance."""
_KEPT = (
    "The state keeps the license that the provider verified before. To make such a node an error, set "
    f"{setting('unreachable_nodes', UnreachableNodes.FAIL)}."
)


class ClusterLicenseResource(Resource):
    """The lifecycle of a ClusterLicense. Its identifier is the cluster, or its nodes, in lower case."""

    name = "ClusterLicense"
    description = (
        "An activated Windows Server Datacenter license on every node of a failover cluster. Guests then stay "
        "activated on each node. The provider asks the cluster for its nodes. If a node joins later, a refresh "
        "reports drift, and the next update licenses the node. If a node is down, the provider licenses the others "
        "and reports an error. The next update continues with the rest. Deleting the resource leaves the nodes "
        "licensed."
    )
    imports = (
        Import("the name of the cluster or of one of its nodes", "cl01", "cl01.example.com"),
        Import(
            "the names or addresses of the nodes, without asking the cluster",
            "cl01",
            "hv01.example.com,hv02.example.com",
        ),
    )
    licenses_hosts = True
    inputs = ClusterLicenseInputs
    outputs = ClusterLicenseOutputs
    timeout = 1200.0

    def check(self, values: Values) -> list[InvalidProperty]:
        """See `Resource.check`."""
        failures = validate(ClusterLicenseInputs, values)
        given = [name for name in ("cluster", "nodes") if values.get(name) is not None]
        if not given:
            failures.append(InvalidProperty("cluster", f"is required unless you set {setting('nodes')}"))
        if values.get("product_key_version") is not None and not any(values.get(name) is not None for name in _KEYS):
            reason = f"requires {setting('product_key')} or {setting('product_keys')}"
            failures.append(InvalidProperty("product_key_version", reason))
        if len(given) == 2:
            failures.append(InvalidProperty("nodes", f"cannot be combined with {setting('cluster')}"))
        connection = values.get("connection")
        if values.get("nodes") is not None and isinstance(connection, Mapping) and connection.get("address"):
            reason = f"cannot be combined with {setting('nodes')}. The provider connects to the nodes by their names"
            failures.append(InvalidProperty("connection.address", reason))
        return failures

    def diff(self, stored: Stored, wanted: Values) -> list[Change]:
        """See `Resource.diff`."""
        return cluster_changes.changes(stored, wanted)

    def holdings(self, stored: Stored, wanted: Values) -> list[Claim]:
        """See `Resource.holdings`."""
        found = []
        for node in stored.outputs.get("node_licenses") or []:
            key = cluster_changes.wanted_key(wanted, node.get("node"))
            partial = keys.partial(key) if isinstance(key, str) else None
            machine, installed = node.get("machine_id") or "", node.get("partial_product_key")
            place = str(node.get("node") or "")
            # The front end adds the resource.
            found.append(
                Claim(resource="", machine=machine, key=partial or installed, installs=bool(partial), place=place)
            )
        return found

    def located(self, stored: Stored, wanted: Values, operation: Operation) -> list[Claim]:
        """See `Resource.located`."""
        inputs = build(ClusterLicenseInputs, {name: value for name, value in wanted.items() if known(value)})
        held = self.holdings(stored, wanted)
        unknown = {claim.place for claim in held if not claim.machine}
        machines: Mapping[str, str] = {}
        with contextlib.suppress(errors.AvmaError):
            nodes = find_nodes(inputs.cluster, inputs.nodes or [], inputs.connection, operation)
            machines = identities([node for node in nodes if node.name in unknown], operation)
        return [replace(claim, machine=claim.machine or machines.get(claim.place, "")) for claim in held]

    def askable(self, wanted: Values) -> bool:
        """See `Resource.askable`. A preview can read the nodes even if their keys are not known yet."""
        return known({name: value for name, value in wanted.items() if name not in _KEYS})

    def probe(self, wanted: Values, operation: Operation, identifier: str | None = None) -> dict[str, Any]:
        """See `Resource.probe`. A node that is down is only a warning: it may be up later in the run."""
        return self._probe(wanted, None, operation)

    def probe_update(self, identifier: str, stored: Stored, wanted: Values, operation: Operation) -> dict[str, Any]:
        """See `Resource.probe_update`. Each stored node must be the same machine."""
        return self._probe(wanted, stored, operation)

    def _probe(self, wanted: Values, stored: Stored | None, operation: Operation) -> dict[str, Any]:
        certain = {name: value for name, value in wanted.items() if known(value)}
        inputs = build(ClusterLicenseInputs, certain)
        nodes = self._inspect(inputs, operation, stored)
        for node in nodes:
            if isinstance(node.error, errors.PASSING):
                operation.warn_of(node.name, node.error)
        lasting = [node for node in nodes if node.error is not None and not isinstance(node.error, errors.PASSING)]
        if lasting:
            raise _nodes_failed(lasting, _place(inputs))
        if all(known(wanted.get(name)) for name in _KEYS):
            _require_licenses_to_adopt(nodes, _place(inputs))
        return {}

    def create(self, wanted: Values, operation: Operation) -> Result:
        """See `Resource.create`."""
        return self._license(wanted, operation, None)

    def _license(self, wanted: Values, operation: Operation, stored: Stored | None) -> Result:
        inputs = build(ClusterLicenseInputs, wanted)
        nodes = self._inspect(inputs, operation, stored)
        _keep_verified(nodes, inputs, operation)
        each(nodes, lambda node: license_node(node, inputs.activate, operation))
        each(nodes, lambda node: require_common_key_version(node, nodes))
        result = _result(wanted, nodes, operation)
        failed = [node for node in nodes if node.error is not None]
        if not failed:
            return result
        error = _nodes_failed(failed, _place(inputs))
        if len(failed) < len(nodes):
            others = _others(len(nodes) - len(failed))
            remedy = f"{error.remedy}; {others} licensed, and {NEXT_RUN} continues with the failed nodes"
            error = error.but(remedy=remedy)
        elif not any(node.changed for node in nodes):
            raise error
        raise errors.PartlyDone(result.identifier, result, error)

    def read(self, identifier: str, stored: Stored | None, operation: Operation) -> Result | None:
        """See `Resource.read`. A node that could not be read has an `error`, or keeps its verified license.

        If all nodes fail, `read` raises.
        """
        return self._read(identifier, stored, operation)

    def try_settings(self, identifier: str, stored: Stored, operation: Operation) -> Result | None:
        """See `Resource.try_settings`. They must lead to the same machines."""
        return self._read(identifier, stored, operation, only_same=True)

    def _read(
        self, identifier: str, stored: Stored | None, operation: Operation, only_same: bool = False
    ) -> Result | None:
        """Read all nodes. With `only_same`, they must be the stored machines."""
        wanted = stored.inputs if stored else _imported_inputs(identifier)
        inputs = build(ClusterLicenseInputs, wanted)
        nodes = _nodes_of(inputs, operation, stored)
        read = read_same_node if only_same else read_node
        read_each(nodes, read, operation)
        other = _another_cluster(inputs, stored, nodes)
        if other is not None and only_same:
            raise other
        if other is not None:
            warn_of_another_cluster(other, operation)
        require_distinct(nodes)
        for node in nodes:
            if node.state is not None:
                warn_of_another_machine(node.known, node.state.machine_id, node.name, operation)
        failed = [node for node in nodes if node.error is not None]
        if failed and len(failed) == len(nodes):
            raise _nodes_failed(failed, identifier, "read the licenses of the nodes")
        _keep_verified(nodes, inputs, operation)
        for node in failed:
            if node.error is not None:
                operation.warn_of(node.name, node.error)
        if stored is None:
            for node in nodes:
                if node.state is not None:
                    preconditions.warn_if_unlicensed(node.state, operation)
        return _result(wanted, nodes, operation)

    def update(self, identifier: str, stored: Stored, wanted: Values, operation: Operation) -> Result:
        """See `Resource.update`. The steps to the wanted state do not depend on the previous inputs."""
        settled = self.settled(identifier, stored, wanted, operation)
        return settled or replace(self._license(wanted, operation, stored), identifier=identifier)

    def delete(self, identifier: str, stored: Stored, operation: Operation) -> None:
        """See `Resource.delete`."""
        operation.status(f"{identifier}: its nodes keep their licenses. {capitalized(ONLY_FORGETS)}")

    def _inspect(self, inputs: ClusterLicenseInputs, operation: Operation, stored: Stored | None) -> list[NodeState]:
        """Look at all nodes. Raise an error about the cluster, but record the error of a single node."""
        nodes = _nodes_of(inputs, operation, stored)
        _require_known(inputs, nodes)
        operation.status("reading the licenses of the nodes")
        read_each(nodes, read_same_node, operation)
        other = _another_cluster(inputs, stored, nodes)
        if other is not None:
            raise other
        version = inputs.product_key_version.value if inputs.product_key_version else None
        for node in nodes:
            if node.state is not None:
                preconditions.require_host(node.state, TRIED)
                preconditions.require_key_version(node.state, version if node.product_key else None, TRIED)
                preconditions.require_possible(node.state, {("activate", False): not inputs.activate}, TRIED)
        require_distinct(nodes)
        require_one_version(nodes, _place(inputs))
        require_one_key_version(nodes, version, _place(inputs))
        for node in nodes:
            if node.state is not None:
                preconditions.warn_without_hyper_v(node.state, operation)
            claim(node, inputs.activate, version, operation)
        return nodes


def _place(inputs: ClusterLicenseInputs) -> str:
    """Return the cluster as errors name it: its name, or its nodes."""
    return inputs.cluster or ", ".join(inputs.nodes or [])


def _others(count: int) -> str:
    return "the other node is" if count == 1 else f"the other {count} nodes are"


def _nodes_of(inputs: ClusterLicenseInputs, operation: Operation, stored: Stored | None) -> list[NodeState]:
    """Return the nodes with their declared keys. A node that is down already has its error."""
    nodes = find_nodes(inputs.cluster, inputs.nodes or [], inputs.connection, operation)
    known_nodes = {node["node"]: node for node in (stored.outputs.get("node_licenses") or [] if stored else [])}
    for node in nodes:
        node.product_key = key_of(node.name, inputs.product_keys or {}) or inputs.product_key
        node.known = known_nodes.get(node.name, {})
    return nodes


def _another_cluster(
    inputs: ClusterLicenseInputs, stored: Stored | None, nodes: Sequence[NodeState]
) -> errors.Refused | None:
    """Return the error if the name of the cluster leads to another cluster. Declared nodes are the user's choice."""
    if inputs.cluster is None or stored is None:
        return None
    found = {node.name: node.state.machine_id if node.state else None for node in nodes}
    return another_cluster(stored.outputs.get("node_licenses") or [], found, inputs.cluster, TRIED)


def _keep_verified(nodes: Sequence[NodeState], inputs: ClusterLicenseInputs, operation: Operation) -> None:
    """Let nodes that cannot be reached keep their verified licenses, with a warning. Such a node is no error.

    A license was verified if its stored state is as wanted. `unreachableNodes` can turn this off.
    """
    if inputs.unreachable_nodes is UnreachableNodes.FAIL:
        return
    for node in nodes:
        verified = node.known and cluster_changes.is_as_wanted(node.known, node.product_key, inputs.activate)
        if verified and isinstance(node.error, _AWAY) and not isinstance(node.error, errors.CertificateNotTrusted):
            operation.warn_of(node.name, node.error, _KEPT)
            node.error, node.keeps = None, True


def _require_licenses_to_adopt(nodes: Sequence[NodeState], where: str) -> None:
    """Raise unless each readable node without a declared key has its own license."""
    without = [node for node in nodes if node.error is None and node.product_key is None]
    each(without, require_license_to_adopt)
    failed = [node for node in without if node.error is not None]
    if failed:
        raise _nodes_failed(failed, where)


def _require_known(inputs: ClusterLicenseInputs, nodes: Sequence[NodeState]) -> None:
    """Raise InvalidInput unless each name in `productKeys` is that of exactly one node.

    Raises:
        InvalidInput: a name is not that of a node, or two names mean the same node.
    """
    declared = sorted(canonical(name) for name in inputs.product_keys or {})
    for node in nodes:
        same = [name for name in declared if is_name_of(name, node.name)]
        if len(same) > 1:
            answer = f"{setting('product_keys')} contains the node {node.name} more than once: {', '.join(same)}"
            raise errors.InvalidInput(TRIED, _place(inputs), answer, "keep one of the names")
    unknown = [name for name in declared if not any(is_name_of(name, node.name) for node in nodes)]
    if unknown:
        actual = ", ".join(node.name for node in nodes)
        answer = f"{setting('product_keys')} contains {', '.join(unknown)}, but the nodes are {actual}"
        raise errors.InvalidInput(TRIED, _place(inputs), answer, "correct the names")


def _nodes_failed(failed: Sequence[NodeState], where: str, tried: str = TRIED) -> errors.AvmaError:
    """Return one error for all failed nodes. The error of a single node stays as it is."""
    reasons = {node.name: node.error for node in failed if node.error is not None}
    causes = list(reasons.values())
    if len(causes) == 1:
        return causes[0]
    answer = "; ".join(f"{name}: {error.answer}" for name, error in reasons.items())
    remedy = "; ".join(f"for {name}: {error.remedy}" for name, error in reasons.items())
    if len({error.remedy for error in causes}) == 1:
        remedy = causes[0].remedy
    return errors.NodesFailed(tried, where, f"{len(failed)} nodes failed: {answer}", remedy, causes)


def _imported_inputs(identifier: str) -> dict[str, Any]:
    names = identifier.split(",")
    malformed = next((reason for reason in map(host_name_error, names) if reason), None)
    reason = malformed or doubled_error(names)
    if reason:
        kind = errors.InvalidHost if malformed else errors.InvalidInput
        remedy = "use the name of the cluster, or each node once, separated by commas"
        raise kind(f"import `{characters.shown(identifier)}`", "", reason, remedy)
    return {"nodes": names} if len(names) > 1 else {"cluster": identifier}


def _result(wanted: Values, nodes: Sequence[NodeState], operation: Operation) -> Result:
    named = [wanted["cluster"]] if wanted.get("cluster") else wanted["nodes"]
    return Result(",".join(dict.fromkeys(map(canonical, named))), wanted, cluster_outputs(nodes, operation))
