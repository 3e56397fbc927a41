"""Retries on a clock that only the pauses advance: their length, and the error at the end of the time limit."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from avma import errors
from avma.context import Context
from avma.deadline import Deadline
from avma.wsman import retry
from waiting import SkippedPauses, unpaused

BUSY = errors.ServiceBusy("read", "hv01", "HTTP 503", "wait")
LOST = errors.AnswerLost("read", "hv01", "no answer in time", "check the machine")
HELD = errors.TimedOut("read", "hv01", "another process holds the lock", "wait for the other run")
SECONDS = 5.0


def repeat(attempts: Iterator[Callable[[], object]], context: Context) -> None:
    """Make the attempts of one read, until one of them succeeds."""
    repeating = retry.reading(context)
    while True:
        with repeating:
            next(attempts)()
            return


def refusing(error: errors.AvmaError) -> Callable[[], object]:
    def refuse() -> object:
        raise error

    return refuse


def expiring(context: Context, error: errors.AvmaError | None = None) -> Callable[[], object]:
    """Return an attempt in which the deadline ends. Without an error, the attempt itself notices the end."""

    def expire() -> object:
        context.deadline.cancellation.wait(2 * SECONDS)
        if error is not None:
            raise error
        context.check()
        return None

    return expire


@pytest.mark.parametrize("end", [None, LOST], ids=["noticed", "no answer"])
def test_a_deadline_that_ends_in_an_attempt_quotes_the_last_answer(end: errors.AvmaError | None) -> None:
    context = Context("read", "hv01", unpaused(SECONDS))
    with pytest.raises(errors.TimedOut) as caught:
        repeat(iter([refusing(BUSY), expiring(context, end)]), context)
    assert caught.value.answer == "HTTP 503, and the time limit of 5 s expired"
    assert caught.value.remedy == BUSY.remedy


def test_a_deadline_that_ends_in_the_first_attempt_has_no_answer_to_quote() -> None:
    context = Context("read", "hv01", unpaused(SECONDS))
    with pytest.raises(errors.TimedOut) as caught:
        repeat(iter([expiring(context)]), context)
    assert caught.value.answer == "the time limit of 5 s expired"


def test_a_timeout_that_the_machine_reports_is_its_last_answer() -> None:
    with pytest.raises(errors.TimedOut) as caught:
        repeat(iter([refusing(BUSY), refusing(HELD)]), Context("read", "hv01", unpaused(SECONDS)))
    assert caught.value is HELD


class Recorded(SkippedPauses):
    """A cancellation whose pauses end at once, with a record of their lengths."""

    def __init__(self) -> None:
        super().__init__()
        self.pauses: list[float] = []

    def wait(self, timeout: float) -> bool:
        self.pauses.append(timeout)
        return super().wait(timeout)


def test_the_pauses_double_up_to_the_longest_and_have_jitter() -> None:
    recorded, longest = Recorded(), [0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0]
    context = Context("read", "hv01", Deadline(600, recorded, recorded.clock))
    repeat(iter([*[refusing(BUSY)] * len(longest), object]), context)
    shares = [pause / most for pause, most in zip(recorded.pauses, longest, strict=True)]
    assert 0.5 <= min(shares) < max(shares) <= 1.0
