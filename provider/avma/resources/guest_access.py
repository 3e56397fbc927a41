"""The search for a VM on its hosts, and the connection to Windows inside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial

from avma import characters, errors
from avma.configuration import Guest, Transport
from avma.connection import missing_account
from avma.resources import guest_network
from avma.resources.resource import Operation
from avma.windows import hyperv
from avma.windows.guest_run import GuestAccount
from avma.windows.hyperv import GuestFacts, VirtualMachine
from avma.windows.machine import Machine, Server
from avma.windows.vm_state import on_vm, to_running

_FIRST_WITH_DIRECT = 14393
"""The build of Windows Server 2016."""

_KVP = "2A34B1C2-FD73-4043-8A5B-DD2159BC743F"
"""The id of the Data Exchange integration service. It is the same in every language of Windows."""


NOT_LISTED = (
    "its host lists no Data Exchange component for it (Msvm_KvpExchangeComponent): the VM has just started, its Data "
    "Exchange is off, or the host's account has no right to read it"
)
MALFORMED = "the guest reports malformed data through Data Exchange"


@dataclass(frozen=True)
class Placement:
    """A VM and its current host. `listed` contains all VMs of the hosts."""

    vm: VirtualMachine
    host: Server
    listed: tuple[VirtualMachine, ...] = ()

    def namesake(self, name: str | None) -> VirtualMachine | None:
        """Return another VM with the name. None if no other VM or this one has it."""
        if name is None or name.lower() == self.vm.name.lower():
            return None
        return next((vm for vm in self.listed if vm.id != self.vm.id and vm.name.lower() == name.lower()), None)

    @property
    def where(self) -> str:
        """The VM's name in errors."""
        return f"{self.vm.name} (host {self.host.connection.place})"


def find_vm(hosts: Sequence[Server], name_or_id: str, operation: Operation) -> Placement | None:
    """Return the VM of that name or id from any of the hosts. None if no host lists it.

    Raises:
        Refused: several VMs have the name.
        AvmaError: the VM was not found, and a host could not be queried. The VM may be there.
    """
    wanted = hyperv.canonical_vm_id(name_or_id) or name_or_id.lower()
    listed: list[Placement] = []
    trouble: list[errors.AvmaError] = []
    with ThreadPoolExecutor(len(hosts)) as threads:
        for host, answer in zip(hosts, threads.map(lambda host: _list_vms(host, operation), hosts), strict=True):
            if isinstance(answer, errors.AvmaError):
                trouble.append(answer)
            else:
                listed += [Placement(vm, host) for vm in answer]
    found = [placement for placement in listed if wanted in (placement.vm.id, placement.vm.name.lower())]
    if not found and trouble:
        raise trouble[0]
    one = _one(found, name_or_id, hosts)
    return replace(one, listed=tuple(placement.vm for placement in listed)) if one else None


def require_vm(hosts: Sequence[Server], name_or_id: str, operation: Operation) -> Placement:
    """Return the VM of that name or id. `find_vm` lists further errors.

    Raises:
        NotFound: none of the hosts has such a VM.
    """
    placement = find_vm(hosts, name_or_id, operation)
    if placement is None:
        where = ", ".join(host.where for host in hosts)
        remedy = (
            "check the name; if the VM moves between hosts, list all of them in `hosts`; if the VM was created again, "
            "run `pulumi refresh` first"
        )
        raise errors.NotFound("find the VM", where, f"there is no VM {characters.shown(name_or_id)}", remedy)
    return placement


def _list_vms(host: Server, operation: Operation) -> Sequence[VirtualMachine] | errors.AvmaError:
    try:
        return host.virtual_machines(operation.deadline)
    except errors.AvmaError as error:
        return error


def _one(found: Sequence[Placement], name_or_id: str, hosts: Sequence[Server]) -> Placement | None:
    """Return the one matching VM. During a migration, two hosts can list it: the running one counts."""
    ids = sorted({placement.vm.id for placement in found})
    if len(ids) > 1:
        where = ", ".join(host.where for host in hosts)
        answer = f"{len(ids)} VMs are named {characters.shown(name_or_id)}: {', '.join(ids)}"
        raise errors.Refused("find the VM", where, answer, "set `vmId` to the id of one of them")
    return next(iter(sorted(found, key=lambda placement: not placement.vm.running)), None)


def facts_of(placement: Placement, operation: Operation) -> GuestFacts:
    """Return the report of a guest through Data Exchange. Warn if its data is malformed."""
    return facts_in(placement.host.guest_facts(operation.deadline), placement.vm, operation)


def facts_in(listing: Mapping[str, GuestFacts], vm: VirtualMachine, operation: Operation) -> GuestFacts:
    """Return the report of a guest from the listing of its host. Warn if a running VM is missing there."""
    facts = hyperv.facts_of_vm(listing, vm)
    if not facts.listed:
        operation.warn(f"{vm.name}: {NOT_LISTED}. Its name, version and addresses are unknown")
    if facts.malformed:
        operation.warn(f"{vm.name}: {MALFORMED}. Its name, version and addresses are unknown")
    return facts


def require_windows(vm: VirtualMachine, facts: GuestFacts, where: str) -> None:
    """Raise Refused if a guest reports an operating system other than Windows. Without a report, the guest passes."""
    name = facts.values.get("OSName", "")
    if name and "Windows" not in name:
        answer = f"the guest {vm.name} runs {characters.shown(name)}, and AVMA activates only Windows Server"
        raise errors.Refused(
            "reach the guest", where, answer, "declare a VM with Windows Server, or remove the resource"
        )


@contextmanager
def naming_other_systems(placement: Placement, operation: Operation) -> Iterator[None]:
    """Run the body. If it fails and the guest reports an operating system other than Windows, raise Refused instead.

    The guest's report is only read after a failure, so success costs no request. A guest that rejects an account
    passes, because it runs Windows.
    """
    try:
        yield
    except errors.LogonUncertain:
        raise
    except (errors.NotReady, errors.Unreachable):
        with suppress(errors.EmptyAnswer, errors.Unreachable, errors.AccessDenied, errors.WsmanFault):
            facts = hyperv.facts_of_vm(placement.host.guest_facts(operation.deadline), placement.vm)
            require_windows(placement.vm, facts, placement.host.where)
        raise


def require_running(placement: Placement) -> None:
    """Raise NotReady unless the VM is running."""
    vm = placement.vm
    if not vm.running:
        remedy = f"{to_running(vm.state, vm.id)}, then run again"
        raise errors.NotReady("reach the guest", placement.host.where, f"the VM {vm.name} is {vm.state.value}", remedy)


def connect(placement: Placement, guest: Guest | None, operation: Operation) -> Machine:
    """Return Windows inside a VM, through the declared transport. The default is PowerShell Direct.

    Raises:
        Refused: the guest cannot be reached through this transport.
        InvalidInput: no credentials are declared.
        AvmaError: the host, or the machine at the guest's address, could not be queried.
    """
    transport = operation.configuration.effective_guest(guest).transport or Transport.POWERSHELL_DIRECT
    ways = {Transport.POWERSHELL_DIRECT: _through_host, Transport.WINRM: _over_network}
    return ways[transport](placement, guest, operation)


def has_direct(build: int) -> bool:
    """Return True if a Windows of that build has PowerShell Direct."""
    return build >= _FIRST_WITH_DIRECT


def require_direct(what: str, build: int | None, where: str) -> None:
    """Raise Refused if a Windows of that build has no PowerShell Direct. An unknown build passes."""
    if build is not None and not has_direct(build):
        answer = f"PowerShell Direct requires Windows Server 2016 or later, and {what} runs build {build}"
        raise errors.Refused("reach the guest", where, answer, "set `guest.transport: winrm` for this VM")


def switch_data_exchange_on(vm_id: str) -> str:
    """Return the PowerShell command to turn on Data Exchange. It works in every language of Windows."""
    return on_vm(vm_id, f"Get-VMIntegrationService | Where-Object Id -like '*{_KVP}' | Enable-VMIntegrationService")


def require_data_exchange(placement: Placement, manage: bool, preview: bool, operation: Operation) -> None:
    """Raise DataExchangeOff if the host has the VM's Data Exchange turned off.

    With `manage`, turn it on instead, and wait until it is on. A preview changes nothing.

    Raises:
        DataExchangeOff: it is off.
    """
    vm, host = placement.vm, placement.host
    setting = host.data_exchange(operation.deadline).get(vm.id)
    if setting is None or setting.enabled:
        return
    if not manage:
        answer = f"the Data Exchange integration service of {vm.name} is off, and Windows requires it for activation"
        remedy = f"set `manageDataExchange: true`, or turn it on yourself: `{switch_data_exchange_on(vm.id)}`"
        raise errors.DataExchangeOff("activate the guest", host.where, answer, remedy)
    if preview:
        operation.status(f"{vm.name}: `pulumi up` will turn on Data Exchange")
        return
    operation.status(f"{vm.name}: turning on Data Exchange")
    hyperv.enable_data_exchange(host.wmi, setting, operation.deadline)
    _await_data_exchange(placement, operation)


def _await_data_exchange(placement: Placement, operation: Operation) -> None:
    """Wait until the host reports Data Exchange as on."""
    vm, host = placement.vm, placement.host
    while True:
        setting = host.data_exchange(operation.deadline).get(vm.id)
        if setting is None:
            answer = f"the VM {vm.name} left the host while the provider turned on its Data Exchange"
            raise errors.NotReady("turn on Data Exchange", host.where, answer, "run again")
        if setting.enabled:
            return
        operation.deadline.wait(1.0, "turn on Data Exchange", host.where)


def _through_host(placement: Placement, guest: Guest | None, operation: Operation) -> Machine:
    """Return Windows inside a VM through its host.

    The host finds it by the VM's id, so it is always the right machine.
    """
    vm, host = placement.vm, placement.host
    account = _account(placement, guest, operation)
    unused = [name for name in ("address", "port", "https") if guest is not None and getattr(guest, name) is not None]
    if unused:
        names = ", ".join(f"`guest.{name}`" for name in unused)
        operation.warn(f"{vm.name}: PowerShell Direct ignores {names} (only for `guest.transport: winrm`)")
    host_build = host.system(operation.deadline).build
    facts = facts_of(placement, operation)
    where = placement.where
    require_direct(f"the host {host.name}", host_build, where)
    require_direct("the guest", facts.build, where)
    return host.guest(vm.id, vm.name, account)


def _account(placement: Placement, guest: Guest | None, operation: Operation) -> GuestAccount:
    settings = operation.configuration.effective_guest(guest)
    missing = missing_account("guest.", settings.username, settings.password)
    if missing is not None:
        raise errors.InvalidInput("reach the guest", placement.where, *missing)
    return GuestAccount(settings.username or "", settings.password or "")


def _over_network(placement: Placement, guest: Guest | None, operation: Operation) -> Machine:
    """Return Windows inside a VM at an address of the guest."""
    return guest_network.connect(
        placement.vm, placement.host, guest, partial(facts_of, placement, operation), operation
    )
