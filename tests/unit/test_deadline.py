import threading

import pytest

from avma import errors
from avma.deadline import Cancellation, Deadline, duration_error, seconds
from avma.wsman import retry


@pytest.mark.parametrize(
    ("text", "expected"), [("90s", 90), ("1h30m", 5400), ("250ms", 0.25), ("1.5m", 90), ("2h", 7200)]
)
def test_durations(text, expected):
    assert seconds(text) == expected
    assert duration_error(text) is None


@pytest.mark.parametrize("text", ["", "10", "10 s", "s10", "1d", "-5s", "ten"])
def test_what_is_no_duration_is_said(text):
    assert "duration" in duration_error(text)


def test_nothing_is_no_duration():
    assert "longer" in duration_error("0s")


def test_time_runs_out():
    now = [100.0]
    deadline = Deadline(30, clock=lambda: now[0])
    deadline.check("read", "hv01")
    assert deadline.remaining() == 30
    now[0] = 131.0
    assert deadline.remaining() == 0
    with pytest.raises(errors.TimedOut, match=r"could not read on hv01: the time allowed, 30 s, is over"):
        deadline.check("read", "hv01")


def test_cancellation_wakes_a_wait():
    cancellation = Cancellation()
    deadline = Deadline(3600, cancellation)
    timer = threading.Timer(0.05, cancellation.set)
    timer.start()
    with pytest.raises(errors.Cancelled):
        deadline.wait(3600, "wait", "hv01")
    timer.join()


def test_a_read_that_is_tried_again_says_once_that_the_time_is_over():
    last = errors.TimedOut("read", "hv01", "the time allowed, 2 s, is over. The script may have run", "wait")
    assert retry.timed_out(last, Deadline(2)).answer == last.answer
    busy = errors.ServiceBusy("read", "hv01", "HTTP 503", "wait")
    assert retry.timed_out(busy, Deadline(2)).answer == "HTTP 503; the time allowed, 2 s, is over"
