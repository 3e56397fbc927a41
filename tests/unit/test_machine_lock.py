"""The lock of a machine: the answers of its script, and the errors without an answer."""

from __future__ import annotations

from typing import Any

import pytest

from avma import errors
from avma.context import Context
from avma.deadline import Deadline
from avma.windows.machine_lock import MachineLock
from avma.windows.powershell import PowerShell
from avma.wsman.script import ErrorRecord, Output
from waiting import unpaused


class Ended:
    """A script that counts how often it is ended, and whether it still runs."""

    def __init__(self, output: Output, runs: bool = True) -> None:
        self.output = output
        self.runs = runs
        self.ended = self.left = 0

    def is_running(self, _: Context) -> bool:
        return self.runs

    def end(self) -> None:
        self.ended += 1

    def leave(self) -> None:
        self.left += 1


class Starting:
    """Runspaces in which each script has these outcomes, one after the other."""

    where = "hv01"
    configuration_name = ""

    def __init__(self, *outcomes: Ended | errors.AvmaError) -> None:
        self.outcomes = list(outcomes)

    def start(self, *_: Any) -> Any:
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, errors.AvmaError):
            raise outcome
        return outcome


def said(*texts: str, records: tuple[ErrorRecord, ...] = ()) -> Ended:
    return Ended(Output(texts, records, not records))


def acquire(runspaces: Any, deadline: Deadline | None = None) -> Any:
    return MachineLock(PowerShell(runspaces), 60.0).acquire(deadline or unpaused(600), lambda: None)


@pytest.mark.parametrize(
    ("outcome", "kind", "text"),
    [
        (said('{"state": "waiting"}', '{"state": "busy"}'), errors.TimedOut, r"holds the mutex Global\\avma-license"),
        (said('{"state": "unsupported"}'), errors.ScriptFailed, "its language mode is not FullLanguage"),
        (said(records=(ErrorRecord("Id", "not permitted"),)), errors.ScriptFailed, r"not permitted \(Id\)"),
        (said(), errors.UnexpectedAnswer, "the script returned no answer"),
        (said("odd"), errors.UnexpectedAnswer, "unexpected output `odd`"),
        (said('{"state": "waiting"}'), errors.UnexpectedAnswer, "another process holds the mutex"),
        (
            said('{"state": "waiting"}', records=(ErrorRecord("Id", "no memory"),)),
            errors.UnexpectedAnswer,
            r"another process holds the mutex .*no memory \(Id\)",
        ),
        (errors.ScriptFailed("lock", "hv01", "the session was closed", "x"), errors.UnexpectedAnswer, "was closed"),
    ],
)
def test_a_script_without_the_lock_is_an_error_and_its_pool_is_closed(
    outcome: Ended | errors.AvmaError, kind: type[errors.AvmaError], text: str
) -> None:
    with pytest.raises(errors.AvmaError, match=text) as caught:
        acquire(Starting(outcome))
    assert type(caught.value) is kind
    assert not isinstance(outcome, Ended) or outcome.ended == 1


def test_a_lost_answer_is_repeated_because_its_lock_ends_with_its_pool() -> None:
    lost = errors.AnswerLost("lock", "hv01", "gone", "run again")
    held = said('{"state": "held"}')
    lock = acquire(Starting(lost, lost, held))
    lock.require()
    assert held.ended == 0
    lock.release()
    assert (held.ended, held.left) == (1, 0)


def test_a_lock_is_asked_for_directly_before_an_activation() -> None:
    held = said('{"state": "held"}')
    lock = acquire(Starting(held))
    held.runs = False
    with (
        pytest.raises(errors.Refused, match="which locks its license against other runs, has ended"),
        lock.activation(),
    ):
        pytest.fail("the activation began without the lock")


@pytest.mark.parametrize("kind", [errors.Cancelled, errors.TimedOut])
def test_the_end_of_the_operation_is_not_a_lost_lock(monkeypatch: pytest.MonkeyPatch, kind: type[Exception]) -> None:
    held = said('{"state": "held"}')
    deadline = unpaused(600)
    lock = acquire(Starting(held), deadline)

    def break_off(_: Context) -> bool:
        if kind is errors.Cancelled:
            deadline.cancellation.set()
        else:
            deadline.cancellation.wait(600)
        raise errors.AnswerLost("ask for the lock", "hv01", "gone", "run again")

    monkeypatch.setattr(held, "is_running", break_off)
    with pytest.raises(kind), lock.activation():
        pytest.fail("the activation began after the end of the operation")
    lock.release()
    assert (held.ended, held.left, lock.lost) == (1, 0, False)


_ACTIVATING = ("activate Windows", "hv01", "no", "run again")


def end_of_lock(error: errors.AvmaError) -> tuple[int, int]:
    """Let an activation end with that error. Return how often the lock was released, and how often it was left."""
    held = said('{"state": "held"}')
    lock = acquire(Starting(held))
    with pytest.raises(type(error)), lock.activation():
        raise error
    lock.release()
    return held.ended, held.left


@pytest.mark.parametrize("kind", [errors.AnswerLost, errors.UnexpectedAnswer])
def test_an_activation_without_a_result_keeps_the_lock(kind: type[errors.AvmaError]) -> None:
    assert end_of_lock(kind(*_ACTIVATING)) == (0, 1)


@pytest.mark.parametrize("number", [0x800706BE, 0x800706BA, 0x803381A7, 0x80041006])
def test_a_fault_of_an_activation_that_may_have_run_keeps_the_lock(number: int) -> None:
    assert end_of_lock(errors.WsmanFault(*_ACTIVATING, number)) == (0, 1)


@pytest.mark.parametrize("kind", [errors.Cancelled, errors.TimedOut, errors.ServiceBusy, errors.Unreachable])
def test_an_activation_that_was_not_sent_releases_the_lock(kind: type[errors.AvmaError]) -> None:
    assert end_of_lock(kind(*_ACTIVATING)) == (1, 0)


def test_a_rejected_activation_releases_the_lock() -> None:
    assert end_of_lock(errors.LicensingFault(*_ACTIVATING, 0xC004C008)) == (1, 0)


def test_a_machine_that_stays_silent_cannot_be_locked() -> None:
    lost = [errors.AnswerLost("lock", "hv01", "gone", "run again") for _ in range(5)]
    with pytest.raises(errors.AnswerLost):
        acquire(Starting(*lost))
