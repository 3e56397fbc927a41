"""The machines that a process talks to: one record of connections and shared reads for each.

All resources on a machine go through the same `Machine`, so their reads meet and are shared.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial

from avma.connection import Connection
from avma.windows import cluster, hyperv, licensing
from avma.windows.shared_read import SharedRead
from avma.wsman.cim import Cim
from avma.wsman.pipe import Pipe, WinrmPipe


class Machine:
    """A Windows machine: its WMI, and the questions to it that are shared."""

    def __init__(self, connection: Connection, limit: int, new_pipe: Callable[[Connection], Pipe]) -> None:
        self.cim = cim = Cim(connection, limit, new_pipe)
        self.licensing = SharedRead(partial(licensing.read, cim), "read the licence", cim.where)
        self.virtual_machines = SharedRead(
            partial(hyperv.list_virtual_machines, cim), "list the virtual machines", cim.where
        )
        self.guest_facts = SharedRead(partial(hyperv.list_guest_facts, cim), "read the guests' facts", cim.where)
        self.cluster = SharedRead(partial(cluster.read, cim), "read the nodes of the cluster", cim.where)
        self.data_exchange = SharedRead(
            partial(hyperv.list_data_exchange, cim), "read the Data Exchange settings", cim.where
        )
        self.firmware_uuids = SharedRead(partial(hyperv.list_firmware_uuids, cim), "identify the VMs", cim.where)
        self.changing = threading.Lock()
        """Held by whoever changes the machine's licence."""
        self.changes = 0
        """How often its licence was changed by this process."""

    @property
    def name(self) -> str:
        """The name that the user gave the machine."""
        return self.cim.connection.name

    @property
    def where(self) -> str:
        """The machine as errors name it."""
        return self.cim.where


class Machines:
    """All machines of a process, each made when it is first needed. Safe to use from several threads."""

    def __init__(self, max_concurrency: int, new_pipe: Callable[[Connection], Pipe] = WinrmPipe) -> None:
        self._limit = max_concurrency
        self._new_pipe = new_pipe
        self._lock = threading.Lock()
        self._machines: dict[Connection, Machine] = {}
        self._to_be_licensed: set[str] = set()

    def get(self, connection: Connection) -> Machine:
        """Return the machine of that connection."""
        with self._lock:
            if connection not in self._machines:
                self._machines[connection] = Machine(connection, self._limit, self._new_pipe)
            return self._machines[connection]

    def expect_license(self, machine: Machine) -> None:
        """Note that the run will license the machine, as its preview has found."""
        self._to_be_licensed.add(machine.cim.connection.endpoint)

    def expects_license(self, machine: Machine) -> bool:
        """Say whether the run will license the machine, under whatever name."""
        return machine.cim.connection.endpoint in self._to_be_licensed

    def close(self) -> None:
        """End all idle connections."""
        with self._lock:
            machines, self._machines = list(self._machines.values()), {}
        for machine in machines:
            machine.cim.close()
