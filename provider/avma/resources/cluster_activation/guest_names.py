"""Which VM each entry in `guests` of a ClusterActivation means, and so which settings each guest has.

A host decides about the names of its VMs, so a name alone must not lead to an account. A name in `guests` means the VM
that has it when all hosts answer. It still means this VM after a rename, until the entry or the VM is gone.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, TypeVar

from avma import characters
from avma.configuration import Guest
from avma.properties import Values, build
from avma.resources.cluster_activation.activation_properties import (
    ClusterActivationInputs,
    GuestSettings,
    NamedGuest,
)
from avma.resources.cluster_activation.guest_selection import similar_names
from avma.settings import merged
from avma.windows import hyperv
from avma.windows.hyperv import VirtualMachine
from avma.wording import APPLY, RUN_AGAIN, setting

T = TypeVar("T")
_MOST = 10
"""Maximum of ids in one reason."""
_REQUIRED = {"name", "vm_id", "hosts"}
"""What a stored name must have. Builds between releases stored other properties."""
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
        places: each VM and the name of its host, also stopped replicas of it.
        hosts: the names of all hosts.
        silent: the names of the hosts without an answer.
        is_declared: whether the resource is about a VM with an id and a name.
        earlier: the ids in an earlier listing of the same operation.
    """

    places: Sequence[tuple[VirtualMachine, str]]
    hosts: Sequence[str]
    silent: Sequence[str]
    is_declared: Callable[[str, str], bool] = lambda _id, _name: True
    earlier: Collection[str] = ()

    @cached_property
    def places_of(self) -> Mapping[str, Sequence[tuple[VirtualMachine, str]]]:
        """The places that count for each VM, by its id: those where it runs, or all of them if it does not run."""
        found = _grouped((place[0].id, place) for place in self.places)
        return {vm_id: [each for each in all_ if each[0].running] or all_ for vm_id, all_ in found.items()}

    @cached_property
    def ids_of(self) -> Mapping[str, Sequence[str]]:
        """The ids of the declared VMs with each name, by name in lower case."""
        found = _grouped(
            (vm.name.lower(), vm_id)
            for vm_id, places in self.places_of.items()
            for vm, _ in places
            if self.is_declared(vm_id, vm.name)
        )
        return {name: sorted(set(ids)) for name, ids in found.items()}

    def hosts_of(self, vm_id: str, before: Iterable[str] = ()) -> list[str]:
        """Return the host that runs a VM. Without a single one, return all hosts that may have it.

        So a host that only lists the VM of another one does not become its only host.
        """
        places = self.places_of[vm_id]
        if len(places) == 1 and places[0][0].running:
            return [places[0][1]]
        return sorted({host for _, host in places} | {host for host in before if not self.answered([host])})

    def answered(self, hosts: Iterable[str]) -> bool:
        """Return True if all of some hosts were asked and answered."""
        return set(hosts) <= set(self.hosts) - set(self.silent)


@dataclass(frozen=True)
class GuestNames:
    """The entries in `guests`, and the VMs that the names among them mean.

    Attributes:
        guests: the entries, and the settings in them.
        meant: the VMs by name, in lower case. Names without a VM are left out.
    """

    guests: Mapping[str, Any]
    meant: Mapping[str, NamedGuest]

    @classmethod
    def of(cls, guests: object, outputs: Values) -> GuestNames:
        """Return the entries in `guests`, with the VMs in stored outputs. In a preview, `guests` can be unknown."""
        stored = [each for each in outputs.get("named_guests") or [] if each.keys() >= _REQUIRED]
        known = {each["name"]: build(NamedGuest, each) for each in stored}
        return cls(guests if isinstance(guests, Mapping) else {}, known)

    def found(self, listed: ListedVms) -> GuestNames:
        """Return the names after a new listing of the VMs."""
        found = ((name, self._found(name, listed)) for name in sorted(self._by_name))
        return GuestNames(self.guests, {name: vm for name, vm in found if vm is not None})

    def _found(self, name: str, listed: ListedVms) -> NamedGuest | None:
        before = self.meant.get(name)
        if before is not None and before.vm_id in listed.places_of:
            return replace(before, hosts=listed.hosts_of(before.vm_id, before.hosts))
        if before is not None and not self._is_gone(before, listed):
            return before
        ids = listed.ids_of.get(name, [])
        if len(ids) != 1 or listed.silent:  # the VM may be on a host without an answer
            return None
        places = listed.places_of[ids[0]]
        same = all(vm.name.lower() == name for vm, _ in places)
        return NamedGuest(name=name, vm_id=ids[0], hosts=listed.hosts_of(ids[0])) if same else None

    @staticmethod
    def _is_gone(vm: NamedGuest, listed: ListedVms) -> bool:
        return not listed.silent and vm.vm_id not in listed.earlier and listed.answered(vm.hosts)

    def expected_on(self, hosts: Collection[str]) -> set[str]:
        """Return the ids of the VMs that the names mean, if all their hosts are among some hosts."""
        return {vm.vm_id for name, vm in self.meant.items() if name in self._by_name and set(vm.hosts) <= set(hosts)}

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

    def why_unclear(self, vm: VirtualMachine, listed: ListedVms) -> Unclear | None:
        """Return the reason why it is not clear which settings a VM has, None if it is clear."""
        entries, name = self.entries_of(vm.id, vm.name), vm.name.lower()
        if vm.id not in self._by_id and name in self._by_name:
            meant, entry = self.meant.get(name), self._by_name[name][0]
            if meant is None:
                return _nobody(entry, listed.ids_of.get(name, []), listed)
            if not entries:  # the name means another VM
                return _another(entry, meant, listed)
        return _several(vm, entries) if len(entries) > 1 else None

    def warn_of_strangers(self, vms: Sequence[VirtualMachine], warn: Callable[[str], None]) -> None:
        """Warn about entries in `guests` that no VM uses, or whose VM has another name now."""
        used = {entry for vm in vms for entry in self.entries_of(vm.id, vm.name)}
        owners = _grouped((entry, vm.name) for vm in vms for entry in self._entries_by_name(vm.id, vm.name))
        for entry in self.guests:
            why = self._why_strange(entry, owners.get(entry, []), vms, is_used=entry in used)
            if why:
                warn(f"{setting('guests')} contains {characters.shown(entry)}, {why}")

    def _why_strange(self, entry: str, owners: Sequence[str], vms: Sequence[VirtualMachine], *, is_used: bool) -> str:
        """Return a remark about an entry. `owners` are the names of the VM that it means as a name."""
        meant = self.meant.get(entry.lower())
        if is_used:
            same = not owners or entry.lower() in map(str.lower, owners)
            return "" if same else f"whose VM is named {owners[0]} now"
        if owners:
            return "whose VM also has an entry with its GUID"
        return (
            f"whose VM was last on {', '.join(meant.hosts)}" if meant else f"which is no VM{similar_names(entry, vms)}"
        )


def _grouped(pairs: Iterable[tuple[str | None, T]]) -> dict[str, list[T]]:
    found: dict[str, list[T]] = {}
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


def _nobody(entry: str, ids: Sequence[str], listed: ListedVms) -> Unclear:
    name = characters.shown(entry)
    if len(ids) > 1:
        more = f" and {len(ids) - _MOST} more" if len(ids) > _MOST else ""
        return Unclear(f"{len(ids)} VMs are named {name}: {', '.join(ids[:_MOST])}{more}", _BY_ID)
    if listed.silent:
        return _away(f"the VM of its name in {setting('guests')}", listed)
    return Unclear(f"the hosts of the VM {name} list it under several names", _BY_ID)


def _another(entry: str, meant: NamedGuest, listed: ListedVms) -> Unclear:
    name, hosts = characters.shown(entry), ", ".join(meant.hosts)
    another = f"in {setting('guests')}, {name} is another VM ({meant.vm_id}"
    if meant.vm_id in listed.places_of:
        return Unclear(f"{another}, on {hosts})", _BY_ID)
    if listed.silent:
        return _away(f"the VM that {setting('guests')} names {name} ({meant.vm_id})", listed)
    return Unclear(f"{another}, last on {hosts})", f"{_BY_ID}, or {APPLY} once without the entry if that VM is gone")


def _away(vm: str, listed: ListedVms) -> Unclear:
    reason = f"{vm} may be on a host without an answer ({', '.join(listed.silent)})"
    return Unclear(reason, f"{_BY_ID}, or {RUN_AGAIN} when all hosts answer", may_pass=True)
