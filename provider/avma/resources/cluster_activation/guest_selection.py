"""The guests that a ClusterActivation declares: patterns of names, and ids of VMs."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence

from avma import characters, errors
from avma.resources.cluster_activation.activation_properties import ClusterActivationInputs
from avma.windows import hyperv
from avma.windows.hyperv import VirtualMachine
from avma.wording import setting

_TRIED = "select the guests"


def matches(entry: str, vm_id: str, name: str) -> bool:
    """Return True if an entry of `include` or `exclude` is the id of a VM, or a pattern of its name."""
    declared = hyperv.canonical_vm_id(entry)
    return declared == vm_id if declared else _pattern(entry).fullmatch(name) is not None


def _pattern(text: str) -> re.Pattern[str]:
    parts = (".*" if each == "*" else "." if each == "?" else re.escape(each) for each in text)
    return re.compile("".join(parts), re.IGNORECASE | re.DOTALL)


def is_selected(include: Sequence[str] | None, exclude: Sequence[str] | None, vm_id: str, name: str) -> bool:
    """Return True for a VM that is included and not excluded."""
    included = include is None or any(matches(each, vm_id, name) for each in include)
    return included and not any(matches(each, vm_id, name) for each in exclude or [])


def missing_ids(inputs: ClusterActivationInputs, vms: Sequence[VirtualMachine]) -> list[str]:
    """Return the ids in `include` that no VM has."""
    known = {vm.id for vm in vms}
    ids = (hyperv.canonical_vm_id(entry) for entry in inputs.include or [])
    return [each for each in ids if each is not None and each not in known]


def require_ids(inputs: ClusterActivationInputs, vms: Sequence[VirtualMachine], where: str) -> None:
    """Raise NotFound unless each id in `include` is that of a VM. Call it only if all hosts were listed."""
    missing = missing_ids(inputs, vms)
    if missing:
        answer = f"{setting('include')} contains {', '.join(missing)}, and no host lists a VM with this id"
        remedy = "check the id with `(Get-VM NAME).Id`, or remove the entry"
        raise errors.NotFound(_TRIED, where, answer, remedy)


def warn_of_strangers(
    inputs: ClusterActivationInputs, vms: Sequence[VirtualMachine], warn: Callable[[str], None]
) -> None:
    """Warn about patterns that fit no VM, with similar names of VMs."""
    lists: Mapping[str, Iterable[str]] = {"include": inputs.include or [], "exclude": inputs.exclude or []}
    for name, entries in lists.items():
        for entry in entries:
            if not any(matches(entry, vm.id, vm.name) for vm in vms) and (
                name == "exclude" or not hyperv.canonical_vm_id(entry)
            ):
                warn(f"{setting(name)} contains {characters.shown(entry)}, which fits no VM{similar_names(entry, vms)}")


def similar_names(entry: str, vms: Sequence[VirtualMachine]) -> str:
    """Return a hint: the names of VMs that are similar to an entry."""
    names = {vm.name.lower(): vm.name for vm in vms}
    bare = entry.replace("*", "").replace("?", "").lower()
    close = difflib.get_close_matches(bare, names, n=3, cutoff=0.7)
    shown = ", ".join(characters.shown(names[each]) for each in close)
    return f". Similar names: {shown}" if shown else ""
