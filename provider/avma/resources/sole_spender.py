"""The lock of a machine while a resource changes a key there. HostLicense and ClusterLicense share this code."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

from avma import errors
from avma.resources.resource import Operation
from avma.windows.machine import Machine, Server
from avma.windows.machine_lock import HeldLock, MachineLock
from avma.wsman import retry

_UNABLE = (errors.AccessDenied, errors.Refused, errors.ScriptFailed, errors.WsmanFault)
"""Errors of a machine that cannot run the script of the lock, unless they are transient."""


def lock(machine: Machine, operation: Operation, longest_change: float = 0.0) -> HeldLock | None:
    """Acquire the lock of a machine. Read its state again afterwards, because another process can have changed it.

    Return None if the machine cannot run the script of the lock. A read directly before the change is then the only
    protection. See `MachineLock.acquire` for `longest_change`.

    Raises:
        TimedOut: another process held the lock for too long.
        AvmaError: the machine may be locked by another process.
    """
    if not isinstance(machine, Server):
        return None  # a guest, whose generic key spends nothing

    def on_wait() -> None:
        operation.status(f"{machine.name}: waiting for another run that changes the license of the machine")

    machine_lock = MachineLock(machine.powershell, machine.connection.operation_timeout)
    try:
        return machine_lock.acquire(operation.deadline, on_wait, longest_change)
    except _UNABLE as error:
        if retry.may_pass(error):
            raise
        remedy = f"let only one run at a time license the machine; to lock it, {error.remedy}"
        operation.warn_of(machine.name, error.but(tried="lock the machine against other runs", remedy=remedy))
        return None


def activation(held: HeldLock | None) -> AbstractContextManager[None]:
    """Spend an activation in the block. See `HeldLock.activation`."""
    return nullcontext() if held is None else held.activation()


def confirm(held: HeldLock | None) -> None:
    """Ask the machine for the lock. See `HeldLock.confirm`."""
    if held is not None:
        held.confirm()


def release(held: HeldLock | None, operation: Operation) -> None:
    """Release the lock. See `HeldLock.release`."""
    if held is None:
        return
    held.release()
    if held.unfinished and not held.lost:
        seconds = round(held.idle_timeout)
        operation.warn(
            f"{held.where}: stays locked against other runs for {seconds} seconds, because the last activation may "
            "still be running there. The next run waits for it."
        )
