"""The checks of a host: the rights of the account, Windows, its license, and Hyper-V."""

from __future__ import annotations

from functools import cached_property

from avma.configuration import Transport
from avma.diagnosis.finding import Finding, judged, outcome, required
from avma.diagnosis.step import Status
from avma.errors import AccessDenied, AvmaError, EmptyAnswer, Refused
from avma.resources import guest_access, host_state, preconditions
from avma.resources.host_state import HostState
from avma.resources.resource import Operation
from avma.windows import computer, powershell_direct
from avma.windows.computer import System
from avma.windows.hyperv import VirtualMachine
from avma.windows.licensing import Licensing
from avma.windows.machine import Server

_TRIED = "activate guests"
_NOT_NEEDED = "not needed: the provider connects to guests by WinRM"
_NO_DIRECT = "not needed: the host has no PowerShell Direct"


class HostChecks:
    """The checks of a host that has accepted the account."""

    def __init__(self, server: Server, transport: Transport, operation: Operation) -> None:
        self._server = server
        self._scripts = transport is Transport.POWERSHELL_DIRECT
        self._operation = operation
        self._deadline = operation.deadline

    @cached_property
    def system(self) -> System | AvmaError:
        """The Windows release and edition of the host."""
        return outcome(lambda: computer.read_system(self._server.wmi, self._deadline))

    @cached_property
    def state(self) -> HostState | AvmaError:
        """The state of the host, including its license for guests."""
        return outcome(lambda: host_state.read_host_state(self._server, self._operation))

    @cached_property
    def virtual_machines(self) -> tuple[VirtualMachine, ...] | AvmaError:
        """The VMs of the host."""
        return outcome(lambda: self._server.virtual_machines(self._deadline))

    def cim(self) -> Finding:
        """Check whether the account may query WMI. A system other than Windows Server passes this check."""
        if not isinstance(self.system, Refused):
            required(self.system)
        return Finding("root/cimv2 answers")

    def virtualization(self) -> Finding:
        """Check whether the account may query Hyper-V. A host without the role passes this check."""
        if isinstance(self.virtual_machines, (AccessDenied, EmptyAnswer)):
            raise self.virtual_machines
        if isinstance(self.virtual_machines, AvmaError):
            return Finding("root/virtualization/v2 does not answer", Status.SKIPPED)
        return Finding("root/virtualization/v2 answers")

    def shell(self) -> Finding:
        """Check whether PowerShell runs the script for guests. The check runs it without a guest."""
        if not self._scripts or not self._has_direct:
            return Finding(_NOT_NEEDED if not self._scripts else _NO_DIRECT, Status.SKIPPED)
        mode = powershell_direct.require_script(self._server.powershell, self._deadline)
        return Finding(f"PowerShell runs the script for guests ({mode})")

    @property
    def _has_direct(self) -> bool:
        return isinstance(self.system, AvmaError) or guest_access.has_direct(self.system.build)

    def operating_system(self) -> Finding:
        """Check whether the host runs a Windows that can activate guests."""
        system = required(self.system)
        state = HostState(self._server, Licensing("", system, None), machine_id="")
        return judged(f"{system}, build {system.build}", lambda: preconditions.require_host(state, _TRIED))

    def license(self) -> Finding:
        """Check whether the license of the host covers its guests."""
        state = required(self.state)
        text = license_text(state)
        if self.operating_system().error is not None:
            return Finding(text, Status.PASSED if state.found.licensed else Status.WARNING)
        return judged(text, lambda: preconditions.require_activating(state))

    def hyper_v(self) -> Finding:
        """Check whether the host has Hyper-V."""
        vms = required(self.virtual_machines)
        return Finding(f"{_count(len(vms), 'VM')}, {sum(vm.running for vm in vms)} running")

    def direct(self) -> Finding:
        """Check whether the host has PowerShell Direct. Skipped if the provider connects to guests by WinRM."""
        if not self._scripts:
            return Finding(_NOT_NEEDED, Status.SKIPPED)
        if isinstance(self.system, AvmaError):
            return Finding("the Windows release of the host is unknown", Status.SKIPPED)
        system = self.system
        guest_access.require_direct("the host", system.build, self._server.where)
        return Finding(f"{system} supports it")


def license_text(state: HostState) -> str:
    """Return a license in a few words: channel, the last five characters of the key, and status.

    On Azure Local, return the complete output of the cmdlet.
    """
    if state.activation is not None:
        subscription = state.activation.subscription_status or "not reported"
        return f"Get-VMAutomaticActivation shows {state.activation}; Windows Server subscription: {subscription}"
    product = state.found.product
    if product is None:
        return "no product key is installed"
    return f"{product.channel.value}, key …{product.partial_product_key}: {product.status.value}"


def check_peer(server: Server, operation: Operation) -> Finding:
    """Check whether another node of the cluster can be read, and can activate guests."""
    state = host_state.read_host_state(server, operation)
    return judged(f"{state.system}; {license_text(state)}", lambda: preconditions.require_activating(state))


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
