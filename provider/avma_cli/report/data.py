"""An inventory as JSON, as CSV, and as a file for `pulumi import --file`."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from typing import Any

from avma.inventory.inventory import Answer, Inventory, SeenHost
from avma.properties import dump
from avma.wording import camel_case
from pulumi_resource_avma.names import external

_UNUSABLE = re.compile(r"[^A-Za-z0-9]+")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_HOST = ("cluster", "host", "address", "os_version", "edition", "activates_guests", "recorded_since")
_VM = ("vm_name", "vm_id", "running", "guest_name", "guest_os", "guest_version", "guest_edition", "activated_by_host",
       "last_activation_time", "minutes_remaining")  # fmt: skip
_SEEN = ("answer", "license_status", "license_channel", "partial_product_key", "problem", "remedy")
_COLUMNS = ("kind", *_HOST, *_VM, *_SEEN)


def json_document(inventory: Inventory) -> str:
    """Return the inventory as one JSON document in camel case. Unknown properties are absent."""
    return json.dumps(
        {**external(dump(inventory), Inventory), "complete": inventory.complete}, indent=2, ensure_ascii=False
    )


def csv_table(inventory: Inventory) -> str:
    """Return the inventory as CSV (RFC 4180): a row for each host, followed by a row for each of its VMs.

    Names come from machines. A spreadsheet runs text that begins like a formula, so such text gets an apostrophe in
    front (OWASP, "CSV Injection").
    """
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(map(camel_case, _COLUMNS))
    for values in _rows(inventory):
        writer.writerow([_cell(values.get(name)) for name in _COLUMNS])
    return text.getvalue()


def _rows(inventory: Inventory) -> Iterator[dict[str, Any]]:
    for host in inventory.hosts:
        values = dump(host)
        yield {**values, "kind": "host"}
        of_host = {name: value for name, value in values.items() if name in _HOST}
        yield from ({**of_host, **dump(vm), "kind": "vm"} for vm in host.vms)


def _cell(value: Any) -> str:
    text = {None: "", True: "true", False: "false"}.get(value) if value is None or isinstance(value, bool) else None
    text = str(value) if text is None else text
    return f"'{text}" if text.startswith(_FORMULA) else text


def import_file(inventory: Inventory) -> str:
    """Return the JSON for `pulumi import --file`: licensed hosts and clusters, and guests activated by a host.

    A cluster is included only if all its nodes are licensed, because an import reads all of them. The ids are resource
    ids.
    """
    whole = {cluster.cluster for cluster in inventory.clusters if _licensed(inventory, cluster.cluster)}
    names = _Names()
    resources = [_resource("ClusterLicense", names(cluster), cluster) for cluster in sorted(whole)]
    resources += [
        _resource("HostLicense", names(host.host), host.address)
        for host in inventory.hosts
        if host.cluster not in whole and _adoptable(host)
    ]
    resources += [
        _resource("VmActivation", names(vm.vm_name), f"{','.join(_hosts(inventory, host))}/{vm.vm_id}")
        for host, vm in inventory.vms
        if _adoptable(host) and vm.activated
    ]
    return json.dumps({"resources": resources}, indent=2, ensure_ascii=False)


def _adoptable(host: SeenHost) -> bool:
    return host.answer is Answer.ANSWERED and host.covered


def _licensed(inventory: Inventory, cluster: str) -> bool:
    nodes = [host for host in inventory.hosts if host.cluster == cluster]
    return bool(nodes) and all(_adoptable(node) for node in nodes)


def _hosts(inventory: Inventory, host: SeenHost) -> list[str]:
    """Return the hosts on which a VM can run: its own host, or all nodes of its cluster."""
    if host.cluster is None:
        return [host.address]
    return [each.address for each in inventory.hosts if each.cluster == host.cluster]


def _resource(kind: str, name: str, identifier: str) -> dict[str, str]:
    return {"type": f"avma:index:{kind}", "name": name, "id": identifier.lower()}


class _Names:
    """Generates unique resource names that are valid in a program."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def __call__(self, wanted: str) -> str:
        """Return an unused name similar to the wanted one."""
        base = _UNUSABLE.sub("-", wanted).strip("-").lower()
        base = base if base[:1].isalpha() else f"machine-{base}".rstrip("-")
        numbers = iter(range(2, len(self._taken) + 3))
        name = base
        while name in self._taken:
            name = f"{base}-{next(numbers)}"
        self._taken.add(name)
        return name
