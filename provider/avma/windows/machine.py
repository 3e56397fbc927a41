"""A machine, with its connections and shared reads.

All resources on a machine use the same `Machine` (see `Machines`), so they can share its reads.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

from avma import errors
from avma.connection import Connection
from avma.context import Context
from avma.deadline import Deadline
from avma.windows import azure_local, cluster, computer, hyperv
from avma.windows.azure_local import AutomaticActivation
from avma.windows.batches import Activity
from avma.windows.cluster import FailoverCluster
from avma.windows.computer import System
from avma.windows.guest_requests import Companion
from avma.windows.guest_runs import GuestRuns
from avma.windows.hyperv import DataExchange, GuestFacts, VirtualMachine
from avma.windows.license_lock import LicenseLock
from avma.windows.licensing import Licensing, LicensingReader
from avma.windows.powershell import PowerShell
from avma.windows.powershell_direct import GuestWmi
from avma.windows.shared_reads import Changes, Era, History, SharedRead
from avma.windows.wmi import Wmi
from avma.wsman import retry
from avma.wsman.envelope import CimMethod
from avma.wsman.instance import Instance
from avma.wsman.pipe import Pipe
from avma.wsman.runspaces import Runspaces
from avma.wsman.script import Credential
from avma.wsman.sign_ins import SignIns
from avma.wsman.wsman_client import WsmanClient

S = TypeVar("S")
T = TypeVar("T")

CLOSING = 2.0
"""Seconds for the connections of a machine to close. Then the process ends without them."""


class Machine:
    """A Windows machine under the user's name for it: its WMI, and its licensing.

    Once the identity of the machine is known, all of its names and connections share `license_lock`.
    """

    def __init__(
        self,
        name: str,
        wmi: Wmi,
        license_lock: LicenseLock,
        host_changes: Changes,
        is_guest: bool = False,
        activity: Activity | None = None,
    ) -> None:
        self.name = name
        self.wmi: Wmi = _NotedWmi(wmi, self.change)
        self.license_lock = license_lock
        self._host_changes = host_changes
        self._is_guest = is_guest
        self._activity = activity or Activity()
        self._reader = LicensingReader(wmi)
        self._licensing = self._shared("read the license", self._reader.read)

    def _shared(self, tried: str, read: Callable[[Deadline], T]) -> SharedRead[T]:
        return SharedRead(read, tried, self.where, self._era, self._activity)

    def _history(self) -> History:
        return History(self.license_lock.changes, self._host_changes, self._is_guest)

    def _era(self) -> Era:
        return self._history().era

    def change(self) -> contextlib.AbstractContextManager[None]:
        """Change the machine in the block. Earlier answers about it are unusable from then on."""
        return self._history().change()

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

    def __init__(self, inner: Wmi, change: Callable[[], contextlib.AbstractContextManager[None]]) -> None:
        self._inner = inner
        self._change = change
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
        with self._change(), retry.noting_doubt():
            return self._inner.invoke(context, method, keys, parameters)

    def invoke_then_query(
        self, context: Context, method: CimMethod, keys: Mapping[str, str], parameters: Mapping[str, str], wql: str
    ) -> list[Instance] | None:
        """See `Wmi.invoke_then_query`."""
        with self._change(), retry.noting_doubt():
            return self._inner.invoke_then_query(context, method, keys, parameters, wql)


class GuestMachine(Machine):
    """Windows inside a VM, connected through PowerShell Direct."""

    def __init__(
        self, wmi: GuestWmi, name: str, license_lock: LicenseLock, host_changes: Changes, activity: Activity
    ) -> None:
        super().__init__(name, wmi, license_lock, host_changes, is_guest=True, activity=activity)
        self._guest_wmi = wmi

    def licensing(self, deadline: Deadline) -> Licensing:
        """See `Machine.licensing`. If a run for another guest reads this guest too, wait for that answer."""
        self._guest_wmi.await_companion(Context("read the license", self.where, deadline))
        return super().licensing(deadline)

    def is_unknown(self, deadline: Deadline) -> bool:
        """Return True if `licensing` needs a request."""
        return not self._licensing.has_fresh(deadline.max_age)

    def licensing_companion(self, deadline: Deadline) -> Companion:
        """Return a read of the licensing to go along with a run for other guests."""
        context, keep = Context("read the license", self.where, deadline), self._licensing.begin()

        def on_rows(results: list[list[Instance]]) -> None:
            found = self._reader.found_in(context, results)
            if found.product is not None:
                keep(found)

        queries, is_needed = self._reader.queries, partial(self.is_unknown, deadline)
        return self._guest_wmi.companion(context, computer.NAMESPACE, queries, on_rows, is_needed)


class Server(Machine):
    """A machine on the network. It can be a Hyper-V host, with VMs and connections into them."""

    def __init__(
        self,
        cim: WsmanClient,
        new_pipe: Callable[[Connection], Pipe],
        lock_of: Callable[[str, LicenseLock | None], LicenseLock],
        sign_ins: SignIns,
        host_changes: Changes,
    ) -> None:
        self.connection = connection = cim.connection
        super().__init__(connection.name, cim, lock_of(connection.endpoint, None), host_changes)
        self.cim = cim
        self._runspaces = Runspaces(connection, new_pipe)
        self.powershell = PowerShell(self._runspaces)
        self._runs = GuestRuns(self.powershell, self._activity)
        self.has_hyper_v = False
        """Whether the machine has listed its VMs before. Windows removes its Hyper-V role only in a restart."""
        self.guest_addresses: dict[str, str] = {}
        """The address of the last successful connection to each guest, by VM id."""
        self._reads: dict[Callable[..., Any], SharedRead[Any]] = {}
        """The shared reads so far, by the function that reads. A guest over the network needs two."""
        self._identity: str | None = None
        self._lock_of = lock_of
        self._sign_ins = sign_ins
        self._lock = threading.Lock()
        self._guests: dict[tuple[str, Credential], GuestMachine] = {}

    def _listing(self, tried: str, read: Callable[[Wmi, Deadline], T]) -> SharedRead[T]:
        return self._shared_once(tried, read, self.wmi)

    def _shared_once(self, tried: str, read: Callable[[S, Deadline], T], source: S) -> SharedRead[T]:
        """Return the shared read with that function. The first call creates it."""
        with self._lock:
            if read not in self._reads:
                self._reads[read] = self._shared(tried, partial(read, source))
            return self._reads[read]

    def _vms(self) -> SharedRead[tuple[VirtualMachine, ...]]:
        return self._listing("list the virtual machines", hyperv.list_virtual_machines)

    def _facts(self) -> SharedRead[Mapping[str, GuestFacts]]:
        return self._listing("read the Data Exchange reports of the guests", hyperv.list_guest_facts)

    def _exchange(self) -> SharedRead[Mapping[str, DataExchange]]:
        return self._listing("read the Data Exchange settings", hyperv.list_data_exchange)

    def _uuids(self) -> SharedRead[Mapping[str, str]]:
        return self._listing("identify the VMs", hyperv.list_firmware_uuids)

    def list_for_preview(self, deadline: Deadline) -> None:
        """List in parallel what the preview of an activation reads one after the other."""
        _list_in_parallel(deadline, self._licensing, self._exchange())

    def list_for_report(self, deadline: Deadline) -> None:
        """List in parallel what a report reads one after the other."""
        _list_in_parallel(deadline, self._vms(), self._licensing, self._facts())

    def list_for_guest_network(self, deadline: Deadline) -> None:
        """List in parallel what a connection over the network to a guest reads one after the other."""
        _list_in_parallel(deadline, self._facts(), self._uuids())

    def virtual_machines(self, deadline: Deadline) -> tuple[VirtualMachine, ...]:
        """Return all VMs of the host. See `hyperv.list_virtual_machines`. Parallel callers share one read.

        Raises:
            AvmaError: the host could not be queried, or has no Hyper-V.
        """
        listed = self._vms().ask(deadline)
        self.has_hyper_v = True
        return listed

    def has_fresh_virtual_machines(self, deadline: Deadline) -> bool:
        """Return True if `virtual_machines` needs no request."""
        return self._vms().has_fresh(deadline.max_age)

    def recent_virtual_machines(self, max_age: float) -> tuple[VirtualMachine, ...] | None:
        """Return the last listing of VMs up to that age in seconds, otherwise None. It only helps to find a VM."""
        return self._vms().recent(max_age)

    def guest_facts(self, deadline: Deadline) -> Mapping[str, GuestFacts]:
        """Return the reports of the guests by VM id. See `hyperv.list_guest_facts`. Parallel callers share one read.

        Raises:
            AvmaError: the host could not be queried, or has no Hyper-V.
        """
        return self._facts().ask(deadline)

    def data_exchange(self, deadline: Deadline) -> Mapping[str, DataExchange]:
        """Return the Data Exchange setting of each VM by VM id. Parallel callers share one read.

        Raises:
            AvmaError: the host could not be queried, or has no Hyper-V.
        """
        return self._exchange().ask(deadline)

    def firmware_uuids(self, deadline: Deadline) -> Mapping[str, str]:
        """Return the firmware UUID of each VM by VM id. Parallel callers share one read.

        Raises:
            AvmaError: the host could not be queried, or has no Hyper-V.
        """
        return self._uuids().ask(deadline)

    def firmware_uuid(self, deadline: Deadline) -> str:
        """Return the machine's own firmware UUID. See `computer.firmware_uuid`. Parallel callers share one read.

        Raises:
            AvmaError: the machine could not be queried.
        """
        return self._listing("identify the machine", computer.firmware_uuid).ask(deadline)

    def cluster(self, deadline: Deadline) -> FailoverCluster:
        """Return the cluster of the node. See `cluster.read`. Parallel callers share one read.

        Raises:
            AvmaError: the machine could not be queried, or is not part of a cluster.
        """
        return self._listing("read the nodes of the cluster", cluster.read).ask(deadline)

    def automatic_activation(self, deadline: Deadline) -> AutomaticActivation:
        """Return how the machine of Azure Local activates its guests. Parallel callers share one read.

        Raises:
            AvmaError: the script could not run, or the cmdlet failed.
        """
        tried = "read the automatic activation of guests"
        return self._shared_once(tried, azure_local.read, self.powershell).ask(deadline)

    def identity(self, deadline: Deadline) -> str:
        """Return the identity of the host. From then on, `license_lock` is shared with its other names.

        Raises:
            AvmaError: the machine could not be queried.
        """
        if self._identity is None:
            self._identity = self._listing("identify the machine", computer.read_identity).ask(deadline)
            self.license_lock = self._lock_of(self._identity, self.license_lock)
        return self._identity

    def _history(self) -> History:
        # A nested host is a guest too, and its own guests depend on it.
        return History(self.license_lock.changes, self._host_changes, self._is_guest and not self.has_hyper_v)

    def mark_as_guest(self, vm_id: str) -> None:
        """Share `license_lock` with all other connections to the same VM."""
        self.license_lock, self._is_guest = self._lock_of(vm_id, self.license_lock), True

    def guest(self, vm_id: str, name: str, account: Credential) -> GuestMachine:
        """Return Windows inside one of the host's VMs, connected through PowerShell Direct."""
        with self._lock:
            if (vm_id, account) not in self._guests:
                self._guests[vm_id, account] = GuestMachine(
                    GuestWmi(self._runs, vm_id, name, account, self._sign_ins),
                    name,
                    self._lock_of(vm_id, None),
                    self._host_changes,
                    self._activity,
                )
            return self._guests[vm_id, account]

    @contextlib.contextmanager
    def reading_ahead(self, vms: Iterable[VirtualMachine], account: Credential, deadline: Deadline) -> Iterator[None]:
        """Let the next script run in the block also read the licensing of those VMs, unless it is known.

        A later `licensing` of such a guest uses the answer if its operation accepts the age.
        """
        expected = self._runs.expected()
        guests = [self.guest(vm.id, vm.name, account) for vm in vms if vm.id not in expected]
        unknown = [guest for guest in guests if guest.is_unknown(deadline)]
        with self._runs.taking_along([guest.licensing_companion(deadline) for guest in unknown]):
            yield

    def asking_with_others(self) -> contextlib.AbstractContextManager[None]:
        """Let the requests of this thread to guests share script runs with those of other threads in such a block."""
        return self._runs.asking_with_others()

    def close(self) -> None:
        """Close the connections, and the PowerShell on the machine."""
        self._runspaces.close(CLOSING)
        self.wmi.close()


def _list_in_parallel(deadline: Deadline, *reads: SharedRead[Any]) -> None:
    """Make reads in parallel, for an operation that accepts their answers later.

    An error counts only later, when the operation makes that read itself. So call this after a first success.
    """
    missing = [read for read in reads if not read.has_fresh(deadline.max_age)]
    if deadline.max_age == 0 or len(missing) < 2:
        return
    with ThreadPoolExecutor(len(missing)) as threads:
        for future in [threads.submit(read.ask, deadline) for read in missing]:
            with contextlib.suppress(errors.AvmaError):
                future.result()
