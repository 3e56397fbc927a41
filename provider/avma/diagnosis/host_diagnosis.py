"""The order of the checks, and their dependencies: if a check fails, its dependent checks are skipped."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

from avma.configuration import Configuration, GuestDefaults, Transport
from avma.deadline import Deadline
from avma.diagnosis.connection_checks import ConnectionChecks
from avma.diagnosis.finding import Finding, outcome, run_check
from avma.diagnosis.host_checks import HostChecks, check_peer
from avma.diagnosis.step import Check, Status, Step
from avma.diagnosis.vm_checks import VmChecks
from avma.errors import AvmaError, EmptyAnswer
from avma.resources.cluster_license.cluster_nodes import NodeState, find_nodes
from avma.resources.resource import Operation
from avma.settings import AddressedSettings
from avma.windows.machines import Machines
from avma.wsman.soap_faults import is_missing_class

_log = logging.getLogger("avma.diagnosis")

_TIMEOUT = 600.0
"""Timeout of a diagnosis in seconds. The timeouts of the connection end each request."""

_NEEDS = {
    Check.PORT: (Check.NAME,),
    Check.TLS: (Check.PORT,),
    Check.LOGON: (Check.PORT,),
    Check.CIM: (Check.TLS, Check.LOGON),
    Check.VIRTUALIZATION: (Check.TLS, Check.LOGON),
    Check.SHELL: (Check.TLS, Check.LOGON),
    Check.SYSTEM: (Check.CIM,),
    Check.LICENSE: (Check.CIM,),
    Check.HYPER_V: (Check.VIRTUALIZATION,),
    Check.DIRECT: (Check.CIM,),
    Check.VM: (Check.HYPER_V,),
    Check.CLUSTER: (Check.TLS, Check.LOGON),
    Check.PEER: (Check.CLUSTER,),
}
"""The checks on which a check depends."""

Begin = Callable[[Check, str], None]


class HostDiagnosis:
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
        self._failed: dict[Check, Check] = {}
        """The failed or skipped checks, each with the failed check behind it."""

    def run(self) -> Iterator[Step]:
        """Yield the result of each check as soon as it is available."""
        connection = ConnectionChecks(self._server, self._operation.deadline)
        host = HostChecks(self._server, self._transport, self._operation)
        questions: tuple[tuple[Check, Callable[[], Finding]], ...] = (
            (Check.NAME, connection.name),
            (Check.PORT, connection.port),
            (Check.TLS, connection.tls),
            (Check.LOGON, connection.logon),
            (Check.CIM, host.cim),
            (Check.VIRTUALIZATION, host.virtualization),
            (Check.SHELL, host.shell),
            (Check.SYSTEM, host.operating_system),
            (Check.LICENSE, host.license),
            (Check.HYPER_V, host.hyper_v),
            (Check.DIRECT, host.direct),
        )
        for check, question in questions:
            yield self._step(check, question)
        yield from self._guests(host)
        yield from self._cluster()

    def _step(self, check: Check, question: Callable[[], Finding], subject: str = "") -> Step:
        subject = subject or self._server.name
        missing = next((need for need in _NEEDS.get(check, ()) if need in self._failed), None)
        if missing is not None:
            self._failed[check] = self._failed[missing]
            found = f"not checked, because this failed: {self._failed[check].description}"
            return Step(check, subject, Status.SKIPPED, found)
        self._begin(check, subject)
        step = run_check(check, subject, question)
        if step.status is Status.FAILED:
            self._failed[check] = check
        _log.info("%s: %s: %s", subject, check.value, step.status.value)
        return step

    def _guests(self, host: HostChecks) -> Iterator[Step]:
        if Check.HYPER_V in self._failed or isinstance(host.virtual_machines, AvmaError):
            return
        guests = outcome(lambda: VmChecks(self._server, host.state, self._transport, self._operation))
        for vm in host.virtual_machines:
            question = partial(_raise, guests) if isinstance(guests, AvmaError) else partial(guests.vm, vm)
            yield replace(self._step(Check.VM, question, vm.name), vm_id=vm.id)

    def _cluster(self) -> Iterator[Step]:
        step = self._step(Check.CLUSTER, self._nodes)
        yield step
        if step.status is not Status.PASSED:
            return
        nodes = outcome(lambda: find_nodes(self._server.name, [], self._settings, self._operation))
        if isinstance(nodes, AvmaError):
            yield self._step(Check.PEER, partial(_raise, nodes))
            return
        for node in nodes:
            if not self._is_host(node):
                yield self._step(Check.PEER, partial(self._peer, node), node.name)

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
        return check_peer(node.machine, self._operation)

    def _is_host(self, node: NodeState) -> bool:
        own, other = self._server.connection, node.machine.connection
        return other.address == own.address or node.name == own.name.partition(".")[0].lower()


def _raise(error: AvmaError) -> Finding:
    raise error


def _ignore(_: str) -> None:
    """Ignore a message of an operation. The steps of the diagnosis contain it."""
