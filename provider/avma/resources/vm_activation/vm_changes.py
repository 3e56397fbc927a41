"""The differences between the stored and the wanted state of a VmActivation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from avma import keys
from avma.addresses import canonical
from avma.keys import KeyKind
from avma.properties import Values
from avma.resources.resource import Change, Drift, Stored, input_changes
from avma.windows import hyperv
from avma.windows.licensing import LicenseChannel, LicenseStatus


def changes(inputs: type, stored: Stored, wanted: Values) -> list[Change]:
    """Return the differences. Another name for the same host or VM is not a difference.

    `inputs` declares the properties.
    """
    found = list(input_changes(inputs, stored.inputs, wanted, _NORMAL))
    if _host_names(stored.inputs) & _host_names(wanted):
        found = [change for change in found if change.path != "host"]
    if _same_vm(stored, wanted):
        found = [change for change in found if change.path not in ("vm_name", "vm_id")]
    elif _name_taken(stored, wanted) and not any(change.path == "vm_name" for change in found):
        name = str(wanted["vm_name"])
        found.append(Change("vm_name", replaces=True, drift=Drift(name, stored.outputs.get("vm_name"), name)))
    if _holds_wanted(stored, wanted):
        found = [change for change in found if change.path != "product_key"]
    key_changes = any(change.path == "product_key" for change in found)
    return found + list(_drift(stored.outputs, wanted, key_changes))


def _host_set(hosts: list[str]) -> list[str]:
    return sorted({canonical(host) for host in hosts})


def _host_names(values: Values) -> set[str]:
    """Return the known hosts of `host` or `hosts`."""
    names = [values.get("host"), *(values.get("hosts") or [])]
    return {canonical(name) for name in names if isinstance(name, str)}


def _vm_id(text: str) -> str:
    return hyperv.canonical_vm_id(text) or text


_NORMAL: Mapping[str, Callable[[Any], Any]] = {
    "host": canonical,
    "hosts": _host_set,
    "vm_name": str.lower,
    "vm_id": _vm_id,
    "product_key": keys.normalize,
}
"""The normal forms for the comparison of inputs."""


def _same_vm(stored: Stored, wanted: Values) -> bool:
    """Return True if the wanted name or id is that of the stored VM, even if the other one was declared before."""
    name, vm_id = wanted.get("vm_name"), wanted.get("vm_id")
    if isinstance(vm_id, str):
        return _vm_id(vm_id) == stored.outputs.get("vm_id")
    return isinstance(name, str) and name.lower() == str(stored.outputs.get("vm_name", "")).lower()


def _name_taken(stored: Stored, wanted: Values) -> bool:
    """Return True if another VM has the declared name now. Then the user means that VM."""
    return isinstance(wanted.get("vm_name"), str) and bool(stored.outputs.get("name_taken_by"))


def _holds_wanted(stored: Stored, wanted: Values) -> bool:
    key = wanted.get("product_key")
    return key is None or (isinstance(key, str) and stored.outputs.get("partial_product_key") == keys.partial(key))


def _drift(outputs: Values, wanted: Values, key_changes: bool) -> Iterator[Change]:
    """Yield the properties of the license that no longer match: the status, the channel, the key."""
    license_of_vm = {"license_status": LicenseStatus.LICENSED.value, "license_channel": LicenseChannel.AVMA.value}
    key = {} if key_changes else {"partial_product_key": wanted_partial(outputs, wanted)}
    for name, value in {**license_of_vm, **key}.items():
        if outputs.get(name) != value:
            yield Change(name, drift=Drift(str(outputs.get("vm_name", "")), outputs.get(name), value))


def wanted_partial(outputs: Values, wanted: Values) -> str | None:
    """Return the last five characters of the wanted key: the declared one, else the guest's published AVMA key."""
    key = wanted.get("product_key")
    if isinstance(key, str):
        return keys.partial(key)
    version, edition = outputs.get("guest_version", ""), outputs.get("guest_edition", "")
    published = keys.find(KeyKind.AVMA, version, edition)
    return published.partial if published else None
