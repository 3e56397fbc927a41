"""A small engine: the calls of Pulumi's engine to the provider, in its order, and the state that it keeps.

It follows the engine where a fault makes a difference. A failed creation leaves no resource, unless the provider
reports a partial one. A partial resource is updated in the next run, even without a change. A replacement deletes
first. After an error, no further resource is started.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from unittest.mock import patch

from google.protobuf.json_format import MessageToDict
from google.protobuf.struct_pb2 import Struct

from avma.configuration import Configuration
from avma.deadline import Deadline
from avma.functions import FUNCTIONS
from avma.redaction import Redactor
from avma.resources import RESOURCES
from avma.resources.resource import Operation
from avma.windows.machines import Machines
from avma.wsman import psrp
from contract.harness import struct
from faults.simulation import Pauses
from faults.wire import Planned, Request, Wire
from pulumi_resource_avma.functions import Functions
from pulumi_resource_avma.grpc_errors import InitFailed, status_of
from pulumi_resource_avma.lifecycle import Lifecycle
from pulumi_resource_avma.operations import Operations
from pulumi_resource_avma.protocol import provider_pb2 as pb
from pulumi_resource_avma.session import Session
from pulumi_resource_avma.wording import PULUMI
from waiting import Clock


@dataclass(frozen=True)
class Declared:
    """A resource of a program: its type and its inputs."""

    type: str
    inputs: Mapping[str, Any]


Program = Mapping[str, Declared]
_TIMEOUT = 60.0
"""Seconds. Some faults last until the end of this time."""


@dataclass(frozen=True)
class Stored:
    """A resource in the state. With `partial`, its last operation failed after a change."""

    type: str
    identifier: str
    inputs: Struct
    outputs: Struct
    partial: bool = False


State = dict[str, Stored]


@dataclass
class Run:
    """The result of one command: errors by resource, texts for the user, requests, and the result of a function."""

    redact: Redactor
    errors: dict[str, Exception] = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)
    codes: list[int] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    happened: bool = False
    predicted: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Place:
    """The machines of an engine: the connections for one command, and the pauses."""

    new_wire: Callable[[Planned | None], Wire]
    pauses: Pauses


class Engine:
    """Pulumi commands against machines. Each command is a process of its own: no session outlives it."""

    def __init__(self, place: Place, configuration: Configuration, state: State | None = None) -> None:
        self.state: State = dict(state or {})
        self.timeout = _TIMEOUT
        """Seconds of each operation, as in `customTimeouts`."""
        self._place = place
        self._configuration = configuration

    def up(self, program: Program, planned: Planned | None = None, refresh: bool = False) -> Run:
        """Create, update, replace and delete until the state is that of the program. `refresh` reads first."""
        with self._command(planned) as (run, calls), _noting(run, ""):
            for name in list(self.state) if refresh else []:
                calls.read(name)
            for name, declared in program.items():
                calls.reach(name, declared, preview=False)
            for name in [each for each in self.state if each not in program]:
                calls.delete(name)
        return run

    def preview(self, program: Program, planned: Planned | None = None) -> Run:
        """Predict what `up` does."""
        with self._command(planned) as (run, calls):
            for name, declared in program.items():
                with _noting(run, name):
                    calls.reach(name, declared, preview=True)
        return run

    def refresh(self, planned: Planned | None = None) -> Run:
        """Read all resources."""
        with self._command(planned) as (run, calls):
            for name in list(self.state):
                with _noting(run, name):
                    calls.read(name)
        return run

    def take_over(self, name: str, kind: str, identifier: str, planned: Planned | None = None) -> Run:
        """Import a resource."""
        with self._command(planned) as (run, calls), _noting(run, name):
            calls.take_over(name, kind, identifier)
        return run

    def call(self, function: str, arguments: Mapping[str, Any], planned: Planned | None = None) -> Run:
        """Call a function."""
        with self._command(planned) as (run, calls), _noting(run, function):
            run.predicted[function] = calls.invoke(function, arguments)
        return run

    @contextlib.contextmanager
    def _command(self, planned: Planned | None) -> Iterator[tuple[Run, _Calls]]:
        wire = self._place.new_wire(planned)
        session = Session(Redactor(PULUMI))
        session.configuration = self._configuration
        run = Run(session.redact)
        operations = _Operations(session, self._place.pauses, wire, run)
        with patch.object(psrp, "Deadline", _deadline):  # the end of a session has a deadline of its own
            try:
                yield run, _Calls(self.state, session, operations, run, self.timeout)
            finally:
                operations.close()
                wire.closed = True
                run.requests, run.happened = wire.requests, wire.happened


def _deadline(seconds: float) -> Deadline:
    """Return a deadline with a clock of its own, because operations in parallel advance the other one."""
    clock = Clock()

    def advance(pause: float) -> None:
        clock.now += pause

    return Deadline(seconds, Pauses(clock, advance), clock)


class _Operations(Operations):
    """Operations on the machines of one command, with pauses that take no time."""

    def __init__(self, session: Session, pauses: Pauses, wire: Wire, run: Run) -> None:
        super().__init__(session)
        self._pauses = pauses
        self._shown = run
        configuration = session.configuration or Configuration()
        self._own = Machines(configuration.max_concurrency, wire.new_pipe)

    def begin(self, timeout: float, urn: str = "", *, reads_only: bool = False) -> Operation:
        """See `Operations.begin`."""
        made = super().begin(timeout, urn, reads_only=reads_only)
        deadline = Deadline(timeout, self._pauses, self._pauses.clock, made.deadline.max_age)
        return replace(made, machines=self._own, deadline=deadline, show_warning=self._warn)

    def close(self) -> None:
        """See `Operations.close`."""
        self._own.close()

    def _warn(self, text: str) -> None:
        self._shown.warnings.append(self._shown.redact(text))


class _Calls:
    """The calls of one command to the provider."""

    def __init__(self, state: State, session: Session, operations: Operations, run: Run, timeout: float) -> None:
        self._timeout = timeout
        self._state = state
        self._run = run
        self._lifecycle = Lifecycle(session, operations, RESOURCES)
        self._functions = Functions(session, operations, FUNCTIONS)

    def reach(self, name: str, declared: Declared, preview: bool) -> None:
        """Bring one resource into its declared state, or predict it."""
        urn, stored = _urn(name, declared.type), self._state.get(name)
        olds = stored.inputs if stored else Struct()
        checked = self._lifecycle.check(pb.CheckRequest(urn=urn, olds=olds, news=struct(declared.inputs)))
        assert not checked.failures, checked.failures
        if stored is None:
            self._create(name, declared, checked.inputs, preview)
            return
        request = pb.DiffRequest(
            id=stored.identifier, urn=urn, olds=stored.outputs, old_inputs=stored.inputs, news=checked.inputs
        )
        found = self._lifecycle.diff(request)
        if found.replaces:
            if not preview:
                self.delete(name)
            self._create(name, declared, checked.inputs, preview)
        elif found.diffs or stored.partial:
            self._update(name, stored, checked.inputs, preview)

    def delete(self, name: str) -> None:
        """Delete a resource."""
        stored = self._state[name]
        with _noting_again(self._run, name):
            request = pb.DeleteRequest(
                id=stored.identifier,
                urn=_urn(name, stored.type),
                properties=stored.outputs,
                old_inputs=stored.inputs,
                timeout=self._timeout,
            )
            self._lifecycle.delete(request)
        del self._state[name]

    def read(self, name: str) -> None:
        """Refresh a resource."""
        stored = self._state[name]
        request = pb.ReadRequest(
            id=stored.identifier,
            urn=_urn(name, stored.type),
            properties=stored.outputs,
            inputs=stored.inputs,
            timeout=self._timeout,
        )
        found = self._lifecycle.read(request)
        if found.id:
            self._state[name] = replace(stored, outputs=found.properties, inputs=found.inputs)
        else:
            del self._state[name]

    def take_over(self, name: str, kind: str, identifier: str) -> None:
        """Import a resource."""
        found = self._lifecycle.read(pb.ReadRequest(id=identifier, urn=_urn(name, kind), timeout=self._timeout))
        self._state[name] = Stored(kind, found.id, found.inputs, found.properties)

    def invoke(self, function: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Call a function and return its result."""
        request = pb.InvokeRequest(tok=f"avma:index:{function}", args=struct(arguments))
        answer = self._functions.invoke(request)
        assert not answer.failures, answer.failures
        return MessageToDict(getattr(answer, "return"))

    def _create(self, name: str, declared: Declared, inputs: Struct, preview: bool) -> None:
        request = pb.CreateRequest(
            urn=_urn(name, declared.type), properties=inputs, timeout=self._timeout, preview=preview
        )
        with _noting_again(self._run, name), self._keeping(name, declared.type):
            created = self._lifecycle.create(request)
            if preview:
                self._run.predicted[name] = MessageToDict(created.properties)
            else:
                self._state[name] = Stored(declared.type, created.id, inputs, created.properties)

    def _update(self, name: str, stored: Stored, inputs: Struct, preview: bool) -> None:
        request = pb.UpdateRequest(
            id=stored.identifier,
            urn=_urn(name, stored.type),
            olds=stored.outputs,
            old_inputs=stored.inputs,
            news=inputs,
            timeout=self._timeout,
            preview=preview,
        )
        with _noting_again(self._run, name), self._keeping(name, stored.type):
            updated = self._lifecycle.update(request)
            if preview:
                self._run.predicted[name] = MessageToDict(updated.properties)
            else:
                self._state[name] = replace(stored, inputs=inputs, outputs=updated.properties, partial=False)

    @contextlib.contextmanager
    def _keeping(self, name: str, kind: str) -> Iterator[None]:
        """Keep a partial resource."""
        try:
            yield
        except InitFailed as error:
            self._state[name] = Stored(kind, error.identifier, error.inputs, error.properties, partial=True)
            raise


class _Ended(Exception):
    """A resource failed, and its error is noted. The command starts nothing more."""


@contextlib.contextmanager
def _noting(run: Run, name: str) -> Iterator[None]:
    """Note an error of a resource."""
    with contextlib.suppress(_Ended), _noting_again(run, name):
        yield


@contextlib.contextmanager
def _noting_again(run: Run, name: str) -> Iterator[None]:
    """Note an error of a resource and end the command.

    Raises:
        _Ended: there was an error.
    """
    try:
        yield
    except (_Ended, AssertionError):
        raise
    except Exception as error:
        status = status_of(error, run.redact)
        run.errors[name] = error
        run.messages.append(status.message)
        run.codes.append(status.code)
        raise _Ended from error


def _urn(name: str, kind: str) -> str:
    return f"urn:pulumi:dev::test::avma:index:{kind}::{name}"
