"""Find the guests of a ClusterActivation on their hosts, and decide about those that need no reading.

An error of one host affects only its guests.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial

from avma import characters, errors
from avma.configuration import Guest
from avma.properties import Values
from avma.resources import preconditions
from avma.resources.cluster_activation.activation_properties import (
    ActivationState,
    ClusterActivationInputs,
    GuestSettings,
)
from avma.resources.cluster_activation.guest_names import GuestNames, ListedVms, guest_of
from avma.resources.cluster_activation.guest_selection import is_selected
from avma.resources.cluster_license.cluster_nodes import NodeState, find_nodes, read_each
from avma.resources.guest_access import GuestState, require_windows
from avma.resources.placement import Placement
from avma.resources.resource import Operation
from avma.windows import hyperv
from avma.windows.computer import System
from avma.windows.hyperv import GuestFacts, VirtualMachine
from avma.windows.licensing import Product
from avma.windows.machine import Server

_TRIED = "find the guests"
_SELECTING = "select the guests"
_Selection = Callable[[str, str], bool]
"""Whether a VM with an id and a name is meant."""


@dataclass
class FoundGuest:
    """A VM during an operation: its settings, the data of its host about it, and the result of reading its guest."""

    placement: Placement
    hosts: Mapping[Server, str]
    """All hosts with an answer, and their names. The VM can move between them during the operation."""
    settings: GuestSettings
    facts: GuestFacts
    known: Values = field(default_factory=dict)
    """Its stored values: those of a `GuestActivation`, empty for a new guest."""
    state: ActivationState = ActivationState.UNREACHABLE
    reason: str = ""
    error: errors.AvmaError | None = None
    """Why it could not be read or activated."""
    read: GuestState | None = None
    product: Product | None = None
    changed: bool = False
    """Whether this operation has changed it."""
    refused: bool = False
    """Whether the provider does not connect to it."""

    def refuse(self, error: errors.AvmaError, state: ActivationState = ActivationState.NOT_ACTIVATED) -> None:
        """Do not connect to the guest. Without another state, the error is for the user to remove."""
        self.state, self.reason, self.error, self.refused = state, error.answer, error, True

    @property
    def vm(self) -> VirtualMachine:
        """The VM."""
        return self.placement.vm

    @property
    def host_name(self) -> str:
        """The name of its host, as the resource or the cluster names it."""
        return self.hosts[self.placement.host]

    @property
    def guest(self) -> Guest:
        """The connection settings for its Windows."""
        return guest_of(self.settings)

    @property
    def system(self) -> System | None:
        """Its Windows: as read, or else as it reports through Data Exchange."""
        return self.read.licensing.system if self.read else self.facts.system


@dataclass(frozen=True)
class LostGuest:
    """A stored guest on none of the hosts with an answer. It may be on another one."""

    known: Values
    reason: str


@dataclass(frozen=True)
class Survey:
    """The declared guests, sorted by name, and the hosts without an answer."""

    guests: Sequence[FoundGuest]
    lost: Sequence[LostGuest]
    failed_hosts: Sequence[NodeState]
    vms: Sequence[VirtualMachine]
    """All VMs of all hosts, without stopped replicas of running ones."""
    names: GuestNames


@dataclass
class _Listing:
    """One host, its VMs and their Data Exchange reports."""

    node: NodeState
    vms: Sequence[VirtualMachine] = ()
    facts: Mapping[str, GuestFacts] = field(default_factory=dict)


def find_guests(
    inputs: ClusterActivationInputs,
    known: Sequence[Values],
    names: GuestNames,
    operation: Operation,
    only: Collection[str] | None = None,
) -> Survey:
    """Find the declared guests, and decide about those without a need to read them.

    `known` contains the stored guests, and `names` the entries in `guests` with the VMs in the state. With `only`, the
    guests with these ids are found instead, whatever their names are.

    Raises:
        AvmaError: the cluster could not be queried, or none of the hosts.
    """
    operation.status("listing the virtual machines")
    nodes = find_nodes(inputs.cluster, inputs.hosts or [], inputs.connection, operation, listed="hosts")
    stored = {str(values.get("vm_id")): values for values in known}
    listings = _list(nodes, operation)
    earlier = _ids(listings)
    expected = stored.keys() | names.expected_on([node.name for node in nodes])
    if not (expected <= earlier or any(node.error for node in nodes)):
        # During the listing, a VM can move to a host that was listed before.
        listings = _list(nodes, replace(operation, deadline=operation.deadline.fresh()))
    failed = [node for node in nodes if node.error is not None]
    if len(failed) == len(nodes) and failed[0].error is not None:
        raise failed[0].error
    declared: _Selection = partial(is_selected, inputs.include, inputs.exclude)
    wanted: _Selection = declared if only is None else lambda vm_id, _name: vm_id in only
    places = [found for found in _by_vm(listings, stored) if wanted(found[0].vm.id, found[0].vm.name)]
    listed = ListedVms(
        [(vm, listing.node.name) for listing in listings for vm in listing.vms],
        hosts=[node.name for node in nodes],
        silent=[node.name for node in failed],
        is_declared=lambda vm_id, name: declared(vm_id, name) or wanted(vm_id, name),
        earlier=earlier,
    )
    names = names.found(listed)
    guests = [_found(each_vm, inputs, stored.get(each_vm[0].vm.id, {}), listings, names) for each_vm in places]
    _refuse_unclear(guests, names, listed)
    lost = _lost(guests, stored, listings, failed)
    lost = [each for each in lost if wanted(str(each.known.get("vm_id")), str(each.known.get("vm_name")))]
    away = {values.known.get("vm_id") for values in lost}
    present = sorted(
        (guest for guest in guests if guest.vm.id not in away), key=lambda guest: (guest.vm.name.lower(), guest.vm.id)
    )
    for guest in present:
        _sort_out(guest)
    return Survey(present, lost, failed, [vm for found in listed.places_of.values() for vm, _ in found], names)


def _refuse_unclear(guests: Sequence[FoundGuest], names: GuestNames, listed: ListedVms) -> None:
    """Refuse the guests whose accounts are not clear. The provider does not connect to them."""
    for guest in guests:
        why, where = names.why_unclear(guest.vm, listed), guest.placement.where
        if why is None or not guest.vm.running:
            continue
        if why.may_pass:
            guest.refuse(errors.Unreachable(_SELECTING, where, why.reason, why.remedy), ActivationState.UNREACHABLE)
        else:
            guest.refuse(errors.InvalidInput(_SELECTING, where, why.reason, why.remedy))


def _lost(
    guests: Sequence[FoundGuest],
    stored: Mapping[str, Values],
    listings: Sequence[_Listing],
    failed: Sequence[NodeState],
) -> list[LostGuest]:
    """Return the stored guests that may be on a host without an answer. A replica of such a guest does not count."""
    if not failed:
        return []
    names = [node.name for node in failed]
    listed = _ids(listings)
    replicas = {guest.vm.id for guest in guests if not guest.vm.running and guest.known.get("host") in names}
    reason = f"no host lists the VM, and the provider could not query {', '.join(names)}"
    gone = (values for vm_id, values in stored.items() if vm_id not in listed or vm_id in replicas)
    return [LostGuest(values, reason) for values in gone]


def _ids(listings: Sequence[_Listing]) -> set[str]:
    return {vm.id for listing in listings for vm in listing.vms}


def _list(nodes: Sequence[NodeState], operation: Operation) -> list[_Listing]:
    """List the VMs of all hosts. The error of a host stays with it."""
    listings = {node.name: _Listing(node) for node in nodes}

    def list_host(node: NodeState, in_time: Operation) -> None:
        listing = listings[node.name]
        listing.vms = node.machine.virtual_machines(in_time.deadline)
        listing.facts = node.machine.guest_facts(in_time.deadline)

    read_each([node for node in nodes if node.error is None], list_host, operation)
    return [listing for listing in listings.values() if listing.node.error is None]


def _by_vm(listings: Sequence[_Listing], stored: Mapping[str, Values]) -> Iterator[list[Placement]]:
    """Yield the places of each VM. A replica, or a VM during a migration, has several.

    Those where it runs come first, and its host in the state comes before others.
    """
    places: dict[str, list[tuple[Placement, str]]] = {}
    for listing in listings:
        for vm in listing.vms:
            places.setdefault(vm.id, []).append((Placement(vm, listing.node.machine), listing.node.name))
    for vm_id, found in places.items():
        host = stored.get(vm_id, {}).get("host")
        found.sort(key=lambda place: (not place[0].vm.running, place[1] != host))
        yield [place for place, _ in found]


def _found(
    places: Sequence[Placement],
    inputs: ClusterActivationInputs,
    known: Values,
    listings: Sequence[_Listing],
    names: GuestNames,
) -> FoundGuest:
    """Return the guest of a VM. Its first place counts."""
    running = [place for place in places if place.vm.running]
    place = places[0]
    listing = next(each for each in listings if each.node.machine is place.host)
    guest = FoundGuest(
        placement=place,
        hosts={each.node.machine: each.node.name for each in listings},
        settings=names.settings_of(place.vm, inputs),
        facts=hyperv.facts_of_vm(listing.facts, place.vm),
        known=known,
    )
    if len(running) > 1:
        both = " and ".join(each.node.name for each in listings if any(each.node.machine is p.host for p in running))
        answer = f"{both} run a VM with this id ({place.vm.id}), so the provider does not know which one is meant"
        remedy = "remove one of the two VMs; if both names mean the same machine, keep one of the names"
        guest.refuse(errors.Refused(_TRIED, place.where, answer, remedy))
    return guest


@contextmanager
def leaving_alone(guest: FoundGuest) -> Iterator[None]:
    """Run the body. If no host can activate the guest, the resource leaves the guest alone."""
    try:
        yield
    except (errors.NotEligible, errors.Evaluation) as answer:
        guest.state, guest.reason = ActivationState.NOT_APPLICABLE, answer.answer


def _sort_out(guest: FoundGuest) -> None:
    """Decide about a guest without reading it: a stopped one, or one with a system outside of AVMA."""
    vm, where = guest.vm, guest.placement.where
    if guest.error is not None:
        return
    if not vm.running:
        guest.state, guest.reason = ActivationState.STOPPED, f"the VM is not running ({vm.state.value})"
        return
    with leaving_alone(guest):
        require_windows(vm, guest.facts, where)
        _require_server(guest.facts, where)
        if guest.facts.system is not None:
            preconditions.published_key(guest.facts.system, guest.settings.product_key, where)


def _require_server(facts: GuestFacts, where: str) -> None:
    """Raise NotEligible if a guest reports a Windows for clients."""
    name = facts.values.get("OSName", "")
    if name and "Server" not in name:
        raise errors.NotEligible(
            _TRIED, where, f"it runs {characters.shown(name)}, and AVMA activates only Windows Server", ""
        )
