"""The guests of a ClusterActivation at one moment: find them on their hosts, and read them.

The survey changes nothing. An error of one host or guest affects only its guests.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace

from avma import errors, keys
from avma.configuration import Guest
from avma.properties import Values
from avma.resources import preconditions
from avma.resources.cluster_activation.activation_properties import (
    ActivationState,
    ClusterActivationInputs,
    GuestSettings,
    wanted_key,
)
from avma.resources.cluster_activation.guest_selection import guest_of, selected, settings_of
from avma.resources.cluster_license.cluster_nodes import NodeState, each, find_nodes
from avma.resources.guest_access import (
    GuestState,
    is_through_host,
    read_guest_state,
    require_windows,
)
from avma.resources.placement import Placement
from avma.resources.resource import Operation
from avma.resources.vm_activation.wait_for_guest import begin_wait, wait_for_guest
from avma.windows import hyperv, licensing
from avma.windows.computer import System
from avma.windows.hyperv import GuestFacts, VirtualMachine
from avma.windows.licensing import LicenseChannel, Product
from avma.windows.machine import Server
from avma.wording import setting

_TRIED = "read the guests"
_AT_ONCE = 512
"""Maximum of guests of one host that are read in parallel. Through PowerShell Direct, one script run reads all."""
_KEPT = (LicenseChannel.MAK, LicenseChannel.KMS_HOST, LicenseChannel.OEM)
"""The channels of keys that no installation medium contains. Somebody chose them, even if Windows is not activated."""


@dataclass
class FoundGuest:
    """A VM during an operation: its settings, the data of its host about it, and the result of reading its guest."""

    placement: Placement
    host_name: str
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

    @property
    def vm(self) -> VirtualMachine:
        """The VM."""
        return self.placement.vm

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
    """All VMs of all hosts."""


@dataclass
class _Listing:
    """One host, its VMs and their Data Exchange reports."""

    node: NodeState
    vms: Sequence[VirtualMachine] = ()
    facts: Mapping[str, GuestFacts] = field(default_factory=dict)


def find_guests(inputs: ClusterActivationInputs, known: Sequence[Values], operation: Operation) -> Survey:
    """Find the declared guests, and decide about those without a need to read them. `known` contains the stored guests.

    Raises:
        AvmaError: the cluster could not be queried, or none of the hosts.
    """
    operation.status("listing the virtual machines")
    nodes = find_nodes(inputs.cluster, inputs.hosts or [], inputs.connection, operation)
    listings = _list(nodes, operation)
    failed = [node for node in nodes if node.error is not None]
    if len(failed) == len(nodes) and failed[0].error is not None:
        raise failed[0].error
    stored = {str(each.get("vm_id")): each for each in known}
    guests = [
        _found(places, inputs, stored.get(places[0].vm.id, {}), listings)
        for places in _by_vm(listings)
        if selected(inputs, [places[0].vm])
    ]
    for guest in guests:
        _sort_out(guest)
    listed = {vm.id for listing in listings for vm in listing.vms}
    away = {node.name for node in failed}
    replicas = {guest.vm.id for guest in guests if not guest.vm.running and guest.known.get("host") in away}
    gone = [each for vm_id, each in stored.items() if vm_id not in listed or vm_id in replicas]
    lost = [LostGuest(each, _may_be_on(failed)) for each in gone] if failed else []
    present = [guest for guest in guests if guest.vm.id not in replicas]
    order = sorted(present, key=lambda guest: (guest.vm.name.lower(), guest.vm.id))
    return Survey(order, lost, failed, [vm for listing in listings for vm in listing.vms])


def _list(nodes: Sequence[NodeState], operation: Operation) -> list[_Listing]:
    listings = {node.name: _Listing(node) for node in nodes}

    def list_host(node: NodeState) -> None:
        listing, deadline = listings[node.name], operation.deadline
        listing.vms = node.machine.virtual_machines(deadline)
        listing.facts = node.machine.guest_facts(deadline)

    each([node for node in nodes if node.error is None], list_host)
    return [listing for listing in listings.values() if listing.node.error is None]


def _by_vm(listings: Sequence[_Listing]) -> Iterator[list[Placement]]:
    """Yield the places of each VM. A replica, or a VM during a migration, has several."""
    places: dict[str, list[Placement]] = {}
    for listing in listings:
        for vm in listing.vms:
            places.setdefault(vm.id, []).append(Placement(vm, listing.node.machine))
    yield from places.values()


def _found(
    places: Sequence[Placement], inputs: ClusterActivationInputs, known: Values, listings: Sequence[_Listing]
) -> FoundGuest:
    """Return the guest of a VM. The running one counts, of several with the same id."""
    running = [place for place in places if place.vm.running]
    place = (running or places)[0]
    listing = next(each for each in listings if each.node.machine is place.host)
    guest = FoundGuest(
        placement=place,
        host_name=listing.node.name,
        settings=settings_of(inputs, place.vm),
        facts=hyperv.facts_of_vm(listing.facts, place.vm),
        known=known,
    )
    if len(running) > 1:
        names = " and ".join(each.node.name for each in listings if any(each.node.machine is p.host for p in running))
        answer = f"{names} run a VM with this id ({place.vm.id}), so the provider does not know which one is meant"
        remedy = "remove one of the two VMs; if both names mean the same machine, keep one of the names"
        guest.error, guest.reason = errors.Refused(_TRIED, place.where, answer, remedy), answer
        guest.state = ActivationState.NOT_ACTIVATED
    return guest


def _may_be_on(failed: Sequence[NodeState]) -> str:
    names = ", ".join(node.name for node in failed)
    return f"no host lists the VM, and the provider could not query {names}"


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
        raise errors.NotEligible(_TRIED, where, f"it runs {name}, and AVMA activates only Windows Server", "")


def is_to_be_read(guest: FoundGuest) -> bool:
    """Return True if the provider must ask the guest itself."""
    return guest.state is ActivationState.UNREACHABLE and guest.error is None


def read_guests(guests: Sequence[FoundGuest], inputs: ClusterActivationInputs, operation: Operation) -> None:
    """Read the licenses of the guests. Do not wait for guests that are not ready."""
    quiet = quietly(operation)
    in_parallel(
        [guest for guest in guests if is_to_be_read(guest)],
        lambda guest: read_guest(guest, inputs, quiet, waits=False),
        operation,
    )


def read_guest(guest: FoundGuest, inputs: ClusterActivationInputs, operation: Operation, *, waits: bool) -> None:
    """Read one guest and decide about it. With `waits`, wait for a guest that is not ready.

    Raises:
        Cancelled: the user stopped the run.
    """
    try:
        with leaving_alone(guest):
            guest.read = _wait_and_read(guest, operation) if waits else _read(guest, operation)
            guest.product = guest.read.licensing.product
            _judge(guest, guest.read.licensing.system, inputs)
    except errors.Cancelled:
        raise
    except errors.AvmaError as error:
        guest.state, guest.reason, guest.error = ActivationState.UNREACHABLE, error.answer, error


@contextmanager
def leaving_alone(guest: FoundGuest) -> Iterator[None]:
    """Run the body. If no host can activate the guest, the resource leaves the guest alone."""
    try:
        yield
    except (errors.NotEligible, errors.Evaluation) as answer:
        guest.state, guest.reason = ActivationState.NOT_APPLICABLE, answer.answer


def _read(guest: FoundGuest, operation: Operation) -> GuestState:
    return read_guest_state(guest.placement, guest.guest, operation)


def _wait_and_read(guest: FoundGuest, operation: Operation) -> GuestState:
    wait = begin_wait(guest.guest, operation)
    guest.placement, found = wait_for_guest(guest.placement, [guest.placement.host], guest.guest, wait)
    return found


def _judge(guest: FoundGuest, system: System, inputs: ClusterActivationInputs) -> None:
    """Decide about a guest that was read."""
    product = guest.product
    preconditions.published_key(system, guest.settings.product_key, guest.placement.where)
    key = wanted_key(guest.settings.product_key, system.version, system.edition)
    if product is not None and product.licensed and product.channel is LicenseChannel.AVMA:
        if key is None or product.partial_product_key == keys.partial(key):
            guest.state, guest.reason = ActivationState.ACTIVATED, ""
            return
        guest.reason = f"its key is …{product.partial_product_key} instead of …{keys.partial(key)}"
    elif has_other_license(product) and not inputs.replace_other_licenses:
        guest.state, guest.reason = ActivationState.NOT_APPLICABLE, _other_license(product)
        return
    else:
        guest.reason = licensing.reason_text(product)
    guest.state = ActivationState.NOT_ACTIVATED


def has_other_license(product: Product | None) -> bool:
    """Return True if a guest has a license of another kind, or a key of which somebody expects one."""
    if product is None or product.channel is LicenseChannel.AVMA:
        return False
    return product.licensed or product.channel in _KEPT


def _other_license(product: Product | None) -> str:
    channel = product.channel.value if product else ""
    status = "is activated through" if product is not None and product.licensed else "has a key of the channel"
    return f"it {status} {channel}, and {setting('replace_other_licenses')} is not set"


def quietly(operation: Operation) -> Operation:
    """Return the operation without the status lines of single guests. There can be hundreds."""
    return replace(operation, show_status=lambda _: None)


def in_parallel(
    guests: Sequence[FoundGuest],
    work: Callable[[FoundGuest], None],
    operation: Operation,
    together: Callable[[FoundGuest], bool] = lambda _: True,
) -> None:
    """Run `work` on all guests in parallel. An error stays with its guest.

    Guests for which `together` is True share the script runs of their host.

    Raises:
        Cancelled: the user stopped the run before a guest was changed.
    """
    if not guests:
        return
    by_host: dict[Server, list[FoundGuest]] = {}
    for guest in guests:
        by_host.setdefault(guest.placement.host, []).append(guest)
    progress = _Progress(len(guests), operation)

    def guarded(guest: FoundGuest, begin: Callable[[], object]) -> None:
        with ExitStack() as stack:
            if together(guest) and is_through_host(guest.guest, operation):
                stack.enter_context(guest.placement.host.asking_with_others())
            begin()
            try:
                work(guest)
            except errors.AvmaError as error:
                guest.error, guest.reason = error, error.answer
        progress.step()

    with ExitStack() as stack:
        futures = [future for group in by_host.values() for future in _submit(group, guarded, stack)]
    for future in futures:
        future.result()
    canceled = next((guest.error for guest in guests if isinstance(guest.error, errors.Cancelled)), None)
    if canceled is not None and not any(guest.changed for guest in guests):
        raise canceled


def _submit(
    group: Sequence[FoundGuest], work: Callable[[FoundGuest, Callable[[], object]], None], stack: ExitStack
) -> list[Future[None]]:
    """Start the work on the guests of one host. The first threads begin at the same time, to share script runs."""
    count = min(len(group), _AT_ONCE)
    threads = stack.enter_context(ThreadPoolExecutor(count))
    begin = threading.Barrier(count)
    first = [threads.submit(work, guest, begin.wait) for guest in group[:count]]
    return [*first, *(threads.submit(work, guest, _at_once) for guest in group[count:])]


def _at_once() -> None:
    """Begin without waiting for others."""


class _Progress:
    """Shows how many guests are done. Safe for several threads."""

    def __init__(self, total: int, operation: Operation) -> None:
        self._total, self._operation = total, operation
        self._done = 0
        self._lock = threading.Lock()

    def step(self) -> None:
        """Count one more guest."""
        with self._lock:
            self._done += 1
            done = self._done
        self._operation.status(f"{done} of {self._total} guests are done")
