import threading

import pytest

from avma import errors
from avma.cancellation import Cancellation, JointCancellation
from avma.deadline import Deadline, RunIsOver, TimeIsOver, duration_error, seconds, within
from avma.wsman import retry
from waiting import PATIENCE


@pytest.mark.parametrize(
    ("text", "expected"), [("90s", 90), ("1h30m", 5400), ("250ms", 0.25), ("1.5m", 90), ("2h", 7200)]
)
def test_durations(text, expected):
    assert seconds(text) == expected
    assert duration_error(text) is None


@pytest.mark.parametrize("text", ["", "10", "10 s", "s10", "1d", "-5s", "ten"])
def test_invalid_durations(text):
    assert "duration" in str(duration_error(text))


def test_zero_is_not_a_duration():
    assert "longer" in str(duration_error("0s"))


def test_time_runs_out():
    now = [100.0]
    deadline = Deadline(30, clock=lambda: now[0])
    deadline.check("read", "hv01")
    assert deadline.remaining() == 30
    now[0] = 131.0
    assert (deadline.remaining(), deadline.elapsed()) == (0, 31)
    with pytest.raises(errors.TimedOut, match=r"hv01: could not read: the time limit of 30 s expired"):
        deadline.check("read", "hv01")


def test_a_part_of_an_expired_limit_names_the_whole_limit():
    now = [100.0]
    deadline = Deadline(30, clock=lambda: now[0])
    assert deadline.part(10).timeout == 10
    now[0] = 131.0
    with pytest.raises(errors.TimedOut, match="the time limit of 30 s expired"):
        deadline.part(10).check("read", "hv01")


@pytest.mark.parametrize(
    ("timeout", "shown"),
    [
        (0.3, "0.3 s"),
        (0.25, "0.25 s"),
        (0.004, "0.01 s"),
        (2, "2 s"),
        (1.5, "1.5 s"),
        (9.876, "9.88 s"),
        (90.2, "90 s"),
    ],
)
def test_a_short_time_is_shown_as_it_was_given(timeout, shown):
    now = [0.0]
    deadline = Deadline(timeout, clock=lambda: now[0])
    now[0] = 100.0
    with pytest.raises(errors.TimedOut, match=rf"the time limit of {shown} expired") as over:
        deadline.check("read", "hv01")
    busy = errors.ServiceBusy("read", "hv01", "HTTP 503", "wait")
    assert retry.quoting(busy, over.value).answer == f"HTTP 503, and the time limit of {shown} expired"


def test_cancellation_wakes_a_wait():
    cancellation = Cancellation()
    deadline = Deadline(3600, cancellation)
    timer = threading.Timer(0.05, cancellation.set)
    timer.start()
    with pytest.raises(errors.Cancelled):
        deadline.wait(3600, "wait", "hv01")
    timer.join()


def test_a_retried_read_reports_the_timeout_once():
    last = errors.TimedOut("read", "hv01", "the time limit of 2 s expired. The operation may have taken effect", "wait")
    end = errors.TimedOut("read", "hv01", "the time limit of 2 s expired", "wait")
    assert retry.quoting(last, end).answer == last.answer
    busy = errors.ServiceBusy("read", "hv01", "HTTP 503", "wait")
    assert retry.quoting(busy, end).answer == "HTTP 503, and the time limit of 2 s expired"


def test_a_late_call_is_left() -> None:
    release = threading.Event()
    with pytest.raises(TimeIsOver):
        within(0.05, lambda: release.wait(PATIENCE))
    release.set()


def test_a_call_is_left_when_the_run_is_canceled() -> None:
    begun, release, cancellation = threading.Event(), threading.Event(), Cancellation()

    def hang() -> bool:
        begun.set()
        return release.wait(PATIENCE)

    def cancel() -> None:
        begun.wait(PATIENCE)
        cancellation.set()

    canceling = threading.Thread(target=cancel)
    canceling.start()
    with pytest.raises(RunIsOver):
        within(PATIENCE, hang, cancellation)
    with pytest.raises(RunIsOver):
        within(PATIENCE, hang, cancellation)
    release.set()
    canceling.join()


def test_work_for_several_operations_is_canceled_with_the_last_of_them() -> None:
    first, second = Cancellation(), Cancellation()
    joint = JointCancellation([first, second])
    woken = threading.Event()
    with joint.waking(woken):
        first.set()
        assert not joint.is_set()
        second.set()
    assert joint.is_set()
    assert woken.is_set()
    assert JointCancellation([first, second]).is_set()


def test_a_call_in_time_returns_its_result_or_raises_its_error() -> None:
    assert within(PATIENCE, lambda: 7) == 7
    with pytest.raises(KeyError):
        within(PATIENCE, {}.popitem)
