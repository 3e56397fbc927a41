"""Runs of the suite: machines that stop answering, and mistakes in facts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from avma import errors
from avma.connection import Connection
from avma.context import Context
from avma.wsman.pipe import Pipe, new_winrm_pipe
from avma_conformance.fact import Area, Effect, NotHere, Observation, On, equal, fact
from avma_conformance.subject import Subject
from avma_conformance.suite import FactVerdict, Suite
from avma_simulator import EstateServer
from conformance import targets


@fact(Area.WSMAN, "no source")
def answered(subject: Subject) -> Observation:
    """A machine answers."""
    return equal(1, len(subject.query("SELECT Version FROM Win32_OperatingSystem")))


@fact(Area.WSMAN, "no source")
def unanswered(subject: Subject) -> Observation:
    """A machine does not answer."""
    raise subject.context.error(errors.Unreachable, "the connection broke", "check the port")


@fact(Area.WSMAN, "no source")
def absent(subject: Subject) -> Observation:
    """A machine lacks something."""
    raise NotHere("it lacks something")


@fact(Area.WSMAN, "no source")
def mistaken(subject: Subject) -> Observation:
    """A check has a mistake."""
    raise TypeError("Correct-Horse-7 on titania")


@fact(Area.HYPER_V, "no source", on=On.HYPER_V)
def on_a_host(subject: Subject) -> Observation:
    """A Hyper-V host answers."""
    return equal(1, 1)


@pytest.fixture
def suite(simulators: EstateServer) -> Iterator[Suite]:
    with closing(Suite(targets.simulated("2022"), [Effect.READS], (), new_winrm_pipe)) as suite:
        suite.begin()
        yield suite


def test_run_stops_after_three_facts_without_an_answer(suite: Suite) -> None:
    results = list(suite.run([unanswered, absent, unanswered, unanswered, answered, unanswered]))
    none, here, left = FactVerdict.NO_ANSWER, FactVerdict.NOT_HERE, FactVerdict.NOT_RUN
    assert [each.verdict for each in results] == [none, here, none, none, left, left]
    assert results[-1].found == "the machine no longer answers"
    assert "3 facts" in suite.notes[0]


def test_an_answer_in_between_continues_the_run(suite: Suite) -> None:
    results = list(suite.run([unanswered, unanswered, answered, unanswered, unanswered, answered]))
    assert results[-1].verdict is FactVerdict.HOLDS
    assert suite.notes == []


def test_a_mistake_in_one_fact_is_its_result(suite: Suite) -> None:
    first, second = suite.run([mistaken, answered])
    assert (first.verdict, second.verdict) == (FactVerdict.DIFFERS, FactVerdict.HOLDS)
    assert first.found.startswith("the check itself failed: TypeError in test_runs.py:")
    assert "titania" not in first.found


def test_a_silent_machine_does_not_lack_a_role(simulators: EstateServer) -> None:
    """A machine that dies before the first fact about Hyper-V is not a machine without Hyper-V."""
    alive = True

    def pipe(connection: Connection) -> Pipe:
        return _Mortal(new_winrm_pipe(connection), lambda: alive)

    with closing(Suite(targets.simulated("2022"), [Effect.READS], (), pipe)) as suite:
        suite.begin()
        alive = False
        (result,) = suite.run([on_a_host])
    assert result.verdict is FactVerdict.NO_ANSWER


class _Mortal:
    """A pipe to a machine that can die."""

    def __init__(self, inner: Pipe, alive: Callable[[], bool]) -> None:
        self._inner = inner
        self._alive = alive
        self.close = inner.close

    def send(self, context: Context, message: bytes) -> bytes:
        if not self._alive():
            raise context.error(errors.Unreachable, "the connection broke", "check the port")
        return self._inner.send(context, message)
