"""The machines that a process talks to: one record of connections and shared reads for each.

All resources on a machine go through the same `Machine`, so their reads meet and are shared.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from functools import partial

from avma.connection import Connection
from avma.deadline import Deadline
from avma.windows import azure_local, cluster, hyperv, identity, licensing
from avma.windows.direct import GuestWmi
from avma.windows.guest_run import Account
from avma.windows.guest_runs import GuestRuns
from avma.windows.licensing import Licensing
from avma.windows.operating_system import System
from avma.windows.powershell import PowerShell
from avma.windows.shared_read import SharedRead
from avma.windows.wmi import Wmi
from avma.wsman.cim import Cim
from avma.wsman.logged_pipe import LoggedPipe
from avma.wsman.pipe import Pipe, WinrmPipe
from avma.wsman.runspaces import Runspaces
from avma.wsman.sign_ins import GuardedPipe, SignIns

_POLL = 0.1
"""Seconds between two looks at the deadline while another thread changes the machine."""
_CLOSING = 2.0
"""Seconds that all connections of a process have to end, after which it ends without them."""


class Turns:
    """Who may change the licence of one machine now, and how often this process has changed it."""

    def __init__(self) -> None:
        self.changes = 0
        self._taken = threading.Lock()

    @contextlib.contextmanager
    def alone(self, since: int, deadline: Deadline, where: str) -> Iterator[bool]:
        """Keep the rest of this process from changing the machine; yield whether it did since `changes` was that.

        Raises:
            TimedOut, Cancelled: before it was this one's turn.
        """
        while not self._taken.acquire(timeout=_POLL):
            deadline.check("license", where)
        try:
            yield self.changes != since
        finally:
            self._taken.release()


class Machine:
    """A Windows machine by the name that the user gave it: its WMI, and the question to it that is shared.

    `turns` belongs to the machine itself, under whatever name it is known, once its identity was read.
    """

    def __init__(self, name: str, wmi: Wmi, turns: Turns) -> None:
        self.name = name
        self.wmi = wmi
        self.turns = turns
        self.licensing = SharedRead(self._read, "read the licence", wmi.where)
        self._system: System | None = None

    @property
    def where(self) -> str:
        """The machine as errors name it."""
        return self.wmi.where

    def system(self, deadline: Deadline) -> System:
        """Return which Windows it runs, which stays the same: it is asked only if no read has told it yet.

        Raises:
            AvmaError: the machine could not be asked.
        """
        return self._system or self.licensing(deadline).system

    def _read(self, deadline: Deadline) -> Licensing:
        found = licensing.read(self.wmi, deadline, self._system)
        self._system = found.system
        return found


class Server(Machine):
    """A machine that is reached over the network, which can be a Hyper-V host: its VMs, and the way into them."""

    def __init__(
        self,
        connection: Connection,
        limit: int,
        new_pipe: Callable[[Connection], Pipe],
        turns_of: Callable[[str], Turns],
        sign_ins: SignIns,
    ) -> None:
        cim = Cim(connection, limit, new_pipe)
        super().__init__(connection.name, cim, turns_of(connection.endpoint))
        self.connection = connection
        self.cim = cim
        self.virtual_machines = SharedRead(
            partial(hyperv.list_virtual_machines, cim), "list the virtual machines", cim.where
        )
        self.guest_facts = SharedRead(partial(hyperv.list_guest_facts, cim), "read the guests' facts", cim.where)
        self.cluster = SharedRead(partial(cluster.read, cim), "read the nodes of the cluster", cim.where)
        self.data_exchange = SharedRead(
            partial(hyperv.list_data_exchange, cim), "read the Data Exchange settings", cim.where
        )
        self.firmware_uuids = SharedRead(partial(hyperv.list_firmware_uuids, cim), "identify the VMs", cim.where)
        self._runspaces = Runspaces(connection, new_pipe)
        self.powershell = PowerShell(self._runspaces)
        self.automatic_activation = SharedRead(
            partial(azure_local.read, self.powershell), "read the automatic activation of guests", cim.where
        )
        self._runs = GuestRuns(self.powershell)
        self.guest_addresses: dict[str, str] = {}
        """At which address the guest of each VM was reached last, by the VM's id."""
        self._identify = SharedRead(partial(identity.read, cim), "identify the machine", cim.where)
        self._identity: str | None = None
        self._turns_of = turns_of
        self._sign_ins = sign_ins
        self._lock = threading.Lock()
        self._guests: dict[tuple[str, Account], Machine] = {}

    def identity(self, deadline: Deadline) -> str:
        """Return which host it is, whatever its name here; from then on it shares its turns with its other names.

        Raises:
            AvmaError: the machine could not be asked.
        """
        if self._identity is None:
            self._identity = self._identify(deadline)
            self.turns = self._turns_of(self._identity)
        return self._identity

    def is_guest(self, vm_id: str) -> None:
        """Take turns with whoever reaches the same VM in another way."""
        self.turns = self._turns_of(vm_id)

    def guest(self, vm_id: str, name: str, account: Account) -> Machine:
        """Return the Windows inside one of its VMs, reached through PowerShell Direct."""
        with self._lock:
            if (vm_id, account) not in self._guests:
                self._guests[vm_id, account] = Machine(
                    name, GuestWmi(self._runs, vm_id, name, account, self._sign_ins), self._turns_of(vm_id)
                )
            return self._guests[vm_id, account]

    def close(self) -> None:
        """End the connections, and the PowerShell on the machine."""
        self._runspaces.close(_CLOSING)
        self.wmi.close()


class Machines:
    """All machines of a process, each made when it is first needed. Safe to use from several threads."""

    def __init__(self, max_concurrency: int, new_pipe: Callable[[Connection], Pipe] = WinrmPipe) -> None:
        self._limit = max_concurrency
        self._new_pipe = new_pipe
        self.sign_ins = SignIns()
        self._lock = threading.RLock()
        self._machines: dict[Connection, Server] = {}
        self._turns: dict[str, Turns] = {}

    def get(self, connection: Connection) -> Server:
        """Return the machine of that connection."""
        with self._lock:
            if connection not in self._machines:
                self._machines[connection] = Server(
                    connection, self._limit, self._guarded, self._turns_of, self.sign_ins
                )
            return self._machines[connection]

    def _guarded(self, connection: Connection) -> Pipe:
        return GuardedPipe(connection, LoggedPipe(connection, self._new_pipe(connection)), self.sign_ins)

    def _turns_of(self, machine: str) -> Turns:
        with self._lock:
            return self._turns.setdefault(machine, Turns())

    def close(self) -> None:
        """End all idle connections."""
        with self._lock:
            machines, self._machines = list(self._machines.values()), {}
        closing = [threading.Thread(target=machine.close, daemon=True) for machine in machines]
        for thread in closing:
            thread.start()
        for thread in closing:
            thread.join()
