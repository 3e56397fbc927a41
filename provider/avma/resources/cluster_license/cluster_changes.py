"""The differences between the stored and the wanted state of a ClusterLicense."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from avma import compatibility, keys
from avma.addresses import canonical
from avma.properties import Values
from avma.resources.cluster_license.cluster_nodes import key_of
from avma.resources.cluster_license.cluster_properties import ClusterLicenseInputs
from avma.resources.resource import Change, Drift, Stored, input_changes
from avma.windows.licensing import LicenseStatus


def _lower_set(names: list[str]) -> list[str]:
    return sorted({canonical(name) for name in names})


def _by_node(product_keys: Mapping[str, str]) -> dict[str, str]:
    return {canonical(name): keys.normalize(key) for name, key in product_keys.items()}


_NORMAL: Mapping[str, Callable[[Any], Any]] = {
    "cluster": canonical,
    "nodes": _lower_set,
    "product_key": keys.normalize,
    "product_keys": _by_node,
}
"""The normal forms for the comparison of inputs."""


def changes(stored: Stored, wanted: Values) -> list[Change]:
    """Return the differences."""
    found = list(input_changes(ClusterLicenseInputs, stored.inputs, wanted, _NORMAL))
    if not any(change.path.startswith("product_key") for change in found):
        found += _drift(stored.outputs, wanted)
    return found


def _drift(outputs: Values, wanted: Values) -> Iterator[Change]:
    """Yield the properties of each node's license that are not as wanted."""
    active = wanted.get("activate") in (None, True)
    for index, node in enumerate(outputs.get("node_licenses") or []):
        name = str(node.get("node"))
        for prop, value in _missed(node, wanted_key(wanted, name), active).items():
            yield Change(f"node_licenses[{index}].{prop}", drift=Drift(name, node.get(prop), value))


def is_as_wanted(node: Values, key: Any, active: bool) -> bool:
    """Return True if a stored `NodeLicense` is verified, and has the key and the activation.

    Every key matches None and an unknown key.
    """
    return not _missed(node, key, active)


def _missed(node: Values, key: Any, active: bool) -> dict[str, Any]:
    """Return the wanted values that a node does not have. Of a node that could not be read, only the error counts."""
    missed: dict[str, Any] = {"error": None} if node.get("error") else {}
    if missed and node.get("edition") is None:
        return missed
    if isinstance(key, str) and node.get("partial_product_key") != keys.partial(key):
        missed["partial_product_key"] = keys.partial(key)
    local, status = node.get("edition") == compatibility.AZURE_LOCAL, node.get("license_status")
    if active and not local and status != LicenseStatus.LICENSED:
        missed["license_status"] = LicenseStatus.LICENSED.value
    elif active and node.get("activates_guests") is False and node.get("hyper_v") is not False:
        missed["activates_guests"] = True
    return missed


def wanted_key(wanted: Values, node: Any) -> Any:
    """Return the declared key of a node, as far as it is known."""
    declared = wanted.get("product_keys")
    own = declared if isinstance(declared, Mapping) else {}
    return key_of(str(node), own) or wanted.get("product_key")
