"""The guests that a ClusterActivation declares: patterns and ids of VMs, and settings for single guests."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from avma import characters, errors
from avma.configuration import Guest
from avma.properties import Values
from avma.resources.cluster_activation.activation_properties import ClusterActivationInputs, GuestSettings
from avma.settings import merged
from avma.windows import hyperv
from avma.windows.hyperv import VirtualMachine
from avma.wording import RUN_AGAIN, setting

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


def settings_of(inputs: ClusterActivationInputs, vm: VirtualMachine) -> GuestSettings:
    """Return the settings for one guest: those in `guests`, then those in `guest`."""
    entry = entry_of(inputs, vm)
    own = None if entry is None else (inputs.guests or {})[entry]
    return GuestSettings(**merged(own, inputs.guest))


def entry_of(inputs: ClusterActivationInputs, vm: VirtualMachine) -> str | None:
    """Return the entry in `guests` for a VM, None without one."""
    return next(iter(_entries_of(inputs.guests or {}, vm.id, vm.name)), None)


def declared_key(wanted: Values, vm_id: str, name: str) -> Any:
    """Return the key in `guests` for a VM, None without one. It can be unknown in a preview."""
    guests = wanted.get("guests")
    entries: Mapping[str, Any] = guests if isinstance(guests, Mapping) else {}
    own = next((entries[entry] for entry in _entries_of(entries, vm_id, name)), None)
    return own.get("product_key") if isinstance(own, Mapping) else None


def _entries_of(guests: Iterable[str], vm_id: str, name: str) -> list[str]:
    """Return the entries in `guests` for a VM: those with its id, or else those with its name."""
    ids = {entry: hyperv.canonical_vm_id(entry) for entry in guests}
    by_id = [entry for entry in guests if ids[entry] == vm_id]
    return by_id or [entry for entry in guests if not ids[entry] and entry.lower() == name.lower()]


def guest_of(settings: GuestSettings) -> Guest:
    """Return the connection settings for a guest."""
    return Guest(**{name: value for name, value in vars(settings).items() if name != "product_key"})


@dataclass(frozen=True)
class Unclear:
    """Why it is not clear which settings in `guests` a VM has.

    Attributes:
        reason: what is not clear.
        remedy: what the user can do.
        may_pass: whether it can be clear as soon as all hosts answer.
    """

    reason: str
    remedy: str
    may_pass: bool = False


def unclear_guests(
    inputs: ClusterActivationInputs,
    listed: Sequence[VirtualMachine],
    stored: Mapping[str, str],
    silent_hosts: Sequence[str],
) -> dict[str, Unclear]:
    """Return the declared VMs whose settings in `guests` are not clear, by id.

    A host decides about the names of its VMs, so a name alone does not lead to an account. An entry with a name belongs
    to the VM that has it in the state. Without such a VM, it belongs to the only VM with this name, if all hosts
    answered. `stored` contains the entries of the VMs in the state, by id.
    """
    guests = inputs.guests or {}
    with_id = {hyperv.canonical_vm_id(entry) for entry in guests}
    ids = {vm.id for vm in listed}
    found: dict[str, Unclear] = {}
    for entry in (each for each in guests if not hyperv.canonical_vm_id(each)):
        named = {vm.id for vm in listed if vm.name.lower() == entry.lower()}
        before = {vm_id for vm_id, own in stored.items() if own.lower() == entry.lower()}
        # A VM with another name now is no longer meant. One that nobody lists may be on a host without an answer.
        owners = before & named or (before - ids if silent_hosts else set())
        meant = owners or (set() if silent_hosts else named)
        refused = named - with_id - (meant if len(meant) == 1 else set())
        found |= dict.fromkeys(refused, _unclear(entry, named | owners, silent_hosts))
    for vm in listed:
        entries = _entries_of(guests, vm.id, vm.name)
        if len(entries) > 1:
            names = ", ".join(map(characters.shown, entries))
            reason = f"{setting('guests')} contains the VM {vm.name} more than once: {names}"
            found[vm.id] = Unclear(reason, "keep one of the entries")
    return found


def _unclear(entry: str, ids: Iterable[str], silent_hosts: Sequence[str]) -> Unclear:
    name, named = characters.shown(entry), sorted(ids)
    by_id = f"use the GUID of the VM in {setting('guests')} instead of its name"
    if len(named) > 1:
        return Unclear(f"{len(named)} VMs are named {name}: {', '.join(named)}", by_id)
    hosts = ", ".join(silent_hosts)
    reason = f"the VM that {setting('guests')} names {name} may be on {hosts}, which the provider could not query"
    return Unclear(reason, f"{by_id}, or {RUN_AGAIN} when all hosts answer", may_pass=True)


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
    """Warn about patterns and names that fit no VM, with similar names of VMs."""
    lists: Mapping[str, Iterable[str]] = {"include": inputs.include or [], "exclude": inputs.exclude or []}
    for name, entries in lists.items():
        for entry in entries:
            if not any(matches(entry, vm.id, vm.name) for vm in vms) and (
                name == "exclude" or not hyperv.canonical_vm_id(entry)
            ):
                warn(f"{setting(name)} contains {characters.shown(entry)}, which fits no VM{_near(entry, vms)}")
    guests = inputs.guests or {}
    used = {entry for vm in vms for entry in _entries_of(guests, vm.id, vm.name)}
    for entry in guests:
        if entry in used:
            continue
        if any(entry.lower() == vm.name.lower() for vm in vms):
            warn(f"{setting('guests')} contains {characters.shown(entry)}, whose VM also has an entry with its GUID")
        else:
            warn(f"{setting('guests')} contains {characters.shown(entry)}, which is no VM{_near(entry, vms)}")


def _near(entry: str, vms: Sequence[VirtualMachine]) -> str:
    """Return a hint: the names of VMs that are similar to an entry."""
    names = {vm.name.lower(): vm.name for vm in vms}
    bare = entry.replace("*", "").replace("?", "").lower()
    close = difflib.get_close_matches(bare, names, n=3, cutoff=0.7)
    shown = ", ".join(characters.shown(names[each]) for each in close)
    return f". Similar names: {shown}" if shown else ""
