"""A run of the suite: the facts to observe on one machine, and the result of each."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from enum import Enum

from avma import errors
from avma.connection import Connection
from avma.deadline import Deadline
from avma.recording.recorder import Recorder
from avma.windows.machines import Machines
from avma.wsman.identify import identify, other_than_windows
from avma.wsman.pipe import Pipe
from avma_conformance.fact import Effect, Fact, NotHere, On
from avma_conformance.subject import HYPER_V, Subject, Target

_IDENTIFYING = 60.0
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
    """

    fact: Fact
    verdict: FactVerdict
    expected: str = ""
    found: str = ""
    first: int = 0
    last: int = 0


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
        """Yield the result of each fact. Call `begin` first. `on_begin` receives each fact before its observation."""
        for each in facts:
            on_begin(each)
            first = len(self.recorder)
            yield replace(self._result(each), first=first, last=len(self.recorder))

    def _result(self, fact: Fact) -> FactResult:
        if fact.observe is None:
            return FactResult(fact, FactVerdict.NOT_RUN, found=fact.by_hand)
        if fact.effect not in self._permitted and fact.name not in self._named:
            return FactResult(fact, FactVerdict.NOT_RUN, found=f"it {fact.effect.value}")
        if fact.on not in self._here:  # the first fact that needs it: only then, an account in a VM signs in
            self._here[fact.on] = self._missing(fact.on)
        if self._here[fact.on]:
            return FactResult(fact, FactVerdict.NOT_HERE, found=self._here[fact.on])
        self._subject.begin()
        try:
            observed = fact.observe(self._subject)
        except NotHere as reason:
            return FactResult(fact, FactVerdict.NOT_HERE, found=str(reason))
        except errors.AvmaError as error:
            silent = isinstance(error, (errors.Unreachable, errors.TimedOut, errors.LogonRefused))
            return FactResult(fact, FactVerdict.NO_ANSWER if silent else FactVerdict.DIFFERS, "an answer", error.answer)
        except (ValueError, LookupError) as error:  # the observation expects another form
            return FactResult(fact, FactVerdict.DIFFERS, "an answer of a known form", type(error).__name__)
        verdict = FactVerdict.HOLDS if observed.holds else FactVerdict.DIFFERS
        return FactResult(fact, verdict, observed.expected, observed.found)

    def _missing(self, on: On) -> str:
        """Return what the machine lacks for facts on such a machine. Empty if it lacks nothing."""
        self._subject.begin()
        try:
            with contextlib.suppress(KeyError):
                _REQUIRE[on](self._subject)
        except NotHere as reason:
            return str(reason)
        except errors.AvmaError as error:
            return error.answer
        return ""


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
