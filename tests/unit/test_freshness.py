"""The age of shared answers: a model of all interleavings of questions, reads, changes and time."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from avma.deadline import Deadline
from avma.windows import batches
from avma.windows.batches import Changes, SharedRead
from waiting import PATIENCE, Clock

Step = tuple[str, float]
STEPS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["begin change", "end change"]), st.just(0.0)),
        st.tuples(st.just("pass"), st.sampled_from([0.5, 2.0, 9.0, 11.0])),
        st.tuples(st.just("ask"), st.sampled_from([0.0, 1.0, 10.0])),
    ),
    max_size=12,
)


@dataclass
class Read:
    """A read of the machine: when it began, and whether a change was under way or ended since then."""

    began: float
    touched: bool


@dataclass
class Model:
    """A machine, its shared read, and what the rules allow."""

    clock: Clock
    during: list[Step]
    changes: Changes = field(default_factory=Changes)
    reads: list[Read] = field(default_factory=list)
    under_way: list[contextlib.ExitStack] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.shared = SharedRead(self.read, "read", "hv01", self.changes, self.clock)

    def read(self, _: Deadline) -> int:
        self.reads.append(Read(self.clock(), touched=bool(self.under_way)))
        number = len(self.reads) - 1
        steps, self.during = self.during, []
        for step in steps:
            if step[0] != "ask":
                self.perform(step)
        return number

    def perform(self, step: Step) -> None:
        what, seconds = step
        if what == "pass":
            self.clock.now += seconds
        elif what == "ask":
            self.ask(seconds)
        elif what == "begin change":
            self.under_way.append(contextlib.ExitStack())
            self.under_way[-1].enter_context(self.changes.change())
            self.touch()
        elif self.under_way:
            self.under_way.pop().close()
            self.touch()

    def touch(self) -> None:
        for read in self.reads:
            read.touched = True

    def ask(self, max_age: float) -> None:
        before, asked_at = len(self.reads), self.clock()
        usable = any(self.allows(read, asked_at, max_age) for read in self.reads[-1:])
        number = self.shared.ask(Deadline(PATIENCE, max_age=max_age))
        if usable:
            assert len(self.reads) == before
            assert number == before - 1
        else:
            assert number == before
            assert self.reads[number].began >= asked_at

    def allows(self, read: Read, now: float, max_age: float) -> bool:
        return not read.touched and not self.under_way and now - read.began < max_age


@pytest.fixture(autouse=True)
def _no_gathering(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "GATHERING", 0.0)


@given(STEPS, STEPS)
def test_an_answer_is_never_older_than_allowed_and_no_read_is_wasted(during: list[Step], steps: list[Step]) -> None:
    model = Model(Clock(), during)
    for step in steps:
        model.perform(step)


def test_many_questions_cost_one_read() -> None:
    answers: list[int] = []

    def read(_: Deadline) -> int:
        answers.append(len(answers))
        return answers[-1]

    shared = SharedRead(read, "read", "hv01", Changes())
    assert [shared.ask(Deadline(PATIENCE, max_age=10)) for _ in range(40)] == [0] * 40


def test_a_part_of_an_operation_accepts_what_the_operation_accepts() -> None:
    assert Deadline(5, max_age=10).part(1).max_age == 10


def test_a_change_that_fails_counts() -> None:
    changes = Changes()
    before = changes.era
    with contextlib.suppress(ValueError), changes.change():
        assert changes.era is None
        raise ValueError
    assert changes.era != before
