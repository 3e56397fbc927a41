"""The order of the checks, and their dependencies: if a check fails, its dependent checks are skipped."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

from avma.configuration import Configuration, GuestDefaults, Transport
from avma.deadline import Deadline
from avma.diagnosis import host as middle
from avma.diagnosis.asking import Finding, ask, outcome
from avma.diagnosis.guest import Guests
from avma.diagnosis.open_questions import ask_open_questions
from avma.diagnosis.reaching import Reaching
from avma.diagnosis.step import Rung, Status, Step
from avma.errors import AvmaError, EmptyAnswer
from avma.resources.cluster_license.cluster_nodes import NodeState, find_nodes
from avma.resources.resource import Operation
from avma.settings import AddressedSettings
from avma.windows.machine import Machines
from avma.wsman.soap_faults import is_missing_class

_log = logging.getLogger("avma.diagnosis")

_TIMEOUT = 600.0
"""Timeout of a diagnosis in seconds. The timeouts of the connection end each request."""

_NEEDS = {
    Rung.PORT: (Rung.NAME,),
    Rung.TLS: (Rung.PORT,),
    Rung.LOGON: (Rung.PORT,),
    Rung.CIM: (Rung.TLS, Rung.LOGON),
    Rung.VIRTUALIZATION: (Rung.TLS, Rung.LOGON),
    Rung.SHELL: (Rung.TLS, Rung.LOGON),
    Rung.SYSTEM: (Rung.CIM,),
    Rung.LICENSE: (Rung.CIM,),
    Rung.HYPER_V: (Rung.VIRTUALIZATION,),
    Rung.DIRECT: (Rung.CIM,),
    Rung.VM: (Rung.HYPER_V,),
    Rung.CLUSTER: (Rung.TLS, Rung.LOGON),
    Rung.PEER: (Rung.CLUSTER,),
}
"""The checks on which a check depends."""

Begin = Callable[[Rung, str], None]


class Ladder:
    """The diagnosis of one host. It calls `begin` before each check.

    Raises:
        InvalidInput: the settings cannot work.
    """

    def __init__(
        self, host: str, settings: AddressedSettings, transport: Transport, machines: Machines, begin: Begin
    ) -> None:
        configuration = Configuration(guest=GuestDefaults(transport=transport))
        self._operation = Operation(configuration, machines, Deadline(_TIMEOUT), _ignore, _ignore)
        self._server = self._operation.machine(host, settings)
        self._settings = settings
        self._transport = transport
        self._begin = begin
        self._closed: dict[Rung, Rung] = {}
        """The failed or skipped checks, each with the failed check behind it."""

    def climb(self) -> Iterator[Step]:
        """Yield the result of each check as soon as it is available."""
        reaching = Reaching(self._server, self._operation.deadline)
        host = middle.Host(self._server, self._transport, self._operation)
        questions: tuple[tuple[Rung, Callable[[], Finding]], ...] = (
            (Rung.NAME, reaching.name),
            (Rung.PORT, reaching.port),
            (Rung.TLS, reaching.tls),
            (Rung.LOGON, reaching.logon),
            (Rung.CIM, host.cim),
            (Rung.VIRTUALIZATION, host.virtualization),
            (Rung.SHELL, host.shell),
            (Rung.SYSTEM, host.operating_system),
            (Rung.LICENSE, host.license),
            (Rung.HYPER_V, host.hyper_v),
            (Rung.DIRECT, host.direct),
        )
        for rung, question in questions:
            yield self._step(rung, question)
        yield from self._guests(host)
        yield from self._cluster()

    def ask_open_questions(self) -> None:
        """Send the queries for a recording. Call this after `climb`."""
        if Rung.CIM not in self._closed:
            ask_open_questions(self._server, self._operation.deadline)

    def _step(self, rung: Rung, question: Callable[[], Finding], subject: str = "") -> Step:
        subject = subject or self._server.name
        missing = next((need for need in _NEEDS.get(rung, ()) if need in self._closed), None)
        if missing is not None:
            self._closed[rung] = self._closed[missing]
            found = f"not checked, because this failed: {self._closed[rung].description}"
            return Step(rung, subject, Status.SKIPPED, found)
        self._begin(rung, subject)
        step = ask(rung, subject, question)
        if step.status is Status.FAILED:
            self._closed[rung] = rung
        _log.info("%s: %s: %s", subject, rung.value, step.status.value)
        return step

    def _guests(self, host: middle.Host) -> Iterator[Step]:
        if Rung.HYPER_V in self._closed or isinstance(host.virtual_machines, AvmaError):
            return
        guests = outcome(lambda: Guests(self._server, host.state, self._transport, self._operation))
        for vm in host.virtual_machines:
            question = partial(_raise, guests) if isinstance(guests, AvmaError) else partial(guests.vm, vm)
            yield replace(self._step(Rung.VM, question, vm.name), vm_id=vm.id)

    def _cluster(self) -> Iterator[Step]:
        step = self._step(Rung.CLUSTER, self._nodes)
        yield step
        if step.status is not Status.PASSED:
            return
        nodes = outcome(lambda: find_nodes(self._server.name, [], self._settings, self._operation))
        if isinstance(nodes, AvmaError):
            yield self._step(Rung.PEER, partial(_raise, nodes))
            return
        for node in nodes:
            if not self._is_host(node):
                yield self._step(Rung.PEER, partial(self._peer, node), node.name)

    def _nodes(self) -> Finding:
        found = outcome(lambda: self._server.cluster(self._operation.deadline))
        if isinstance(found, AvmaError) and is_missing_class(found):
            return Finding("not a node of a failover cluster", Status.SKIPPED)
        if isinstance(found, EmptyAnswer):  # or a host with only the clustering feature
            return Finding("root/mscluster lists no cluster", Status.WARNING, found)
        if isinstance(found, AvmaError):
            raise found
        return Finding(f"{found.name}: {', '.join(f'{node.name} {node.state}' for node in found.nodes)}")

    def _peer(self, node: NodeState) -> Finding:
        if node.error is not None:
            raise node.error
        return middle.peer(node.machine, self._operation)

    def _is_host(self, node: NodeState) -> bool:
        own, other = self._server.connection, node.machine.connection
        return other.address == own.address or node.name == own.name.partition(".")[0].lower()


def _raise(error: AvmaError) -> Finding:
    raise error


def _ignore(_: str) -> None:
    """Ignore a message of an operation. The steps of the diagnosis contain it."""
