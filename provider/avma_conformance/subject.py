"""A machine under observation: the product's connection to it, and requests that the product does not send itself."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from avma import errors
from avma.connection import Connection
from avma.context import Context
from avma.deadline import Deadline
from avma.windows import computer, hyperv
from avma.windows.hyperv import VirtualMachine
from avma.windows.machine import GuestMachine, Server
from avma.windows.machines import Machines
from avma.wsman import envelope, safe_xml
from avma.wsman.envelope import Message
from avma.wsman.instance import Instance
from avma.wsman.pipe import Pipe
from avma.wsman.script import Credential
from avma_conformance.fact import NotHere
from avma_conformance.fault_form import NO_FAULT, FaultForm, fault_form
from avma_conformance.http_answer import HttpAnswer

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

CIMV2, HYPER_V = computer.NAMESPACE, hyperv.NAMESPACE
_ACCEPTED = "Windows accepted a change that it must reject, so the run makes no further changes"
_FACT = 120.0
"""Seconds for the observation of one fact."""


@dataclass(frozen=True)
class Target:
    """A machine to observe.

    Attributes:
        connection: the connection of an administrator.
        user: the connection of an account that is not an administrator, if there is one.
        guest: an account in the VM `vm`, if there is one.
        vm: the name or id of the only VM that receives the password of `guest`.
    """

    connection: Connection
    user: Connection | None = None
    guest: Credential | None = None
    vm: str | None = None


class Subject:
    """A machine under observation. Each fact gets a new deadline from `begin`."""

    def __init__(self, target: Target, machines: Machines, new_pipe: Callable[[Connection], Pipe]) -> None:
        self.target = target
        self.server: Server = machines.get(target.connection)
        self._machines = machines
        self._new_pipe = new_pipe
        self.deadline = Deadline(_FACT)
        self.warnings: list[str] = []
        self.http_answers: list[HttpAnswer] = []
        """The answers to requests below WS-Management, which no recording contains."""

    def warn(self, repair: str) -> None:
        """Report that the machine accepted a change that it must reject. The run makes no further changes."""
        self.warnings.append(f"WARNING: {_ACCEPTED}. {repair}. Please report this difference.")

    def begin(self) -> None:
        """Give the next observation its own time limit."""
        self.deadline = Deadline(_FACT)

    @property
    def context(self) -> Context:
        """The context of a request."""
        return Context("observe a fact", self.server.where, self.deadline)

    def query(self, wql: str, namespace: str = CIMV2) -> list[Instance]:
        """Return the rows of a WQL query, as the product reads them.

        Raises:
            AvmaError: the machine could not be queried, or rejected the query.
        """
        return self.server.wmi.query(self.context, namespace, wql)

    def row(self, wql: str, namespace: str = CIMV2) -> Instance:
        """Return the first row of a WQL query.

        Raises:
            NotHere: the query has no rows.
            AvmaError: the machine could not be queried, or rejected the query.
        """
        rows = self.query(wql, namespace)
        if not rows:
            raise NotHere(f"the query returns no rows: {wql}")
        return rows[0]

    def exchange(self, message: Message, connection: Connection | None = None) -> Element:
        """Send a message once, and return the whole answer. It may be a fault.

        Raises:
            AvmaError: there is no answer, or it is not SOAP.
        """
        return self.send(self.rendered(message), connection)

    def rendered(
        self, message: Message, timeout: float = 60.0, envelope_size: int = envelope.MAX_ENVELOPE_SIZE
    ) -> bytes:
        """Return the text of a message. The limits can differ from those of the product."""
        text = message.render(self.server.connection.endpoint, timeout)
        return text.replace(
            b">%d</w:MaxEnvelopeSize>" % envelope.MAX_ENVELOPE_SIZE, b">%d</w:MaxEnvelopeSize>" % envelope_size
        )

    def send(self, message: bytes, connection: Connection | None = None) -> Element:
        """Send a text once, and return the whole answer. It may be a fault.

        Raises:
            AvmaError: there is no answer, or it is not SOAP.
        """
        try:
            return safe_xml.parse(self.answer(message, connection))
        except safe_xml.Rejected as error:
            raise self.context.error(errors.UnexpectedAnswer, "the answer is not XML", envelope.CHECK_PORT) from error

    def answer(self, message: bytes, connection: Connection | None = None) -> bytes:
        """Send a text once, and return the text of the answer.

        Raises:
            AvmaError: there is no answer, or it is not SOAP.
        """
        with self._pipe(connection or self.target.connection) as pipe:
            return pipe.send(self.context, message)

    def fault(self, message: Message, connection: Connection | None = None) -> FaultForm | str:
        """Send a message once, and return its fault, or `NO_FAULT`."""
        return fault_form(self.exchange(message, connection)) or NO_FAULT

    @cached_property
    def running_vm(self) -> VirtualMachine:
        """A running VM of the host.

        Raises:
            NotHere: no VM is running.
        """
        found = next((vm for vm in self.server.virtual_machines(self.deadline) if vm.running), None)
        if found is None:
            raise NotHere("no VM is running")
        return found

    @property
    def guest_account(self) -> Credential:
        """The account in the VM of the target.

        Raises:
            NotHere: the target has none.
        """
        if self.target.guest is None:
            raise NotHere("the target has no account for guests")
        return self.target.guest

    @cached_property
    def guest_vm(self) -> VirtualMachine:
        """The VM of the target. No other VM receives the password of the account.

        Raises:
            NotHere: the target has no account or no VM, or the VM is not running.
        """
        _, wanted = self.guest_account, self.target.vm
        if not wanted:
            raise NotHere("the target names no VM for the account")
        vms = self.server.virtual_machines(self.deadline)
        found = [vm for vm in vms if vm.id == wanted.lower()] or [vm for vm in vms if vm.name == wanted]
        if len(found) != 1:
            raise NotHere("the host has more than one VM of that name" if found else "the host has no VM of that name")
        if not found[0].running:
            raise NotHere("the VM of the account is not running")
        return found[0]

    @cached_property
    def guest(self) -> GuestMachine:
        """Windows in the VM of the target.

        Raises:
            NotHere: the target has no account or no VM, or the VM is not running or does not accept the account.
        """
        found = self.server.guest(self.guest_vm.id, self.guest_vm.name, self.guest_account)
        try:
            found.licensing(self.deadline)
        except errors.LogonRefused as error:
            raise NotHere("the VM does not accept the account for guests") from error
        return found

    @property
    def user(self) -> Connection:
        """The connection of an account that is not an administrator.

        Raises:
            NotHere: the target has none.
        """
        if self.target.user is None:
            raise NotHere("the target has no account without administrator rights")
        return self.target.user

    def as_user(self) -> Server:
        """Return the machine, connected with the account that is not an administrator."""
        return self._machines.get(self.user)

    def run(self, script: str, parameters: Mapping[str, Any]) -> tuple[tuple[Mapping[str, Any], ...], str]:
        """Run a script of the product on the machine. Return its answers, and all other output as one text.

        Raises:
            AvmaError: the script did not start, or returned no answer.
        """
        answers = self.server.powershell.run(self.context, script, parameters)
        return answers.objects, answers.complaint

    def pipe(self) -> Pipe:
        """Return a new connection to the machine. The caller closes it."""
        return self._new_pipe(self.target.connection)

    @contextlib.contextmanager
    def _pipe(self, connection: Connection) -> Iterator[Pipe]:
        pipe = self._new_pipe(connection)
        try:
            yield pipe
        finally:
            pipe.close()
