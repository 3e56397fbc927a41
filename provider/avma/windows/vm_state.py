"""The states of a VM in the terms of Get-VM, from the numbers in `Msvm_ComputerSystem.EnabledState`."""

from __future__ import annotations

from enum import Enum


class VmState(Enum):
    """A state of a VM, as shown by Get-VM."""

    RUNNING = "Running"
    OFF = "Off"
    SAVED = "Saved"
    PAUSED = "Paused"
    STARTING = "Starting"
    RESUMING = "Resuming"
    SAVING = "Saving"
    PAUSING = "Pausing"
    STOPPING = "Stopping"
    OTHER = "Other"
    """A state outside of the table."""


# learn.microsoft.com, "Msvm_ComputerSystem class" and "Virtual Machines: VmState". Numbers below 100 come from
# CIM_EnabledLogicalElement, the others from Hyper-V. The same state can have a number of either kind.
_STATES = {
    2: VmState.RUNNING,
    3: VmState.OFF,
    4: VmState.STOPPING,
    6: VmState.SAVED,
    9: VmState.PAUSED,
    10: VmState.STARTING,
    32768: VmState.PAUSED,
    32769: VmState.SAVED,
    32770: VmState.STARTING,
    32773: VmState.SAVING,
    32774: VmState.STOPPING,
    32776: VmState.PAUSING,
    32777: VmState.RESUMING,
}
_WITHOUT_MEMORY = (VmState.OFF, VmState.SAVED)
_START = {VmState.OFF: "Start-VM", VmState.SAVED: "Start-VM", VmState.PAUSED: "Resume-VM"}
_COMING = (VmState.STARTING, VmState.RESUMING)


def vm_state(enabled_state: int | None) -> VmState:
    """Return the state for a value of EnabledState."""
    return _STATES.get(enabled_state or 0, VmState.OTHER)


def in_memory(state: VmState) -> bool:
    """Return True for a VM with a process on its host: it is running, or resumes without a new start of Windows."""
    return state not in _WITHOUT_MEMORY


def to_running(state: VmState, vm_id: str) -> str:
    """Return the instruction to get a VM from this state to running."""
    if state in _START:
        return f"run `{on_vm(vm_id, _START[state])}` on the host"
    if state in _COMING:
        return "wait until it is running"
    return (
        f"wait until its state no longer changes (`{on_vm(vm_id, 'Format-List Name, State, Status')}`), then start it"
    )


def on_vm(vm_id: str, command: str) -> str:
    """Return a PowerShell command for one VM. It uses the VM's id: a name can be ambiguous, or contain wildcards."""
    return f"Get-VM -Id {vm_id} | {command}"
