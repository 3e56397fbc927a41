"""The connection to Windows inside a VM."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass

from avma import characters, errors
from avma.configuration import Guest, Transport
from avma.connection import missing_account
from avma.resources import guest_network
from avma.resources.data_exchange import facts_of
from avma.resources.placement import Placement
from avma.resources.resource import Operation
from avma.windows import hyperv
from avma.windows.hyperv import GuestFacts, VirtualMachine
from avma.windows.licensing import Licensing
from avma.windows.machine import GuestMachine, Machine, Server
from avma.windows.shared_reads import Era
from avma.wording import RUN_AGAIN, setting
from avma.wsman.script import Credential

_FIRST_WITH_DIRECT = 14393
"""The build of Windows Server 2016."""

_SETUP = 1800.0
"""Uptime in seconds after which a VM is no longer being provisioned."""
_SERVICES_OF_GUESTS = ("sppsvc", "winmgmt")
"""Services of a guest that start after its remote access. Until then, they list nothing."""


def require_windows(vm: VirtualMachine, facts: GuestFacts, where: str) -> None:
    """Raise NotEligible if a guest reports another system than Windows. Without a report, the guest passes."""
    name = facts.values.get("OSName", "")
    if name and "Windows" not in name:
        answer = f"the guest {vm.name} runs {characters.shown(name)}, and AVMA activates only Windows Server"
        raise errors.NotEligible(
            "reach the guest", where, answer, "declare a VM with Windows Server, or remove the resource"
        )


@contextmanager
def naming_other_systems(placement: Placement, operation: Operation) -> Iterator[None]:
    """Run the body. If it fails and the guest reports another system than Windows, raise NotEligible instead.

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


def may_be_provisioning(vm: VirtualMachine) -> bool:
    """Return True if Windows setup may still be running in the VM."""
    return vm.on_for < _SETUP


@contextmanager
def not_ready_during_setup(vm: VirtualMachine) -> Iterator[None]:
    """Run the body. Turn errors into NotReady or LogonUncertain while the VM may still be provisioned.

    Raises:
        LogonUncertain: the guest rejected the account, but may accept it later.
        NotReady: the guest's licensing service does not list itself yet.
    """
    try:
        yield
    except errors.EmptyAnswer as error:
        if not may_be_provisioning(vm) or error.service not in _SERVICES_OF_GUESTS:
            raise
        remedy = f"{error.remedy}; if the VM is being provisioned, wait until Windows setup has finished"
        raise errors.NotReady(error.tried, error.where, error.answer, remedy) from error
    except errors.LogonRefused as error:
        if not may_be_provisioning(vm) or error.refusal is not errors.Refusal.ACCOUNT:
            raise
        remedy = (
            f"{error.remedy}; if the VM is being provisioned, wait until Windows setup has finished; then {RUN_AGAIN}"
        )
        raise errors.LogonUncertain(error.tried, error.where, error.answer, remedy) from error


def connect(placement: Placement, guest: Guest | None, operation: Operation) -> Machine:
    """Return Windows inside a VM, through the declared transport. The default is PowerShell Direct.

    Raises:
        Refused: the guest cannot be reached through this transport.
        InvalidInput: no credentials are declared.
        AvmaError: the host, or the machine at the guest's address, could not be queried.
    """
    if is_through_host(guest, operation):
        return _through_host(placement, guest, operation)
    return guest_network.connect(placement, guest, operation)


def is_through_host(guest: Guest | None, operation: Operation) -> bool:
    """Return True if a guest is reached through PowerShell Direct, the default."""
    return operation.configuration.effective_guest(guest).transport is not Transport.WINRM


@dataclass(frozen=True)
class GuestState:
    """Windows inside a VM, and its licensing."""

    machine: Machine
    licensing: Licensing
    since: Era
    """The era of the changes by this process when the guest was read."""


def read_guest_state(placement: Placement, guest: Guest | None, operation: Operation) -> GuestState:
    """Return the state of a guest that should run Windows Server.

    Raises:
        NotReady: the guest may answer later. `LogonUncertain` if it rejected the account, but may accept it later.
        NotEligible: it runs another operating system.
        AvmaError: the guest could not be queried.
    """
    with naming_other_systems(placement, operation), not_ready_during_setup(placement.vm):
        machine = connect(placement, guest, operation)
        operation.status(f"{machine.name}: reading the license")
        # Read the era first, so that a change by another thread during the read is noticed.
        since = machine.license_lock.changes.era
        return GuestState(machine, read_licensing(machine, placement, guest, operation), since)


def read_licensing(machine: Machine, placement: Placement, guest: Guest | None, operation: Operation) -> Licensing:
    """Return the licensing of a guest, connected by `connect`.

    Raises:
        Refused: the guest or its host is too old for PowerShell Direct.
        AvmaError: the guest could not be queried.
    """
    if not isinstance(machine, GuestMachine):
        return machine.licensing(operation.deadline)
    with _naming_old_systems(placement, operation), _reading_ahead(placement, guest, operation):
        return machine.licensing(operation.deadline)


@contextmanager
def _naming_old_systems(placement: Placement, operation: Operation) -> Iterator[None]:
    """Run the body. If it fails and the guest or its host is too old for PowerShell Direct, raise Refused instead.

    Their builds are only read after a failure, so success costs no request.
    """
    try:
        yield
    except errors.LogonUncertain:
        raise
    except (errors.Refused, errors.Unreachable):
        host, where = placement.host, placement.where
        with suppress(errors.EmptyAnswer, errors.Unreachable, errors.AccessDenied, errors.WsmanFault):
            require_direct(f"the host {host.name}", host.system(operation.deadline).build, where)
            require_direct("the guest", facts_of(placement, operation).build, where)
        raise


def _reading_ahead(placement: Placement, guest: Guest | None, operation: Operation) -> AbstractContextManager[None]:
    """Let the read of a guest also read the other Windows Servers of its host, if this is configured.

    This only applies to the default account, and to operations that change nothing.
    """
    configuration, deadline, host = operation.configuration, operation.deadline, placement.host
    if not (configuration.read_ahead and deadline.max_age):
        return nullcontext()
    own, default = configuration.effective_guest(guest), configuration.effective_guest(None)
    if (own.username, own.password) != (default.username, default.password):
        return nullcontext()
    try:
        reports, vms = host.guest_facts(deadline), host.virtual_machines(deadline)
    except errors.AvmaError:  # The read of the guest itself does not need them.
        return nullcontext()
    others = [vm for vm in vms if vm.running and vm.id != placement.vm.id and _is_server(reports, vm)]
    return reading_together(host, others, guest, operation)


def reading_together(
    host: Server, vms: Iterable[VirtualMachine], guest: Guest | None, operation: Operation
) -> AbstractContextManager[None]:
    """Let the next read of a guest in the block also read those guests of its host. `guest` has their settings.

    This only applies to PowerShell Direct, and only if there is an account.
    """
    settings = operation.configuration.effective_guest(guest)
    if settings.transport is Transport.WINRM or not (settings.username and settings.password):
        return nullcontext()
    account = Credential(settings.username, settings.password, settings.sources)
    return host.reading_ahead(vms, account, operation.deadline)


def _is_server(reports: Mapping[str, GuestFacts], vm: VirtualMachine) -> bool:
    """Return True if a guest reports Windows Server of a release with PowerShell Direct."""
    facts = hyperv.facts_of_vm(reports, vm)
    return facts.system is not None and has_direct(facts.system.build)


def has_direct(build: int) -> bool:
    """Return True if a Windows of that build has PowerShell Direct."""
    return build >= _FIRST_WITH_DIRECT


def require_direct(what: str, build: int | None, where: str) -> None:
    """Raise Refused if a Windows of that build has no PowerShell Direct. An unknown build passes."""
    if build is not None and not has_direct(build):
        answer = f"PowerShell Direct requires Windows Server 2016 or later, and {what} runs build {build}"
        raise errors.Refused(
            "reach the guest", where, answer, f"set {setting('guest.transport', Transport.WINRM)} for this VM"
        )


def _through_host(placement: Placement, guest: Guest | None, operation: Operation) -> Machine:
    """Return Windows inside a VM through its host, without a request.

    The host finds it by the VM's id, so it is always the right machine.
    """
    vm, host = placement.vm, placement.host
    account = _account(placement, guest, operation)
    unused = [name for name in ("address", "port", "https") if guest is not None and getattr(guest, name) is not None]
    if unused:
        names = ", ".join(setting(f"guest.{name}") for name in unused)
        over_network = setting("guest.transport", Transport.WINRM)
        operation.warn(f"{vm.name}: PowerShell Direct ignores {names} (only for {over_network})")
    return host.guest(vm.id, vm.name, account)


def _account(placement: Placement, guest: Guest | None, operation: Operation) -> Credential:
    settings = operation.configuration.effective_guest(guest)
    missing = missing_account("guest.", settings.username, settings.password)
    if missing is not None:
        raise errors.InvalidInput("reach the guest", placement.where, *missing)
    return Credential(settings.username or "", settings.password or "", settings.sources)
