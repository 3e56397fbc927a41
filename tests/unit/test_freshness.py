"""The age of shared answers: a model of all interleavings of questions, reads, changes and time."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from functools import partial
from types import SimpleNamespace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from avma.context import Context
from avma.deadline import Deadline
from avma.windows.shared_reads import Changes, Era, History, SharedRead
from waiting import PATIENCE, Clock

HOSTS = ("hv01", "hv02")
GUESTS = ("web01", "web02")
MACHINES = st.sampled_from([*HOSTS, *GUESTS])

Step = tuple[str, str, float]
STEPS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["begin change", "end change"]), MACHINES, st.just(0.0)),
        st.tuples(st.just("pass"), st.just(""), st.sampled_from([0.5, 2.0, 9.0, 11.0])),
        st.tuples(st.just("ask"), MACHINES, st.sampled_from([0.0, 1.0, 10.0])),
    ),
    max_size=12,
)


@dataclass
class Read:
    """A read of a machine: when it began, and whether a change that matters was under way or ended since then."""

    began: float
    touched: bool


def matters(changed: str, read: str) -> bool:
    return changed == read or changed in HOSTS


@dataclass
class Model:
    """Machines, their shared reads, and what the rules allow."""

    clock: Clock
    during: list[Step]
    reads: dict[str, list[Read]] = field(default_factory=lambda: {name: [] for name in HOSTS + GUESTS})
    under_way: list[tuple[str, contextlib.ExitStack]] = field(default_factory=list)

    def __post_init__(self) -> None:
        hosts = Changes()
        self.histories = {name: History(Changes(), hosts, name in GUESTS) for name in HOSTS + GUESTS}
        self.shared = {
            name: SharedRead(partial(self.read, name), "read", name, partial(self.era, name), clock=self.clock)
            for name in HOSTS + GUESTS
        }

    def era(self, name: str) -> Era:
        return self.histories[name].era

    def read(self, name: str, _: Deadline) -> int:
        self.reads[name].append(Read(self.clock(), touched=self.changing(name)))
        number = len(self.reads[name]) - 1
        steps, self.during = self.during, []
        for step in steps:
            if step[0] != "ask":
                self.perform(step)
        return number

    def changing(self, name: str) -> bool:
        return any(matters(changed, name) for changed, _ in self.under_way)

    def perform(self, step: Step) -> None:
        what, name, seconds = step
        if what == "pass":
            self.clock.now += seconds
        elif what == "ask":
            self.ask(name, seconds)
        elif what == "begin change":
            self.under_way.append((name, contextlib.ExitStack()))
            self.under_way[-1][1].enter_context(self.histories[name].change())
            self.touch(name)
        elif self.under_way:
            changed, end = self.under_way.pop()
            end.close()
            self.touch(changed)

    def touch(self, changed: str) -> None:
        for name, reads in self.reads.items():
            for read in reads:
                read.touched = read.touched or matters(changed, name)

    def ask(self, name: str, max_age: float) -> None:
        reads, asked_at = self.reads[name], self.clock()
        before = len(reads)
        usable = any(self.allows(name, read, asked_at, max_age) for read in reads[-1:])
        number = self.shared[name].ask(Deadline(PATIENCE, max_age=max_age))
        if usable:
            assert len(reads) == before
            assert number == before - 1
        else:
            assert number == before
            assert reads[number].began >= asked_at

    def allows(self, name: str, read: Read, now: float, max_age: float) -> bool:
        return not read.touched and not self.changing(name) and now - read.began < max_age


@given(STEPS, STEPS)
def test_an_answer_is_never_older_than_allowed_and_no_read_is_wasted(during: list[Step], steps: list[Step]) -> None:
    model = Model(Clock(), during)
    for step in steps:
        model.perform(step)


def shared_read(answers: list[int]) -> SharedRead[int]:
    history = History(Changes(), Changes())

    def read(_: Deadline) -> int:
        answers.append(len(answers))
        return answers[-1]

    return SharedRead(read, "read", "hv01", lambda: history.era)


def test_many_questions_cost_one_read() -> None:
    shared = shared_read([])
    assert [shared.ask(Deadline(PATIENCE, max_age=10)) for _ in range(40)] == [0] * 40


def test_a_question_that_has_its_answer_leads_no_read_for_others() -> None:
    answers: list[int] = []
    shared = shared_read(answers)
    shared.ask(Deadline(PATIENCE))
    waiting: Any = SimpleNamespace(context=Context("read", "hv01", Deadline(PATIENCE)), done=False)
    shared._waiting.append(waiting)
    assert shared.ask(Deadline(PATIENCE, max_age=10)) == 0
    assert answers == [0]


def test_a_late_answer_does_not_replace_a_newer_one() -> None:
    shared = shared_read([])
    keep = shared.begin()
    assert shared.ask(Deadline(PATIENCE)) == 0
    keep(99)
    assert shared.ask(Deadline(PATIENCE, max_age=10)) == 0


def test_a_recent_answer_is_only_a_hint() -> None:
    shared = shared_read([])
    assert shared.recent(10) is None
    shared.ask(Deadline(PATIENCE))
    assert (shared.recent(10), shared.recent(0)) == (0, None)
    assert shared.ask(Deadline(PATIENCE)) == 1


def test_a_part_of_an_operation_accepts_what_the_operation_accepts() -> None:
    assert Deadline(5, max_age=10).part(1).max_age == 10


def test_a_change_that_fails_counts() -> None:
    history = History(Changes(), Changes())
    before = history.era
    with contextlib.suppress(ValueError), history.change():
        assert history.era is None
        raise ValueError
    assert history.era != before
