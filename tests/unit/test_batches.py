import threading

import pytest

from avma import errors
from avma.cancellation import Cancellation
from avma.deadline import Deadline
from avma.windows.shared_reads import SharedRead
from waiting import PATIENCE, wait_until


class Source:
    """A source of numbered reads. The test releases each answer."""

    def __init__(self) -> None:
        self.reads = 0
        self.started = threading.Semaphore(0)
        self.go_on = threading.Semaphore(0)
        self.failures: list[Exception] = []

    def read(self, deadline: Deadline) -> int:
        self.reads += 1
        number = self.reads
        self.started.release()
        assert self.go_on.acquire(timeout=PATIENCE)
        if self.failures:
            raise self.failures.pop(0)
        return number


def ask(read: SharedRead[int], answers: list, deadline: Deadline | None = None) -> threading.Thread:
    def run() -> None:
        try:
            answers.append(read.ask(deadline or Deadline(PATIENCE)))
        except errors.AvmaError as error:
            answers.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread


@pytest.fixture
def source():
    return Source()


@pytest.fixture
def read(source):
    return SharedRead(source.read, "read", "hv01", lambda: None)


def wait_until_waiting(read, count=1):
    wait_until(lambda: len(read._waiting) >= count)


def test_a_single_question_waits_for_nobody(source, read):
    class Impatient(Deadline):
        def wait(self, timeout, tried, where):
            raise AssertionError("waits")

    source.go_on.release()
    assert read.ask(Impatient(PATIENCE)) == 1


def test_requests_during_a_read_share_the_next_read(source, read):
    answers: list = []
    first = ask(read, answers)
    assert source.started.acquire(timeout=PATIENCE)
    others = [ask(read, answers) for _ in range(20)]
    wait_until_waiting(read)
    source.go_on.release()
    first.join()
    assert answers == [1]
    source.go_on.release(2)
    for thread in others:
        thread.join()
    assert min(answers[1:]) == 2
    assert source.reads <= 3  # a thread that starts late needs a third read


def test_an_answer_is_never_older_than_the_question(source, read):
    answers: list = []
    for number in (1, 2, 3):
        thread = ask(read, answers)
        source.go_on.release()
        thread.join()
        assert answers[-1] == number


def test_an_error_reaches_all_requests_that_share_the_read(source, read):
    source.failures = [errors.Unreachable("read", "hv01", "refused", "check")]
    answers: list = []
    thread = ask(read, answers)
    source.go_on.release()
    thread.join()
    assert isinstance(answers[0], errors.Unreachable)


def test_a_leader_whose_time_is_over_does_not_end_the_others(source, read):
    answers: list = []
    late: list = []
    first = ask(read, answers)
    assert source.started.acquire(timeout=PATIENCE)
    cancellation = Cancellation()
    leader = ask(read, late, Deadline(60, cancellation))
    wait_until_waiting(read)
    follower = ask(read, answers)
    cancellation.set()
    leader.join()
    assert isinstance(late[0], errors.Cancelled)
    source.go_on.release()
    source.go_on.release()
    first.join()
    follower.join()
    assert answers[0] == 1
    assert answers[1] == 2


def test_a_read_that_ends_with_its_leader_is_repeated_for_the_others(source, read):
    answers: list = []
    first = ask(read, [])
    assert source.started.acquire(timeout=PATIENCE)
    others = [ask(read, answers) for _ in range(2)]
    wait_until_waiting(read, 2)
    source.go_on.release()
    first.join()
    source.failures = [errors.TimedOut("read", "hv01", "the time is over", "wait")]
    source.go_on.release(2)
    for thread in others:
        thread.join()
    late, answer = answers
    assert isinstance(late, errors.TimedOut)
    assert answer == 3
