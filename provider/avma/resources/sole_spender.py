"""The lock of a machine while a resource spends an activation there. HostLicense and ClusterLicense share this code."""

from __future__ import annotations

from avma import errors
from avma.resources.resource import Operation
from avma.windows.machine import Machine, Server
from avma.windows.machine_lock import HeldLock, MachineLock


def lock(machine: Machine, operation: Operation, longest_change: float = 0.0) -> HeldLock | None:
    """Acquire the lock of a machine. Read its state again afterwards, because another process can have changed it.

    Return None if the machine cannot be locked. A read directly before the change is then the only protection. See
    `MachineLock.acquire` for `longest_change`.

    Raises:
        TimedOut: another process held the lock for too long.
        Cancelled: the user stopped the run.
        LogonRefused: the machine refused the sign-in.
    """
    if not isinstance(machine, Server):
        return None  # a guest, whose generic key spends nothing

    def on_wait() -> None:
        operation.status(f"{machine.name}: waiting for another run that spends an activation on the machine")

    machine_lock = MachineLock(machine.powershell, machine.connection.operation_timeout)
    try:
        return machine_lock.acquire(operation.deadline, on_wait, longest_change)
    except (errors.TimedOut, errors.Cancelled, errors.LogonRefused):
        raise
    except errors.AvmaError as error:
        warning = error.of("lock the machine against other runs")
        warning.remedy = f"let only one run at a time license the machine; to lock it, {error.remedy}"
        operation.warn_of(machine.name, warning)
        return None
