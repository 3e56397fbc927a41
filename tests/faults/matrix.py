"""The cases: each fault at each request of each operation, and the run of one case."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from avma.configuration import Transport
from faults import estates
from faults.checks import Expected, Finding, Story, Then, findings, shown
from faults.effects import Effects
from faults.engine import Declared, Engine, Place, Run, State, Stored
from faults.faults import FAULTS, Fault
from faults.lab import Lab
from faults.scenarios import Scenario
from faults.simulation import Simulation
from faults.wire import LabWire, Planned, Request


@dataclass(frozen=True)
class Case:
    """A fault at one request of a scenario."""

    scenario: Scenario
    request: Request
    fault: Fault
    lasting: bool
    https: bool

    def __str__(self) -> str:
        lasting = ", lasting" if self.lasting else ""
        return (
            f"{self.scenario.name} / {self.request} / {self.fault.name}{lasting} / {'https' if self.https else 'http'}"
        )


@dataclass(frozen=True)
class Outcome:
    """The result of a case. `happened` is False if the run did not come to the request."""

    case: Case
    happened: bool
    findings: tuple[Finding, ...]


class Prepared:
    """A scenario, its estate before the command, and the results without a fault."""

    def __init__(self, scenario: Scenario, simulation: Simulation) -> None:
        self.scenario = scenario
        self._inside = scenario.transport is Transport.POWERSHELL_DIRECT
        start = Lab(simulation, estates.declared(scenario.estate)).copy()
        engine = self._engine(start, {}, https=False)
        require_success(engine.up(scenario.before), scenario)
        scenario.prepare(start)
        self._start, self._state = start, engine.state
        lab, engine = self._begin(https=False)
        self.requests, self._expected = expected_of(scenario, engine, lab.effects)
        self._known: Known = {}
        lab.close()

    def cases(self) -> Iterator[Case]:
        """Yield each fault at each request, and every second one also as a lasting fault.

        Half of them are over https. There, only the errors differ.
        """
        number = 0
        for request in self.requests:
            for fault in FAULTS:
                if not fault.fits(request) or (request.is_inside and not fault.inside):
                    continue
                number += 1
                yield Case(self.scenario, request, fault, lasting=False, https=number % 2 == 0)
                if fault.lasts and number % 4 in (1, 2):
                    yield Case(self.scenario, request, fault, lasting=True, https=number % 2 == 1)

    def run(self, case: Case) -> Outcome:
        """Run the operation with the fault, and then the next `up`."""
        lab, engine = self._begin(case.https)

        def recover() -> None:
            lab.recover()
            if not case.scenario.moves:
                lab.move_back()

        happen = None if case.request.is_inside else case.fault.happen
        planned = Planned(case.request, happen, case.fault.rule, case.lasting)
        outcome = play(
            case, engine, lab.effects, planned, self._expected, recover, lambda: lab.open_shells, self._known
        )
        lab.close()
        return outcome

    def _begin(self, https: bool) -> tuple[Lab, Engine]:
        """Return the estate before the command, and an engine with its state."""
        lab = self._start.copy()
        return lab, self._engine(lab, self._state, https)

    def _engine(self, lab: Lab, state: State, https: bool) -> Engine:
        place = Place(lambda planned: LabWire(lab, planned, self._inside), lab.pauses)
        return Engine(place, estates.configuration(self.scenario.transport, https), state)


Known = dict[str, Then]
"""The next `up` after each state of the stack and the machines."""


def play(
    case: Case,
    engine: Engine,
    effects: Effects,
    planned: Planned,
    expected: Expected,
    recover: Callable[[], None],
    open_shells: Callable[[], int],
    known: Known | None = None,
) -> Outcome:
    """Run the operation of a case with its fault, and then the next `up`. Return the broken promises.

    With `known`, the next `up` from the same state of the stack and the machines runs only once.
    """
    before = dict(engine.state)
    failed = case.scenario.command(engine, planned)
    completed, state_after, left_open = list(effects.noted), dict(engine.state), open_shells()
    recover()
    situation = str((shown(state_after), completed, effects.licenses()))
    if known is None or case.fault.changes:
        then = _next(case.scenario, engine, effects)
    else:
        then = known.get(situation) or known.setdefault(situation, _next(case.scenario, engine, effects))
    story = Story(
        before=before,
        failed=failed,
        state_after=state_after,
        effects=completed,
        then=then,
        open_shells=left_open,
        fault=case.fault.name,
        lasting=case.lasting,
        repeats=case.fault.repeats,
        moved=case.fault.changes,
        expected=expected,
    )
    return Outcome(case, failed.happened, tuple(findings(story)) if failed.happened else ())


def _next(scenario: Scenario, engine: Engine, effects: Effects) -> Then:
    """Run the next `up`."""
    completed = len(effects.noted)
    run = engine.up(scenario.after, refresh=scenario.finds_drift)
    return Then(run, effects.noted[completed:], engine.state, effects.licenses(), effects.spent())


def expected_of(scenario: Scenario, engine: Engine, effects: Effects) -> tuple[tuple[Request, ...], Expected]:
    """Run the operation without a fault, and then the next `up`. Return its requests and its results."""
    before = dict(engine.state)
    command = scenario.command(engine, None)
    require_success(command, scenario)
    effects_after, state_after = Counter(effects.noted), shown(engine.state)
    gone = frozenset(before) - engine.state.keys()
    replaced = {name for name, old in before.items() if name in engine.state and _is_other(old, engine.state[name])}
    require_success(engine.up(scenario.after, refresh=scenario.finds_drift), scenario)
    expected = Expected(
        command=command,
        effects=effects_after,
        state_after=state_after,
        state=shown(engine.state),
        licenses=effects.licenses(),
        spent=effects.spent(),
        reads_only=scenario.reads_only,
        machines=estates.names_of(scenario.estate),
        hosts=estates.hosts_of(scenario.estate),
        follows=scenario.moves,
        owners={machine: name for name, declared in scenario.after.items() for machine in _machines_of(declared)},
        deleted=gone | replaced,
    )
    return tuple(dict.fromkeys(command.requests)), expected


def _machines_of(declared: Declared) -> list[str]:
    """Return the names of the machines that a resource licenses."""
    inputs = declared.inputs
    if declared.type == "ClusterLicense":
        return list(inputs.get("nodes") or estates.NODES[inputs["cluster"]])
    if declared.type == "ClusterActivation":
        return list(inputs["include"])
    return [inputs["vmName"] if declared.type == "VmActivation" else inputs["host"]]


def _is_other(old: Stored, new: Stored) -> bool:
    """Return True if a resource was replaced."""
    return old.identifier != new.identifier


def require_success(run: Run, scenario: Scenario) -> None:
    """Require that a command without a fault succeeds."""
    assert not run.errors, f"{scenario.name} fails without a fault: {run.messages}"
