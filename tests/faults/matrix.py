"""The cases: each fault at each request of each operation, and the run of one case."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from avma.configuration import Transport
from faults import estates
from faults.checks import Expected, Finding, Story, findings, shown
from faults.engine import Engine, Place, Run, State
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
        _require_success(engine.up(scenario.before), scenario)
        scenario.prepare(start)
        self._start, self._state = start, engine.state
        lab, engine = self._begin(https=False)
        command = scenario.command(engine, None)
        _require_success(command, scenario)
        self.requests = tuple(dict.fromkeys(command.requests))
        deleted = frozenset(self._state) - engine.state.keys()
        _require_success(engine.up(scenario.after, refresh=scenario.finds_drift), scenario)
        self._expected = Expected(
            shown(engine.state),
            lab.licenses(),
            lab.spent(),
            scenario.reads_only,
            deletes=not scenario.after,
            deleted=deleted | self._replaced(engine.state),
        )
        lab.close()

    def cases(self) -> Iterator[Case]:
        """Yield each fault at each request, half of them over https. There, only the errors differ."""
        number = 0
        for request in self.requests:
            for fault in FAULTS:
                if not fault.fits(request) or (request.is_inside and not fault.inside):
                    continue
                number += 1
                for lasting in (False, True) if fault.lasts else (False,):
                    yield Case(self.scenario, request, fault, lasting, https=number % 2 == lasting)

    def run(self, case: Case) -> Outcome:
        """Run the operation with the fault, and then the next `up`."""
        scenario = case.scenario
        lab, engine = self._begin(case.https)
        happen = None if case.request.is_inside else case.fault.happen
        planned = Planned(case.request, happen, case.fault.rule, case.lasting)
        failed = scenario.command(engine, planned)
        effects, state_after = list(lab.effects), dict(engine.state)
        lab.recover()
        if not scenario.moves:
            lab.move_back()
        next_up = engine.up(scenario.after, refresh=scenario.finds_drift)
        effects_of_next = lab.effects[len(effects) :]
        story = Story(
            before=self._state,
            failed=failed,
            state_after=state_after,
            effects=effects,
            next_up=next_up,
            state=engine.state,
            effects_of_next=effects_of_next,
            licenses=lab.licenses(),
            spent=lab.spent(),
            expected=self._expected,
        )
        lab.close()
        return Outcome(case, failed.happened, tuple(findings(story)) if failed.happened else ())

    def _begin(self, https: bool) -> tuple[Lab, Engine]:
        """Return the estate before the command, and an engine with its state."""
        lab = self._start.copy()
        return lab, self._engine(lab, self._state, https)

    def _engine(self, lab: Lab, state: State, https: bool) -> Engine:
        place = Place(lambda planned: LabWire(lab, planned, self._inside), lab.pauses)
        return Engine(place, estates.configuration(self.scenario.transport, https), state)

    def _replaced(self, now: State) -> frozenset[str]:
        """Return the resources that the command replaces."""
        return frozenset(
            name for name, old in self._state.items() if name in now and now[name].identifier != old.identifier
        )


def _require_success(run: Run, scenario: Scenario) -> None:
    assert not run.errors, f"{scenario.name} fails without a fault: {run.messages}"
