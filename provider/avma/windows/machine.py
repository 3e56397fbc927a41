"""The machines of a process: one object per connection, with its connections and shared reads.

All resources on a machine use the same `Machine`, so they can share its reads.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import TypeVar

from avma.connection import Connection
from avma.context import Context
from avma.deadline import Deadline
from avma.windows import azure_local, cluster, computer, hyperv
from avma.windows.azure_local import AutomaticActivation
from avma.windows.batches import Changes, SharedRead
from avma.windows.cluster import FailoverCluster
from avma.windows.computer import System
from avma.windows.guest_runs import GuestAccount, GuestRuns
from avma.windows.hyperv import DataExchange, GuestFacts, VirtualMachine
from avma.windows.licensing import Licensing, LicensingReader
from avma.windows.powershell import PowerShell
from avma.windows.powershell_direct import GuestWmi
from avma.windows.wmi import Wmi
from avma.wsman.envelope import CimMethod
from avma.wsman.instance import Instance
from avma.wsman.pipe import Pipe, new_winrm_pipe
from avma.wsman.runspaces import Runspaces
from avma.wsman.sign_ins import SignIns, guarded_pipe
from avma.wsman.wsman_client import WsmanClient

T = TypeVar("T")

_CLOSING = 2.0
"""Seconds for all connections of a process to close. Then the process ends without them."""


class LicenseLock:
    """A lock for license changes to one machine, and a counter of this process's changes."""

    def __init__(self) -> None:
        self.changes = 0
        self._taken = threading.Lock()

    @contextlib.contextmanager
    def exclusive(self, since: int, deadline: Deadline, where: str) -> Iterator[bool]:
        """Hold the lock of the machine. Yield True if `changes` differs from `since`.

        Raises:
            TimedOut, Cancelled: the lock was not free in time.
        """
        deadline.acquire(self._taken, "change the license", where)
        try:
            yield self.changes != since
        finally:
            self._taken.release()


class Machine:
    """A Windows machine under the user's name for it: its WMI, and its licensing.

    Once the identity of the machine is known, all of its names and connections share `license_lock`.
    """

    def __init__(self, name: str, wmi: Wmi, license_lock: LicenseLock, changes: Changes) -> None:
        self.name = name
        self.wmi: Wmi = _NotedWmi(wmi, changes)
        self.license_lock = license_lock
        self.changes = changes
        self._reader = LicensingReader(wmi)
        self._licensing = SharedRead(self._reader.read, "read the license", wmi.where, changes)

    @property
    def where(self) -> str:
        """The machine's name in errors."""
        return self.wmi.where

    def licensing(self, deadline: Deadline) -> Licensing:
        """Return the licensing of the machine. See `LicensingReader.read`. Parallel callers share one read.

        Raises:
            AvmaError: the machine could not be queried, or does not run Windows Server.
        """
        return self._licensing.ask(deadline)

    def system(self, deadline: Deadline) -> System:
        """Return the Windows release and edition of the machine. They do not change, so one read is enough.

        Raises:
            AvmaError: the machine could not be queried.
        """
        return self._reader.system or self.licensing(deadline).system


class _NotedWmi:
    """The WMI of a machine, where each method call counts as a change of this process."""

    def __init__(self, inner: Wmi, changes: Changes) -> None:
        self._inner = inner
        self._changes = changes
        self.query = inner.query
        self.query_all = inner.query_all
        self.close = inner.close

    @property
    def where(self) -> str:
        """The machine's name in errors."""
        return self._inner.where

    def invoke(
        self, context: Context, method: CimMethod, keys: Mapping[str, str], parameters: Mapping[str, str]
    ) -> Instance:
        """See `Wmi.invoke`."""
        with self._changes.change():
            return self._inner.invoke(context, method, keys, parameters)


class Server(Machine):
    """A machine on the network. It can be a Hyper-V host, with VMs and connections into them."""

    def __init__(
        self,
        connection: Connection,
        limit: int,
        new_pipe: Callable[[Connection], Pipe],
        lock_of: Callable[[str], LicenseLock],
        sign_ins: SignIns,
        changes: Changes,
    ) -> None:
        cim = WsmanClient(connection, limit, new_pipe)
        super().__init__(connection.name, cim, lock_of(connection.endpoint), changes)
        self.connection = connection
        self.cim = cim
        self._runspaces = Runspaces(connection, new_pipe)
        self.powershell = PowerShell(self._runspaces)
        self._runs = GuestRuns(self.powershell)
        self.guest_addresses: dict[str, str] = {}
        """The address of the last successful connection to each guest, by VM id."""
        self._virtual_machines = self._shared("list the virtual machines", hyperv.list_virtual_machines)
        self._guest_facts = self._shared("read the Data Exchange reports of the guests", hyperv.list_guest_facts)
        self._data_exchange = self._shared("read the Data Exchange settings", hyperv.list_data_exchange)
        self._firmware_uuids = self._shared("identify the VMs", hyperv.list_firmware_uuids)
        self._cluster = self._shared("read the nodes of the cluster", cluster.read)
        self._automatic_activation = SharedRead(
            partial(azure_local.read, self.powershell), "read the automatic activation of guests", cim.where, changes
        )
        self._identify = self._shared("identify the machine", computer.read_identity)
        self._identity: str | None = None
        self._lock_of = lock_of
        self._sign_ins = sign_ins
        self._lock = threading.Lock()
        self._guests: dict[tuple[str, GuestAccount], Machine] = {}

    def _shared(self, tried: str, read: Callable[[Wmi, Deadline], T]) -> SharedRead[T]:
        return SharedRead(partial(read, self.wmi), tried, self.where, self.changes)

    def virtual_machines(self, deadline: Deadline) -> tuple[VirtualMachine, ...]:
        """Return all VMs of the host. See `hyperv.list_virtual_machines`. Parallel callers share one read.

        Raises:
            AvmaError: the host could not be queried, or has no Hyper-V.
        """
        return self._virtual_machines.ask(deadline)

    def guest_facts(self, deadline: Deadline) -> Mapping[str, GuestFacts]:
        """Return the reports of the guests by VM id. See `hyperv.list_guest_facts`. Parallel callers share one read.

        Raises:
            AvmaError: the host could not be queried, or has no Hyper-V.
        """
        return self._guest_facts.ask(deadline)

    def data_exchange(self, deadline: Deadline) -> Mapping[str, DataExchange]:
        """Return the Data Exchange setting of each VM by VM id. Parallel callers share one read.

        Raises:
            AvmaError: the host could not be queried, or has no Hyper-V.
        """
        return self._data_exchange.ask(deadline)

    def firmware_uuids(self, deadline: Deadline) -> Mapping[str, str]:
        """Return the firmware UUID of each VM by VM id. Parallel callers share one read.

        Raises:
            AvmaError: the host could not be queried, or has no Hyper-V.
        """
        return self._firmware_uuids.ask(deadline)

    def cluster(self, deadline: Deadline) -> FailoverCluster:
        """Return the cluster of the node. See `cluster.read`. Parallel callers share one read.

        Raises:
            AvmaError: the machine could not be queried, or is not part of a cluster.
        """
        return self._cluster.ask(deadline)

    def automatic_activation(self, deadline: Deadline) -> AutomaticActivation:
        """Return how the machine of Azure Local activates its guests. Parallel callers share one read.

        Raises:
            AvmaError: the script could not run, or the cmdlet failed.
        """
        return self._automatic_activation.ask(deadline)

    def identity(self, deadline: Deadline) -> str:
        """Return the identity of the host. From then on, `license_lock` is shared with its other names.

        Raises:
            AvmaError: the machine could not be queried.
        """
        if self._identity is None:
            self._identity = self._identify.ask(deadline)
            self.license_lock = self._lock_of(self._identity)
        return self._identity

    def mark_as_guest(self, vm_id: str) -> None:
        """Share `license_lock` with all other connections to the same VM."""
        self.license_lock = self._lock_of(vm_id)

    def guest(self, vm_id: str, name: str, account: GuestAccount) -> Machine:
        """Return Windows inside one of the host's VMs, connected through PowerShell Direct."""
        with self._lock:
            if (vm_id, account) not in self._guests:
                self._guests[vm_id, account] = Machine(
                    name, GuestWmi(self._runs, vm_id, name, account, self._sign_ins), self._lock_of(vm_id), self.changes
                )
            return self._guests[vm_id, account]

    def close(self) -> None:
        """Close the connections, and the PowerShell on the machine."""
        self._runspaces.close(_CLOSING)
        self.wmi.close()


class Machines:
    """All machines of a process, each created on first use. Safe for several threads."""

    def __init__(self, max_concurrency: int, new_pipe: Callable[[Connection], Pipe] = new_winrm_pipe) -> None:
        self._limit = max_concurrency
        self.sign_ins = SignIns()
        self._changes = Changes()
        self._new_pipe = partial(guarded_pipe, self.sign_ins, new_pipe)
        self._lock = threading.RLock()
        self._machines: dict[Connection, Server] = {}
        self._locks: dict[str, LicenseLock] = {}

    def get(self, connection: Connection) -> Server:
        """Return the machine for that connection."""
        with self._lock:
            if connection not in self._machines:
                self._machines[connection] = Server(
                    connection, self._limit, self._new_pipe, self._lock_of, self.sign_ins, self._changes
                )
            return self._machines[connection]

    def _lock_of(self, machine: str) -> LicenseLock:
        with self._lock:
            return self._locks.setdefault(machine, LicenseLock())

    def close(self) -> None:
        """Close the connections of all machines."""
        with self._lock:
            machines, self._machines = list(self._machines.values()), {}
        closing = [threading.Thread(target=machine.close, daemon=True) for machine in machines]
        for thread in closing:
            thread.start()
        for thread in closing:
            thread.join()
