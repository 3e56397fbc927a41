"""The lock of a machine: the answers of its script, and the errors without an answer."""

from __future__ import annotations

from typing import Any

import pytest

from avma import errors
from avma.windows.machine_lock import MachineLock
from avma.windows.powershell import PowerShell
from avma.wsman.script import ErrorRecord, Output
from waiting import unpaused


class Ended:
    """A script that has ended, in a pool that counts how often it is closed."""

    def __init__(self, output: Output) -> None:
        self.output = output
        self.closed = 0

    def close(self) -> None:
        self.closed += 1


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


def acquire(runspaces: Any) -> Any:
    return MachineLock(PowerShell(runspaces), 60.0).acquire(unpaused(600), lambda: None)


@pytest.mark.parametrize(
    ("ended", "kind", "text"),
    [
        (said('{"state": "waiting"}', '{"state": "busy"}'), errors.TimedOut, r"holds the mutex Global\\avma-license"),
        (said('{"state": "unsupported"}'), errors.ScriptFailed, "its language mode is not FullLanguage"),
        (said(records=(ErrorRecord("Id", "not permitted"),)), errors.ScriptFailed, r"not permitted \(Id\)"),
        (said(), errors.ScriptFailed, "the script returned no answer"),
    ],
)
def test_a_script_without_the_lock_is_an_error_and_its_pool_is_closed(
    ended: Ended, kind: type[errors.AvmaError], text: str
) -> None:
    with pytest.raises(kind, match=text):
        acquire(Starting(ended))
    assert ended.closed == 1


def test_a_lost_answer_is_repeated_because_its_lock_ends_with_its_pool() -> None:
    lost = errors.AnswerLost("lock", "hv01", "gone", "run again")
    held = said('{"state": "held"}')
    lock = acquire(Starting(lost, lost, held))
    lock.require()
    assert held.closed == 0
    lock.release()
    assert held.closed == 1


def test_a_machine_that_stays_silent_cannot_be_locked() -> None:
    lost = [errors.AnswerLost("lock", "hv01", "gone", "run again") for _ in range(5)]
    with pytest.raises(errors.AnswerLost):
        acquire(Starting(*lost))
