"""The identifier of a VmActivation: its hosts, and its VM. An import can give the name of the VM."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from avma import characters, errors
from avma.addresses import canonical, doubled_error, host_name_error
from avma.windows import hyperv


def identifier_of(hosts: Iterable[str], vm_id: str) -> str:
    """Return the identifier: `host/vmId` or `host,host/vmId`, all in lower case."""
    return f"{','.join(dict.fromkeys(map(canonical, hosts)))}/{vm_id}"


def vm_in(identifier: str) -> str:
    """Return the VM in an identifier: its id, or its name in an import."""
    return identifier.partition("/")[2]


def imported_inputs(identifier: str) -> dict[str, Any]:
    """Return the inputs of an imported resource.

    Raises:
        InvalidInput: the identifier has another form.
    """
    host, slash, vm = identifier.partition("/")
    tried = f"import `{characters.shown(identifier)}`"
    if not (host and slash and vm):
        answer = "the id does not have the form HOST/NAME or HOST/GUID"
        remedy = "use for example hv01.example.com/web01, or hv01,hv02/web01 for a VM that moves between hosts"
        raise errors.InvalidInput(tried, "", answer, remedy)
    names = host.split(",")
    malformed = next((reason for reason in map(host_name_error, names) if reason), None)
    if malformed:
        remedy = "write HOST/NAME without a scheme or port, for example hv01.example.com/web01"
        raise errors.InvalidInput(tried, "", malformed, remedy)
    doubled = doubled_error(names)
    if doubled:
        raise errors.InvalidInput(tried, "", doubled, "use each host once")
    hidden = characters.hidden_error(vm)
    if hidden:
        raise errors.InvalidInput(tried, "", f"the name of the VM {hidden}", "")
    where = {"hosts": names} if len(names) > 1 else {"host": host}
    return {**where, ("vm_id" if hyperv.canonical_vm_id(vm) else "vm_name"): vm}
