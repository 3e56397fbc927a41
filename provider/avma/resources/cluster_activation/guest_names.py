"""Which VM each entry in `guests` of a ClusterActivation means, and so which settings each guest has.

A host decides about the names of its VMs, so a name alone must not lead to an account. A name in `guests` means the VM
that has it when all hosts answer. This stays so, also if the VM is renamed, until the entry or the VM is gone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
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
class ListedVms:
    """The VMs of all hosts with an answer.

    Attributes:
        places: each VM and the name of its host, also stopped replicas of it. A running one comes last.
        hosts: the names of all hosts.
        silent: the names of the hosts without an answer.
    """

    places: Sequence[tuple[VirtualMachine, str]]
    hosts: Sequence[str]
    silent: Sequence[str]

    @cached_property
    def host_of(self) -> Mapping[str, str]:
        """The host of each VM, by id."""
        return {vm.id: host for vm, host in self.places}

    def ids_with(self, name: str, inputs: ClusterActivationInputs) -> set[str]:
        """Return the ids of all declared VMs with a name, in lower case."""
        same = (vm for vm, _ in self.places if vm.name.lower() == name)
        return {vm.id for vm in same if is_selected(inputs.include, inputs.exclude, vm.id, vm.name)}


@dataclass(frozen=True)
class GuestNames:
    """The entries in `guests`, and the VMs that the names among them mean.

    Attributes:
        guests: the entries, and the settings in them.
        meant: the VMs by name, in lower case. Names without a VM are left out.
    """

    guests: Mapping[str, Any] = field(default_factory=dict)
    meant: Mapping[str, NamedGuest] = field(default_factory=dict)

    @classmethod
    def of(cls, guests: object, outputs: Values) -> GuestNames:
        """Return the entries in `guests`, with the VMs in stored outputs. In a preview, `guests` can be unknown."""
        stored = {each["name"]: build(NamedGuest, each) for each in outputs.get("named_guests") or []}
        return cls(guests if isinstance(guests, Mapping) else {}, stored)

    def found(self, inputs: ClusterActivationInputs, listed: ListedVms) -> GuestNames:
        """Return the names after a new listing of the VMs."""
        found = ((name, self._found(name, inputs, listed)) for name in sorted(self._by_name))
        return GuestNames(self.guests, {name: vm for name, vm in found if vm is not None})

    def _found(self, name: str, inputs: ClusterActivationInputs, listed: ListedVms) -> NamedGuest | None:
        before, host_of = self.meant.get(name), listed.host_of
        if before is not None and before.vm_id in host_of:
            return replace(before, host=host_of[before.vm_id])
        if before is not None and (listed.silent or before.host not in listed.hosts):
            return before
        ids = listed.ids_with(name, inputs)
        if len(ids) != 1 or listed.silent:  # the VM may be on a host without an answer
            return None
        vm_id = ids.pop()
        return NamedGuest(name=name, vm_id=vm_id, host=host_of[vm_id])

    @cached_property
    def _by_id(self) -> Mapping[str, list[str]]:
        """The entries with a GUID, by VM id."""
        return _grouped((hyperv.canonical_vm_id(entry), entry) for entry in self.guests)

    @cached_property
    def _by_name(self) -> Mapping[str, list[str]]:
        """The entries with a name, by name in lower case."""
        return _grouped((entry.lower(), entry) for entry in self.guests if not hyperv.canonical_vm_id(entry))

    @cached_property
    def _names_of(self) -> Mapping[str, list[str]]:
        """The names that mean a VM, by its id."""
        return _grouped((vm.vm_id, name) for name, vm in self.meant.items())

    def entries_of(self, vm_id: str, vm_name: str) -> list[str]:
        """Return the entries for a VM: those with its id, or else those with its name."""
        return self._by_id.get(vm_id) or self._entries_by_name(vm_id, vm_name)

    def _entries_by_name(self, vm_id: str, vm_name: str) -> list[str]:
        own, name = self._names_of.get(vm_id, []), vm_name.lower()
        names = own if name in self.meant else [*own, name]
        return [entry for each in names for entry in self._by_name.get(each, [])]

    def settings_of(self, vm: VirtualMachine, inputs: ClusterActivationInputs) -> GuestSettings:
        """Return the settings for one guest: those in `guests`, then those in `guest`."""
        entries = self.entries_of(vm.id, vm.name)
        return GuestSettings(**merged(self.guests[entries[0]] if entries else None, inputs.guest))

    def declared_key(self, vm_id: str, vm_name: str) -> Any:
        """Return the key in `guests` for a VM, None without one. It can be unknown in a preview."""
        own = next((self.guests[entry] for entry in self.entries_of(vm_id, vm_name)), None)
        return own.get("product_key") if isinstance(own, Mapping) else None

    def why_unclear(self, vm: VirtualMachine, inputs: ClusterActivationInputs, listed: ListedVms) -> Unclear | None:
        """Return the reason why it is not clear which settings a VM has, None if it is clear."""
        entries, name = self.entries_of(vm.id, vm.name), vm.name.lower()
        if vm.id not in self._by_id and name in self._by_name:
            meant, entry = self.meant.get(name), self._by_name[name][0]
            if meant is None:
                return _nobody(entry, listed.ids_with(name, inputs), listed)
            if not entries:
                return _another(entry, meant, listed)
        return _several(vm, entries) if len(entries) > 1 else None

    def warn_of_strangers(self, vms: Sequence[VirtualMachine], warn: Callable[[str], None]) -> None:
        """Warn about entries in `guests` that no VM uses, or whose VM has another name now."""
        used = {entry: vm for vm in vms for entry in self.entries_of(vm.id, vm.name)}
        ours = {entry for vm in vms for entry in self._entries_by_name(vm.id, vm.name)}
        for entry in self.guests:
            why = ""
            if entry not in used:
                why = "whose VM also has an entry with its GUID" if entry in ours else self._why_strange(entry, vms)
            elif entry in ours and entry.lower() != used[entry].name.lower():
                why = f"whose VM is named {used[entry].name} now"
            if why:
                warn(f"{setting('guests')} contains {characters.shown(entry)}, {why}")

    def _why_strange(self, entry: str, vms: Sequence[VirtualMachine]) -> str:
        meant = self.meant.get(entry.lower())
        return f"whose VM was last on {meant.host}" if meant else f"which is no VM{similar_names(entry, vms)}"


def _grouped(pairs: Iterable[tuple[str | None, str]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for key, value in pairs:
        if key is not None:
            found.setdefault(key, []).append(value)
    return found


def guest_of(settings: GuestSettings) -> Guest:
    """Return the connection settings for a guest."""
    return Guest(**{name: value for name, value in vars(settings).items() if name != "product_key"})


def _several(vm: VirtualMachine, entries: Iterable[str]) -> Unclear:
    names = ", ".join(map(characters.shown, entries))
    return Unclear(f"{setting('guests')} contains the VM {vm.name} more than once: {names}", "keep one of the entries")


def _nobody(entry: str, ids: Iterable[str], listed: ListedVms) -> Unclear:
    name, named = characters.shown(entry), sorted(ids)
    if len(named) > 1:
        return Unclear(f"{len(named)} VMs are named {name}: {', '.join(named)}", _BY_ID)
    return _away(f"the VM that {setting('guests')} names {name}", listed)


def _another(entry: str, meant: NamedGuest, listed: ListedVms) -> Unclear:
    is_listed = meant.vm_id in listed.host_of
    if listed.silent and not is_listed:
        return _away(f"the VM that {setting('guests')} names {characters.shown(entry)} ({meant.vm_id})", listed)
    place = f"{'on' if is_listed else 'last on'} {meant.host}"
    return Unclear(f"in {setting('guests')}, {characters.shown(entry)} is another VM ({meant.vm_id}, {place})", _BY_ID)


def _away(vm: str, listed: ListedVms) -> Unclear:
    reason = f"{vm} may be on a host without an answer ({', '.join(listed.silent)})"
    return Unclear(reason, f"{_BY_ID}, or {RUN_AGAIN} when all hosts answer", may_pass=True)
