"""Deadlines. Every wait of an operation checks its deadline, and the cancellation of the run.

Each operation has its own `Deadline`.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from avma import errors
from avma.cancellation import Cancellation
from avma.wording import ALLOW_MORE_TIME, CONTINUE

CANCELED = "the run was canceled"

POLL = 0.1
"""Seconds between two checks of the deadline during a wait for another thread."""
UNIT = "a duration such as `90s` or `1h30m`, with the units `ms`, `s`, `m` and `h`"
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|h|m|s))+")
_SHORT = 10.0
"""Seconds. Below this duration, `text_of` shows a fraction."""
_SHORTEST = 0.01
"""Seconds. The shortest duration that `text_of` shows."""
SENDER = "avma-sender"
"""The name of the threads that run calls with a time limit."""
_T = TypeVar("_T")
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|h|m|s)")


def seconds(duration: str) -> float:
    """Return a duration such as "90s" or "1h30m" in seconds.

    Raises:
        ValueError: the text is not a duration.
    """
    if not _DURATION.fullmatch(duration):
        raise ValueError(duration)
    return sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(duration))


def text_of(duration: float) -> str:
    """Return a duration in seconds as text for errors. A short one keeps its fraction, such as `0.3 s`."""
    if duration <= 0 or duration >= _SHORT:
        return f"{duration:.0f} s"
    return f"{max(round(duration, 2), _SHORTEST):g} s"


def duration_error(duration: str) -> str | None:
    """Return what is wrong with a duration, or None if it is valid."""
    try:
        return None if seconds(duration) > 0 else "must be longer than zero"
    except ValueError:
        return f"must be a duration such as `30s`, `2m` or `1h30m`, not `{duration}`"


class TimeIsOver(OSError):
    """A call did not end in time."""


class RunIsOver(OSError):
    """The user stopped the run before a call ended."""


class Deadline:
    """The time limit of one operation, in seconds from now, and its cancellation."""

    def __init__(
        self,
        timeout: float,
        cancellation: Cancellation | None = None,
        clock: Callable[[], float] = time.monotonic,
        max_age: float = 0.0,
    ) -> None:
        self.timeout = timeout
        self.max_age = max_age
        """Seconds. The operation accepts answers of machines up to this age. 0 for an operation that changes one."""
        self.cancellation = cancellation or Cancellation()
        self._clock = clock
        self._end = clock() + timeout

    def remaining(self) -> float:
        """Return the remaining seconds, never below zero."""
        return max(0.0, self._end - self._clock())

    def elapsed(self) -> float:
        """Return the seconds since the deadline began. They can exceed `timeout`."""
        return self._clock() - self._end + self.timeout

    def part(self, timeout: float) -> Deadline:
        """Return a deadline after that many seconds, or at the end of this one if that is earlier."""
        left = self.remaining()
        # Errors name the time limit of a deadline. Without time left, it is that of the whole operation.
        return Deadline(min(timeout, left), self.cancellation, self._clock, self.max_age) if left else self

    def fresh(self) -> Deadline:
        """Return this deadline for an operation that accepts no earlier answers of machines."""
        return Deadline(self.remaining(), self.cancellation, self._clock)

    @property
    def is_over(self) -> bool:
        """Whether the operation must not continue."""
        return self.cancellation.is_set() or self.remaining() <= 0

    def check(self, tried: str, where: str) -> None:
        """Raise an error unless the operation may continue.

        Raises:
            Cancelled: the user stopped the run.
            TimedOut: the time limit expired.
        """
        if self.cancellation.is_set():
            raise errors.Cancelled(tried, where, CANCELED, CONTINUE)
        if self.remaining() <= 0:
            answer = f"the time limit of {text_of(self.timeout)} expired"
            raise errors.TimedOut(tried, where, answer, f"check the machine, or {ALLOW_MORE_TIME}")

    def acquire(self, lock: threading.Lock | threading.Semaphore, tried: str, where: str) -> None:
        """Acquire a lock or a semaphore. The caller releases it.

        Raises:
            Cancelled: the user stopped the run.
            TimedOut: the time limit expired.
        """
        while not lock.acquire(timeout=POLL):
            self.check(tried, where)

    def wait(self, timeout: float, tried: str, where: str) -> None:
        """Sleep for that many seconds, unless the deadline or the user ends the wait.

        Raises:
            Cancelled: the user stopped the run.
            TimedOut: the time limit expired.
        """
        self.cancellation.wait(min(timeout, self.remaining()))
        self.check(tried, where)


def within(seconds: float, call: Callable[[], _T], cancellation: Cancellation | None = None) -> _T:
    """Return the result of a call if it ends within that many seconds, and before the user stops the run.

    Otherwise, the call continues in its own thread.

    Raises:
        TimeIsOver: the call is late.
        RunIsOver: the user stopped the run.
    """
    cancellation = cancellation or Cancellation()
    # A thread for each call costs about 0.1 ms. A request to Windows takes 10 ms or more, and nothing else ends a name
    # resolution or a call of a Kerberos library.
    outcome: Future[_T] = Future()
    ended = threading.Event()
    outcome.add_done_callback(lambda _: ended.set())
    threading.Thread(target=_settle, args=(outcome, call), name=SENDER, daemon=True).start()
    with cancellation.waking(ended):
        ended.wait(seconds)
    if outcome.done():
        return outcome.result()
    if cancellation.is_set():
        raise RunIsOver(CANCELED)
    raise TimeIsOver(f"no answer within {seconds:.0f} s")


def _settle(outcome: Future[_T], call: Callable[[], _T]) -> None:
    try:
        outcome.set_result(call())
    except BaseException as error:  # the waiting thread raises it
        outcome.set_exception(error)
