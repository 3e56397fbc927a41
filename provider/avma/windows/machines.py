"""All machines of a process: one object per connection.

All resources on a machine use the same object, so they can share its reads.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from functools import partial

from avma.connection import Connection
from avma.windows.license_lock import LicenseLock
from avma.windows.machine import Server
from avma.windows.shared_reads import Changes
from avma.wsman.idle_pipes import IdlePipes
from avma.wsman.pipe import Pipe, new_winrm_pipe
from avma.wsman.sign_ins import SignIns, guarded_pipe
from avma.wsman.wsman_client import WsmanClient


class Machines:
    """All machines of a process, each created on first use. Safe for several threads."""

    def __init__(self, max_concurrency: int, new_pipe: Callable[[Connection], Pipe] = new_winrm_pipe) -> None:
        self._limit = max_concurrency
        self.sign_ins = SignIns()
        self._host_changes = Changes()
        self._idle = IdlePipes()
        self._new_pipe = partial(guarded_pipe, self.sign_ins, new_pipe)
        self._lock = threading.RLock()
        self._machines: dict[Connection, Server] = {}
        self._locks: dict[str, LicenseLock] = {}

    def get(self, connection: Connection) -> Server:
        """Return the machine for that connection."""
        with self._lock:
            if connection not in self._machines:
                cim = WsmanClient(connection, self._limit, self._new_pipe, self._idle)
                self._machines[connection] = Server(
                    cim, self._new_pipe, self._lock_of, self.sign_ins, self._host_changes
                )
            return self._machines[connection]

    def _lock_of(self, machine: str, known: LicenseLock | None) -> LicenseLock:
        """Return the lock of a machine, by its identity. `known` is the lock of its connection, if it has one."""
        with self._lock:
            return self._locks.setdefault(machine, known or LicenseLock())

    def close(self) -> None:
        """Close the connections of all machines."""
        with self._lock:
            machines, self._machines = list(self._machines.values()), {}
        close_together(machines)


def close_together(machines: Iterable[Server | Machines]) -> None:
    """Close machines in parallel. Each can take `CLOSING` seconds if it does not answer."""
    closing = [threading.Thread(target=machine.close, daemon=True) for machine in machines]
    for thread in closing:
        thread.start()
    for thread in closing:
        thread.join()
