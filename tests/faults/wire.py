"""The requests of one run to the machines of a lab, and the fault at one of them."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import requests

from avma.connection import Connection
from avma.context import Context
from avma.wsman import http_answers, transport_errors
from avma.wsman.http_adapter import Adapter
from avma.wsman.pipe import Pipe, operation_of
from avma.wsman.transports import HttpExchange
from avma_simulator.estate import FaultRule
from avma_simulator.state.fault_injection import InjectedFaults
from avma_simulator.state.machine import Machine
from avma_simulator.winrm.wsman_service import AnswerDropped, HttpAnswered
from faults.lab import Lab

_INSIDE = "in the guest: "
_DATA_EXCHANGE = b"ModifyGuestServiceSettings_INPUT"


@dataclass(frozen=True)
class Request:
    """One request of a run: the machine, the operation, and its number among those of the same kind."""

    machine: str
    operation: str
    number: int

    @property
    def is_inside(self) -> bool:
        """Whether it is an operation in a guest, inside a script on the host."""
        return self.operation.startswith(_INSIDE)

    def __str__(self) -> str:
        return f"{self.machine}: {self.operation} ({self.number})"


@dataclass
class Moment:
    """One request at the moment of its fault."""

    lab: Lab
    machine: Machine
    connection: Connection
    context: Context
    message: bytes

    def deliver(self, rule: FaultRule | None = None) -> bytes:
        """Let the machine answer, possibly with a fault rule for this request.

        Raises:
            AvmaError: the connection does not carry the answer.
        """
        if not self.lab.is_reachable(self.machine):
            raise self.error(requests.exceptions.ConnectionError(ConnectionRefusedError()), carried=False)
        try:
            reply = self.lab.answer(self.machine, self.message, rule)
        except AnswerDropped:
            raise self.broken() from None
        except HttpAnswered:
            raise http_answers.status_error(503, self.exchange(from_windows=True)) from None
        if reply.status == requests.codes.ok and _DATA_EXCHANGE in self.message:
            self.lab.note_data_exchange(self.machine)
        return reply.message

    def broken(self) -> Exception:
        """Return the error for a connection that broke after the request was sent."""
        return self.error(requests.exceptions.ConnectionError(ConnectionResetError()))

    def error(self, error: Exception, **facts: Any) -> Exception:
        """Return the error of the core for an exception of the HTTP library."""
        return transport_errors.to_error(error, self.exchange(**facts))

    def exchange(self, **facts: Any) -> HttpExchange:
        """Return the facts of an exchange over a connection that has carried the message."""
        adapter = Adapter(None)
        vars(adapter).update({"connected": True, "accepted": True, "carried": True, **facts})
        return HttpExchange(self.connection, adapter, self.context)


@dataclass(frozen=True)
class Planned:
    """A fault at one request. `happen` returns the answer or raises an error. `rule` is its form inside a guest.

    With `lasting`, all later requests to the machine have the same fault.
    """

    request: Request
    happen: Callable[[Moment], bytes] | None
    rule: FaultRule | None
    lasting: bool


class Wire(ABC):
    """The requests of one run, and its planned fault."""

    def __init__(self, planned: Planned | None = None) -> None:
        self.requests: list[Request] = []
        self.happened = False
        self.closed = False
        """Whether the command is over. Its process is then gone, with all of its threads."""
        self._planned = planned
        self._seen: Counter[tuple[str, str]] = Counter()
        self._lock = threading.Lock()

    @abstractmethod
    def new_pipe(self, connection: Connection) -> Pipe:
        """Return a connection to a machine."""

    def record(self, machine: str, operation: str) -> Planned | None:
        """Record a request. Return the fault that is planned for it."""
        with self._lock:
            kind = machine, operation
            self._seen[kind] += 1
            request = Request(*kind, self._seen[kind])
            self.requests.append(request)
            return self._planned_for(request)

    def _planned_for(self, request: Request) -> Planned | None:
        planned = self._planned
        if planned is None:
            return None
        lasts = self.happened and planned.lasting and request.machine == planned.request.machine
        if request != planned.request and not (lasts and request.is_inside == planned.request.is_inside):
            return None
        self.happened = True
        return planned


class LabWire(Wire):
    """The requests of one run in a lab. With `inside`, it records the operations inside guests too."""

    def __init__(self, lab: Lab, planned: Planned | None = None, inside: bool = False) -> None:
        super().__init__(planned)
        self._lab = lab
        for guest in lab.state.guests if inside else []:
            guest.injected_faults = _Watching(self, guest)

    def new_pipe(self, connection: Connection) -> Pipe:
        """See `Wire.new_pipe`."""
        return _LabPipe(self._lab, self, connection)


class _LabPipe:
    """A connection without sockets."""

    def __init__(self, lab: Lab, wire: Wire, connection: Connection) -> None:
        self._lab = lab
        self._wire = wire
        self._connection = connection

    def send(self, context: Context, message: bytes) -> bytes:
        """See `Pipe.send`."""
        context.check()
        machine = self._lab.machine_of(self._connection)
        if machine is None or self._wire.closed:
            exchange = HttpExchange(self._connection, Adapter(None), context)
            raise transport_errors.to_error(requests.exceptions.ConnectionError(ConnectionRefusedError()), exchange)
        moment = Moment(self._lab, machine, self._connection, context, message)
        planned = self._wire.record(machine.name, operation_of(message))
        if planned is None or planned.happen is None:
            return moment.deliver()
        return planned.happen(moment)

    def close(self) -> None:
        """See `Pipe.close`."""


class _Watching(InjectedFaults):
    """A record of the operations inside a guest."""

    def __init__(self, wire: Wire, guest: Machine) -> None:
        super().__init__(())
        self._wire = wire
        self._guest = guest

    def take(self, operation: str, cim_class: str = "", also: str = "") -> FaultRule | None:
        """See `InjectedFaults.take`."""
        subject = "" if "/" in operation else f" {cim_class}"
        planned = self._wire.record(self._guest.name, f"{_INSIDE}{operation}{subject}")
        return planned.rule if planned is not None else None
