"""The same operations and faults over real sockets, with real sign-ins, encryption and TLS, and the real libraries."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import Any, TypeVar

from avma import errors
from avma.connection import Connection
from avma.context import Context
from avma.settings import Auth
from avma.wsman.pipe import Pipe, operation_of
from avma.wsman.winrm_pipe import WinrmPipe
from avma_simulator import EstateServer, running
from avma_simulator.estate import FaultRule
from avma_simulator.state.estate_state import EstateState
from avma_simulator.state.machine import Machine
from avma_simulator.winrm.wsman_service import Service
from faults import estates
from faults.byte_flipper import flipping
from faults.effects import Effects
from faults.engine import Engine, Place
from faults.faults import FAULTS, FLIPPED, REFUSED, Fault
from faults.matrix import Case, Outcome, expected_of, play, require_success
from faults.scenarios import Scenario
from faults.simulation import Pauses
from faults.wire import Planned, Wire
from waiting import Clock

_T = TypeVar("_T")

SAMPLED = (
    "HostLicense: create",
    "HostLicense: refresh",
    "HostLicense: replace",
    "HostLicense: delete, uninstallKey",
    "HostLicense: import",
    "VmActivation (powershellDirect): create",
    "VmActivation (powershellDirect): delete, restoreKmsClientKey",
    "VmActivation (winrm): create",
    "ClusterLicense: create",
    "ClusterLicense: getClusterNodes",
    "ClusterActivation of a cluster: create",
    "Azure Local, HostLicense: create",
)
"""The names of the operations that also run over sockets."""
_CLOSED_PORT = 1
_SHELL = "Microsoft.PowerShell"
_SLOW = ("hang", "drip")
_SHORT = 2.0
"""Seconds of an operation with a silent machine. The connection waits for them in real time."""


class SocketWire(Wire):
    """The requests of one run to a running simulator."""

    def __init__(self, server: EstateServer, planned: Planned | None = None) -> None:
        super().__init__(planned)
        self._server = server
        owners = [*server.machines(), *server.clusters()]
        self._names = {server.address(each["name"])[0]: each["name"] for each in owners}

    def new_pipe(self, connection: Connection) -> Pipe:
        """See `Wire.new_pipe`. The simulator has no names in DNS."""
        name = self._names.get(connection.address, connection.address)
        found = replace(connection, address=self._server.address(name)[0])
        return _FaultyPipe(self._server, self, found, name)


class _FaultyPipe:
    """A real connection, with a fault at the planned request."""

    def __init__(self, server: EstateServer, wire: Wire, connection: Connection, machine: str) -> None:
        self._server = server
        self._wire = wire
        self._connection = connection
        self._machine = machine
        self._inner = WinrmPipe(connection)

    def send(self, context: Context, message: bytes) -> bytes:
        """See `Pipe.send`."""
        if self._wire.closed:
            raise context.error(errors.Unreachable, "the process of the command is gone", "run the next command")
        operation = operation_of(message)
        planned = self._wire.record(self._machine, operation)
        if planned is None:
            return self._inner.send(context, message)
        if planned.rule is not None:
            with self._rule(planned.rule, operation):
                return self._inner.send(context, message)
        self._inner.close()
        with _way_of(planned, self._connection) as connection, closing(WinrmPipe(connection)) as pipe:
            return pipe.send(context, message)

    def close(self) -> None:
        """See `Pipe.close`."""
        self._inner.close()

    @contextmanager
    def _rule(self, rule: FaultRule, operation: str) -> Iterator[None]:
        """Give the machine a fault rule for the next requests of that name."""
        fields = rule.model_dump(by_alias=True, exclude_unset=True)
        owners = {cluster["name"]: cluster["owner"] for cluster in self._server.clusters()}
        machine = owners.get(self._machine, self._machine)
        self._server.faults(machine, [{**fields, "operation": _name_in_rules(operation)}])
        try:
            yield
        finally:
            self._server.faults(machine, [])


def _name_in_rules(operation: str) -> str:
    """Return the name of an operation in fault rules."""
    action, _, subject = operation.partition(" ")
    if subject == _SHELL:
        return f"Shell/{action}"
    return action if action in ("Enumerate", "Pull", "Release", "Get") else f"{subject}/{action}"


@contextmanager
def _way_of(planned: Planned, connection: Connection) -> Iterator[Connection]:
    """Yield a connection that has the fault itself."""
    if planned.happen is REFUSED.happen:
        yield replace(connection, port=_CLOSED_PORT)
        return
    with flipping(connection.address, (connection.address, connection.port)) as port:
        yield replace(connection, port=port)


class Sample:
    """A scenario over real sockets. Each case has a server of its own."""

    def __init__(self, scenario: Scenario, https: bool, auth: Auth = Auth.NTLM, **settings: Any) -> None:
        self.scenario = scenario
        self._https = https
        self._settings = {"auth": auth, **settings}
        self.requests, self._expected = self._with_engine(
            lambda engine, effects, _: expected_of(scenario, engine, effects)
        )

    def cases(self) -> Iterator[Case]:
        """Yield each fault of a connection at each request."""
        for request in self.requests:
            for fault in FAULTS:
                if has_socket_form(fault) and fault.fits(request) and not self._lasts_long(fault):
                    yield Case(self.scenario, request, fault, lasting=False, https=self._https)

    def _lasts_long(self, fault: Fault) -> bool:
        """Return True for a function and a silent machine. Functions have no `customTimeouts`, so it takes a minute."""
        return fault.name in _SLOW and self.scenario.name.rpartition(": ")[2].startswith("get")

    def run(self, case: Case) -> Outcome:
        """Run one case."""
        planned = Planned(case.request, case.fault.happen, case.fault.rule, case.lasting)

        def played(engine: Engine, effects: Effects, server: EstateServer) -> Outcome:
            def open_shells() -> int:
                return sum(each["openShells"] for each in server.counts().values())

            return play(case, engine, effects, planned, self._expected, lambda: server.advance_clock(600), open_shells)

        return self._with_engine(played, _SHORT if case.fault.name in _SLOW else None)

    def _with_engine(self, use: Callable[[Engine, Effects, EstateServer], _T], timeout: float | None = None) -> _T:
        """Run a function with an engine in front of a new simulator, in the state before the operation."""
        states: list[EstateState] = []

        def new_service(machine: Machine, state: EstateState) -> Service:
            states.append(state)
            return Service(machine, state)

        with running(estates.declared(self.scenario.estate), new_service) as server:
            clock = Clock()

            def advance(seconds: float) -> None:
                clock.now += seconds
                server.advance_clock(seconds)

            place = Place(lambda planned: SocketWire(server, planned), Pauses(clock, advance))
            settings = {"ca_cert": server.ca_certificate, **self._settings}
            configuration = estates.configuration(self.scenario.transport, self._https, **settings)
            engine = Engine(place, configuration)
            require_success(engine.up(self.scenario.before), self.scenario)
            engine.timeout = timeout or engine.timeout
            return use(engine, Effects(states[0]), server)


def has_socket_form(fault: Fault) -> bool:
    """Return True if a real connection can have the fault."""
    return fault.rule is not None or fault in (REFUSED, FLIPPED)
