"""The collection of an inventory: read hosts, clusters and guests in parallel.

The collection changes nothing. An error affects only its own machine. The reads are those of the resources and
functions.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import Any

from avma import errors, topics
from avma.cancellation import Cancellation
from avma.configuration import Guest, GuestDefaults
from avma.deadline import Deadline
from avma.inventory.inventory import Answer, Inventory, SeenCluster, SeenHost, SeenVm
from avma.inventory.request import ClusterRequest, InventoryRequest
from avma.resources import data_exchange, guest_access, host_state
from avma.resources.cluster_license.cluster_nodes import find_nodes
from avma.resources.host_license.host_properties import host_outputs
from avma.resources.placement import Placement
from avma.resources.resource import Operation
from avma.resources.vm_activation.vm_properties import outputs_of
from avma.windows import hyperv
from avma.windows.hyperv import GuestFacts, VirtualMachine
from avma.windows.machine import Server
from avma.windows.machines import Machines

GUESTS_AT_ONCE = 16
"""Threads that read the guests of one host. Through PowerShell Direct, one script run reads all of them."""

_ANSWERS = {
    errors.InvalidInput: Answer.NOT_ASKED,
    errors.NotOnHost: Answer.FAILED,
    errors.LogonUncertain: Answer.FAILED,  # A kind of NotReady: Windows reports the same error for both causes.
    errors.NotReady: Answer.DOWN,
    errors.Unreachable: Answer.DOWN,
    errors.TimedOut: Answer.DOWN,
}
"""The meaning of each error. The first match counts. Any other error is a failure."""


@dataclass(frozen=True)
class Progress:
    """The number of finished machines, the number of known ones, and the last finished one."""

    done: int
    known: int
    machine: str


@dataclass(frozen=True)
class _Asked:
    """A host to read, with the known values. A host with a problem is not read, and may have no `server`."""

    seen: SeenHost
    server: Server | None
    guest: GuestDefaults | None


class Collector:
    """Collects an inventory. `seconds` is the time limit for one host and its guests, or for one cluster."""

    def __init__(
        self,
        request: InventoryRequest,
        machines: Machines,
        *,
        seconds: float,
        at_once: int,
        show_progress: Callable[[Progress], None],
        warn: Callable[[str], None],
        redact: Callable[[str], str],
    ) -> None:
        self._request = request
        self._machines = machines
        self._seconds = seconds
        self._at_once = at_once
        self._cancellation = Cancellation()
        self._show_progress = show_progress
        self._warn = warn
        self._redact = redact

    def collect(self) -> Inventory:
        """Return the inventory. A machine that could not be read is included, with the reason."""
        with ThreadPoolExecutor(self._at_once) as threads, self._stopping(threads):
            named = list(threads.map(self._cluster, self._request.clusters))
            asked = self._distinct([*(node for _, nodes in named for node in nodes), *self._hosts()])
            futures = [threads.submit(self._host, host) for host in asked]
            for done, future in enumerate(as_completed(futures), 1):
                self._show_progress(Progress(done, len(asked), self._redact(future.result().host)))
            seen = [future.result() for future in futures]
        inventory = Inventory(
            taken_at=datetime.now(timezone.utc).isoformat(timespec="seconds"),
            clusters=sorted((cluster for cluster, _ in named), key=lambda cluster: cluster.cluster),
            hosts=sorted(seen, key=lambda host: (host.cluster is None, host.cluster or "", host.host.lower())),
        )
        return inventory.redacted(self._redact)

    @contextlib.contextmanager
    def _stopping(self, threads: ThreadPoolExecutor) -> Iterator[None]:
        """Cancel all active operations when the user stops the run, or after an error."""
        try:
            yield
        except BaseException:
            self._cancellation.set()
            threads.shutdown(wait=False, cancel_futures=True)
            raise

    def _operation(self) -> Operation:
        # A report is a picture of one moment, so it asks each machine once.
        deadline = Deadline(self._seconds, self._cancellation, max_age=self._seconds)
        return Operation(self._request.settings, self._machines, deadline, lambda _: None, self._warn)

    def _hosts(self) -> Iterator[_Asked]:
        """Yield the hosts in the request itself."""
        for wanted in self._request.hosts:
            seen = SeenHost(host=wanted.host, address=wanted.host, answer=Answer.NOT_ASKED)
            seen = replace(seen, recorded_since=wanted.recorded_since)
            try:
                server = self._operation().machine(wanted.host, wanted.connection, self._request.settings)
            except errors.AvmaError as error:
                yield _Asked(replace(seen, **self._trouble(error)), None, None)
            else:
                yield _Asked(replace(seen, address=server.connection.address), server, wanted.guest)

    def _cluster(self, wanted: ClusterRequest) -> tuple[SeenCluster, list[_Asked]]:
        """Read the nodes of a cluster."""
        seen = SeenCluster(cluster=wanted.cluster, answer=Answer.ANSWERED, recorded_since=wanted.recorded_since)
        try:
            nodes = find_nodes(wanted.cluster, [], wanted.connection, self._operation())
        except errors.AvmaError as error:
            return replace(seen, **self._trouble(error)), []
        asked = []
        for node in nodes:
            host = SeenHost(host=node.name, address=node.machine.connection.address, answer=Answer.NOT_ASKED)
            host = replace(host, cluster=wanted.cluster, cluster_state=node.cluster_state)
            host = replace(host, recorded_since=wanted.recorded_since)
            if node.error is not None:
                host = replace(host, **self._trouble(node.error))
            asked.append(_Asked(host, node.machine, wanted.guest))
        return seen, asked

    def _distinct(self, asked: Sequence[_Asked]) -> list[_Asked]:
        """Remove duplicates: a host can also be a node of a cluster in the request. The first one counts."""
        first: dict[str, _Asked] = {}
        for host in asked:
            place = host.server.connection.endpoint if host.server else host.seen.address
            first.setdefault(place.lower(), host)
        return list(first.values())

    def _host(self, asked: _Asked) -> SeenHost:
        """Read a host, then its guests."""
        if asked.server is None or asked.seen.problem is not None:
            return asked.seen
        server, operation = asked.server, self._operation()
        seen = asked.seen
        try:
            server.identity(operation.deadline)
            server.list_for_report(operation.deadline)
            outputs = host_outputs(host_state.read_host_state(server, operation), operation)
        except errors.AvmaError as error:
            seen = replace(seen, **self._trouble(error))
            if seen.answer is Answer.DOWN:
                return seen
        else:
            seen = replace(
                seen,
                answer=Answer.ANSWERED,
                license_status=outputs.license_status,
                license_channel=outputs.license_channel,
                partial_product_key=outputs.partial_product_key,
                os_version=outputs.os_version,
                edition=outputs.edition,
                activates_guests=outputs.activates_guests,
            )
        try:
            return replace(seen, vms=self._vms(server, asked.guest, operation))
        except errors.AvmaError as error:
            return replace(seen, **self._trouble(error))

    def _vms(self, server: Server, guest: GuestDefaults | None, operation: Operation) -> list[SeenVm]:
        vms = sorted(server.virtual_machines(operation.deadline), key=lambda vm: (vm.name.lower(), vm.id))
        facts = server.guest_facts(operation.deadline)
        settings = Guest(**vars(guest)) if guest else None

        def look(vm: VirtualMachine) -> SeenVm:
            return self._vm(Placement(vm, server), data_exchange.facts_in(facts, vm, operation), settings, operation)

        readable = [vm for vm in vms if vm.running and _may_run_windows(hyperv.facts_of_vm(facts, vm))]
        together = guest_access.reading_together(server, readable, settings, operation)
        with together, ThreadPoolExecutor(min(len(vms), GUESTS_AT_ONCE) or 1) as threads:
            return list(threads.map(look, vms))

    def _vm(self, placement: Placement, facts: GuestFacts, guest: Guest | None, operation: Operation) -> SeenVm:
        """Return the host's data about a VM, and the guest's data if the guest can be read."""
        seen = _known_to_host(placement.vm, facts)
        if not placement.vm.running:
            return replace(seen, answer=Answer.OFF)
        if not _may_run_windows(facts):
            return replace(seen, problem="the guest reports an operating system other than Windows")
        try:
            machine = guest_access.connect(placement, guest, operation)
            found = guest_access.read_licensing(machine, placement, guest, operation)
        except errors.AvmaError as error:
            return replace(seen, **self._trouble(error))
        outputs, product = outputs_of(placement.vm, found.system, found.product), found.product
        return replace(
            seen,
            **{name: value for name, value in vars(outputs).items() if hasattr(seen, name)},
            answer=Answer.ANSWERED,
            last_activation_time=product.activated_at if product else None,
            minutes_remaining=product.grace_minutes if product else 0,
        )

    def _trouble(self, error: errors.AvmaError) -> dict[str, Any]:
        """Return the properties for an error."""
        answer = next((answer for kind, answer in _ANSWERS.items() if isinstance(error, kind)), Answer.FAILED)
        remedy = topics.explained(errors.sentences(error.remedy), error.topic)
        return {"answer": answer, "problem": error.answer, "remedy": remedy}


def _may_run_windows(facts: GuestFacts) -> bool:
    """Return False if the guest reports an operating system other than Windows."""
    name = facts.values.get("OSName")
    return not name or "Windows" in name


def _known_to_host(vm: VirtualMachine, facts: GuestFacts) -> SeenVm:
    return SeenVm(
        answer=Answer.NOT_ASKED,
        vm_id=vm.id,
        vm_name=vm.name,
        running=vm.running,
        guest_name=facts.fully_qualified_domain_name or None,
        guest_os=facts.values.get("OSName") or None,
        guest_version=facts.system.version if facts.system else None,
        guest_edition=facts.system.edition if facts.system else None,
    )
