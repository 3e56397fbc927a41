"""A run of the suite: the facts to observe on one machine, and the result of each."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path

from avma import errors
from avma.connection import Connection
from avma.deadline import Deadline
from avma.recording.recorder import Recorder
from avma.windows.machines import Machines
from avma.wsman.identify import identify, other_than_windows
from avma.wsman.pipe import Pipe
from avma_conformance.fact import Effect, Fact, NotHere, On
from avma_conformance.http_answer import HttpAnswer
from avma_conformance.subject import HYPER_V, Subject, Target

_IDENTIFYING = 60.0
_MOST_UNANSWERED = 3
"""Each fact on a silent machine costs its time limit, and there are hundreds of facts."""
_SILENT = (errors.Unreachable, errors.TimedOut, errors.LogonRefused)
_SIMULATED = "Simulated"
"""`Win32_ComputerSystemProduct.Vendor` of a simulated host."""


class FactVerdict(Enum):
    """The result of a fact on one machine."""

    HOLDS = "holds"
    DIFFERS = "differs"
    NO_ANSWER = "no answer"
    NOT_HERE = "not here"
    NOT_RUN = "not run"


@dataclass(frozen=True)
class FactResult:
    """A fact on one machine.

    Attributes:
        fact: the fact.
        verdict: the comparison, or why it is missing.
        expected: the expected value. Empty without an observation.
        found: the observed value, or why it is missing.
        first: the number of the first exchange of the observation in the recording, from 0.
        last: the number after its last exchange.
        http: the answers to its requests below WS-Management, which are not in the recording.
    """

    fact: Fact
    verdict: FactVerdict
    expected: str = ""
    found: str = ""
    first: int = 0
    last: int = 0
    http: tuple[HttpAnswer, ...] = ()


@dataclass(frozen=True)
class Windows:
    """The Windows of a machine, as far as it reports it. `simulated` is True for a host of the simulator."""

    name: str
    build: int
    simulated: bool = False


class Suite:
    """The run of facts on one machine.

    Args:
        target: the machine, and its accounts.
        permitted: the effects that observations may have. Facts with other effects run only if `named` contains them.
        named: the names of facts that run whatever their effect.
        new_pipe: the factory of connections.
    """

    def __init__(
        self,
        target: Target,
        permitted: Iterable[Effect],
        named: Iterable[str],
        new_pipe: Callable[[Connection], Pipe],
    ) -> None:
        self.recorder = Recorder(new_pipe)
        self._machines = Machines(1, self.recorder.pipe)
        self._subject = Subject(target, self._machines, self.recorder.pipe)
        self._permitted = frozenset(permitted)
        self._named = frozenset(named)
        self._here: dict[On, str] = {}
        self._unanswered = 0
        self._warned = 0
        self.notes: list[str] = []
        """Sentences about the whole run, such as why it stopped early."""

    def close(self) -> None:
        """Close all connections."""
        self._machines.close()

    def begin(self) -> Windows:
        """Sign in, and find out what the machine is.

        Raises:
            UnexpectedAnswer: the service is not that of Windows.
            AvmaError: the machine could not be queried.
        """
        server = self._subject.server
        found = identify(server.cim, Deadline(_IDENTIFYING))
        other = other_than_windows(server.connection, found)
        if other is not None:
            raise other
        system = server.system(Deadline(_IDENTIFYING))
        self._subject.begin()
        vendor = self._subject.row("SELECT Vendor FROM Win32_ComputerSystemProduct").text("Vendor")
        return Windows(str(system), system.build, vendor == _SIMULATED)

    def run(self, facts: Iterable[Fact], on_begin: Callable[[Fact], None] = lambda _: None) -> Iterator[FactResult]:
        """Yield the result of each fact. Call `begin` first. `on_begin` receives each fact before its observation.

        After some facts without an answer, no further fact runs. See `notes`.
        """
        for each in facts:
            on_begin(each)
            first, before = len(self.recorder), len(self._subject.http_answers)
            result = replace(self._result(each), http=tuple(self._subject.http_answers[before:]))
            self._count(result)
            self.notes += self._subject.warnings[self._warned :]
            self._warned = len(self._subject.warnings)
            yield replace(result, first=first, last=len(self.recorder))

    def _count(self, result: FactResult) -> None:
        """Count the facts without an answer since the last answer. A connection that is refused is an answer."""
        if result.verdict in (FactVerdict.HOLDS, FactVerdict.DIFFERS):
            self._unanswered = 0
        elif result.verdict is FactVerdict.NO_ANSWER:
            self._unanswered += 1
            if self._unanswered == _MOST_UNANSWERED:
                self.notes.append(
                    f"The machine did not answer {_MOST_UNANSWERED} facts in succession. The run stopped, and the "
                    "other facts are open."
                )

    def _result(self, fact: Fact) -> FactResult:
        if fact.observe is None:
            return FactResult(fact, FactVerdict.NOT_RUN, found=fact.by_hand)
        reason = self._not_run(fact)
        if reason:
            return FactResult(fact, FactVerdict.NOT_RUN, found=reason)
        try:
            if fact.on not in self._here:  # the first fact that needs it: only then, an account in a VM signs in
                self._here[fact.on] = self._missing(fact.on)
            if self._here[fact.on]:
                return FactResult(fact, FactVerdict.NOT_HERE, found=self._here[fact.on])
            self._subject.begin()
            observed = fact.observe(self._subject)
            verdict = FactVerdict.HOLDS if observed.holds else FactVerdict.DIFFERS
            return FactResult(fact, verdict, observed.expected, observed.found)
        except NotHere as missing:
            return FactResult(fact, FactVerdict.NOT_HERE, found=str(missing))
        except errors.AvmaError as error:
            verdict = FactVerdict.NO_ANSWER if isinstance(error, _SILENT) else FactVerdict.DIFFERS
            return FactResult(fact, verdict, "an answer", error.answer)
        except (ValueError, LookupError) as error:  # the observation expects another form
            return FactResult(fact, FactVerdict.DIFFERS, "an answer of a known form", type(error).__name__)
        except Exception as error:  # a mistake of this project must not cost the results of the other facts
            return FactResult(fact, FactVerdict.DIFFERS, "a check without errors", _mistake(error))

    def _not_run(self, fact: Fact) -> str:
        """Return the reason why a fact does not run. Empty if it runs."""
        if fact.effect not in self._permitted and fact.name not in self._named:
            return f"it {fact.effect.value}"
        if self._warned and fact.effect is not Effect.READS:
            return "the machine accepted a change that it must reject"
        if self._unanswered >= _MOST_UNANSWERED:
            return "the machine no longer answers"
        return ""

    def _missing(self, on: On) -> str:
        """Return what the machine lacks for facts on such a machine. Empty if it lacks nothing.

        Raises:
            AvmaError: the machine did not answer.
        """
        self._subject.begin()
        try:
            if on in _REQUIRE:
                _REQUIRE[on](self._subject)
        except NotHere as reason:
            return str(reason)
        except _SILENT:
            raise
        except errors.AvmaError as error:
            return error.answer
        return ""


def not_run(fact: Fact) -> FactResult:
    """Return the result of a fact that the run did not reach."""
    return FactResult(fact, FactVerdict.NOT_RUN, found=fact.by_hand or "the run was stopped")


def _mistake(error: Exception) -> str:
    """Return the place of a mistake of this project. The text of the exception could contain a secret."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{Path(place.filename).name}:{place.lineno}"
    return f"the check itself failed: {type(error).__name__} in {where}. Please report this error of the suite"


def _hyper_v(subject: Subject) -> None:
    subject.row("SELECT Name FROM Msvm_VirtualSystemManagementService", HYPER_V)


def _cluster(subject: Subject) -> None:
    subject.server.cluster(subject.deadline)


def _azure_local(subject: Subject) -> None:
    if not subject.server.system(subject.deadline).azure_local:
        raise NotHere("the machine does not run Azure Local")


_REQUIRE: dict[On, Callable[[Subject], object]] = {
    On.HYPER_V: _hyper_v,
    On.VM: lambda subject: subject.running_vm,
    On.GUEST: lambda subject: subject.guest,
    On.CLUSTER: _cluster,
    On.AZURE_LOCAL: _azure_local,
    On.USER: lambda subject: subject.user,
}
