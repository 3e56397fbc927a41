"""Which VM each entry in `guests` of a ClusterActivation means, and so which settings each guest has.

A host decides about the names of its VMs, so a name alone must not lead to an account. A name in `guests` means the VM
that has it when all hosts answer. This stays so, also if the VM is renamed, until the entry or the VM is gone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from avma import characters
from avma.configuration import Guest
from avma.properties import Values, build
from avma.resources.cluster_activation.activation_properties import (
    ClusterActivationInputs,
    GuestSettings,
    NamedGuest,
)
from avma.resources.cluster_activation.guest_selection import is_selected, similar_names
from avma.settings import merged
from avma.windows import hyperv
from avma.windows.hyperv import VirtualMachine
from avma.wording import RUN_AGAIN, setting

_BY_ID = f"use the GUID of the VM in {setting('guests')} instead of its name"


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


@dataclass(frozen=True)
class Listed:
    """The VMs of all hosts with an answer.

    Attributes:
        vms: each VM and the name of its host, also stopped replicas of it. A running one comes last.
        hosts: the names of all hosts.
        silent: the names of the hosts without an answer.
    """

    vms: Sequence[tuple[VirtualMachine, str]]
    hosts: Sequence[str]
    silent: Sequence[str]


@dataclass(frozen=True)
class GuestNames:
    """The VMs that the names in `guests` mean, by name in lower case. Names without a VM are left out."""

    meant: Mapping[str, NamedGuest] = field(default_factory=dict)

    @classmethod
    def of(cls, outputs: Values) -> GuestNames:
        """Return the names in stored outputs."""
        return cls({each["name"]: build(NamedGuest, each) for each in outputs.get("named_guests") or []})

    def found(self, inputs: ClusterActivationInputs, listed: Listed) -> GuestNames:
        """Return the names after a new listing of the VMs."""
        names = {entry.lower() for entry in inputs.guests or {} if not hyperv.canonical_vm_id(entry)}
        found = ((name, self._found(name, inputs, listed)) for name in sorted(names))
        return GuestNames({name: vm for name, vm in found if vm is not None})

    def _found(self, name: str, inputs: ClusterActivationInputs, listed: Listed) -> NamedGuest | None:
        hosts = {vm.id: host for vm, host in listed.vms}
        before = self.meant.get(name)
        if before is not None and before.vm_id in hosts:
            return replace(before, host=hosts[before.vm_id])
        if before is not None and (listed.silent or before.host not in listed.hosts):
            return before
        ids = _ids_with(name, inputs, listed)
        # The VM may be on a host without an answer.
        only = next(iter(ids)) if len(ids) == 1 and not listed.silent else None
        return NamedGuest(name=name, vm_id=only, host=hosts[only]) if only is not None else None

    def entry_of(self, guests: Iterable[str], vm_id: str, vm_name: str) -> str | None:
        """Return the entry in `guests` for a VM, None without one."""
        return next(iter(self.entries_of(guests, vm_id, vm_name)), None)

    def entries_of(self, guests: Iterable[str], vm_id: str, vm_name: str) -> list[str]:
        """Return the entries in `guests` for a VM: those with its id, or else those with its name."""
        ids = {entry: hyperv.canonical_vm_id(entry) for entry in guests}
        by_id = [entry for entry in ids if ids[entry] == vm_id]
        return by_id or [entry for entry in ids if not ids[entry] and self._means(entry, vm_id, vm_name)]

    def _means(self, entry: str, vm_id: str, vm_name: str) -> bool:
        meant = self.meant.get(entry.lower())
        return entry.lower() == vm_name.lower() if meant is None else meant.vm_id == vm_id

    def settings_of(self, inputs: ClusterActivationInputs, vm: VirtualMachine) -> GuestSettings:
        """Return the settings for one guest: those in `guests`, then those in `guest`."""
        entry = self.entry_of(inputs.guests or {}, vm.id, vm.name)
        own = None if entry is None else (inputs.guests or {})[entry]
        return GuestSettings(**merged(own, inputs.guest))

    def declared_key(self, wanted: Values, vm_id: str, vm_name: str) -> Any:
        """Return the key in `guests` for a VM, None without one. It can be unknown in a preview."""
        guests = wanted.get("guests")
        entries: Mapping[str, Any] = guests if isinstance(guests, Mapping) else {}
        entry = self.entry_of(entries, vm_id, vm_name)
        own = None if entry is None else entries[entry]
        return own.get("product_key") if isinstance(own, Mapping) else None

    def why_unclear(self, vm: VirtualMachine, inputs: ClusterActivationInputs, listed: Listed) -> Unclear | None:
        """Return the reason why it is not clear which settings a VM has, None if it is clear."""
        guests = inputs.guests or {}
        if any(hyperv.canonical_vm_id(entry) == vm.id for entry in guests):
            own = self.entries_of(guests, vm.id, vm.name)
            return _several(vm, own) if len(own) > 1 else None
        named = next((entry for entry in guests if entry.lower() == vm.name.lower()), None)
        if named is not None:
            meant = self.meant.get(named.lower())
            if meant is None:
                return _nobody(named, _ids_with(named.lower(), inputs, listed), listed)
            if meant.vm_id != vm.id:
                return _another(named, meant, listed)
        own = self.entries_of(guests, vm.id, vm.name)
        return _several(vm, own) if len(own) > 1 else None

    def warn_of_strangers(
        self, inputs: ClusterActivationInputs, vms: Sequence[VirtualMachine], warn: Callable[[str], None]
    ) -> None:
        """Warn about entries in `guests` that no VM uses, or whose VM has another name now."""
        for entry in inputs.guests or {}:
            why = self._why_strange(entry, inputs.guests or {}, vms)
            if why:
                warn(f"{setting('guests')} contains {characters.shown(entry)}, {why}")

    def _why_strange(self, entry: str, guests: Iterable[str], vms: Sequence[VirtualMachine]) -> str:
        by_id, meant = hyperv.canonical_vm_id(entry), self.meant.get(entry.lower())
        vm = next((vm for vm in vms if entry in self.entries_of(guests, vm.id, vm.name)), None)
        if vm is not None:
            return "" if by_id or entry.lower() == vm.name.lower() else f"whose VM is named {vm.name} now"
        if any(self._means(entry, each.id, each.name) for each in vms):
            return "whose VM also has an entry with its GUID"
        return f"whose VM was last on {meant.host}" if meant else f"which is no VM{similar_names(entry, vms)}"


def guest_of(settings: GuestSettings) -> Guest:
    """Return the connection settings for a guest."""
    return Guest(**{name: value for name, value in vars(settings).items() if name != "product_key"})


def _ids_with(name: str, inputs: ClusterActivationInputs, listed: Listed) -> set[str]:
    """Return the ids of all declared VMs with a name, in lower case."""
    same = (vm for vm, _ in listed.vms if vm.name.lower() == name)
    return {vm.id for vm in same if is_selected(inputs.include, inputs.exclude, vm.id, vm.name)}


def _several(vm: VirtualMachine, entries: Iterable[str]) -> Unclear:
    names = ", ".join(map(characters.shown, entries))
    return Unclear(f"{setting('guests')} contains the VM {vm.name} more than once: {names}", "keep one of the entries")


def _nobody(entry: str, ids: Iterable[str], listed: Listed) -> Unclear:
    name, named = characters.shown(entry), sorted(ids)
    if len(named) > 1:
        return Unclear(f"{len(named)} VMs are named {name}: {', '.join(named)}", _BY_ID)
    return _away(f"the VM that {setting('guests')} names {name}", listed)


def _another(entry: str, meant: NamedGuest, listed: Listed) -> Unclear:
    is_listed = any(vm.id == meant.vm_id for vm, _ in listed.vms)
    if listed.silent and not is_listed:
        return _away(f"the VM that {setting('guests')} names {characters.shown(entry)} ({meant.vm_id})", listed)
    place = f"{'on' if is_listed else 'last on'} {meant.host}"
    return Unclear(f"in {setting('guests')}, {characters.shown(entry)} is another VM ({meant.vm_id}, {place})", _BY_ID)


def _away(vm: str, listed: Listed) -> Unclear:
    reason = f"{vm} may be on a host without an answer ({', '.join(listed.silent)})"
    return Unclear(reason, f"{_BY_ID}, or {RUN_AGAIN} when all hosts answer", may_pass=True)
