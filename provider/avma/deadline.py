"""One deadline for an operation: the time that is left and the user's wish to stop, looked at by every wait.

It knows no machine; `Cancellation` is shared by all operations of a process, a `Deadline` belongs to one.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from weakref import WeakSet

from avma import errors

UNIT = "a duration such as `90s` or `1h30m`, with the units `ms`, `s`, `m` and `h`"
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|h|m|s))+")
_SHORT = 10.0
"""Seconds below which a fraction is shown."""
_SHORTEST = 0.01
"""The smallest number of seconds that is shown."""
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|h|m|s)")


def seconds(duration: str) -> float:
    """Turn a duration such as "90s" or "1h30m" into seconds.

    Raises:
        ValueError: the text is not a duration.
    """
    if not _DURATION.fullmatch(duration):
        raise ValueError(duration)
    return sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(duration))


def text_of(duration: float) -> str:
    """Return a number of seconds as errors show it: whole ones, or a short time as it was given, such as `0.3 s`."""
    if duration <= 0 or duration >= _SHORT:
        return f"{duration:.0f} s"
    return f"{max(round(duration, 2), _SHORTEST):g} s"


def duration_error(duration: str) -> str | None:
    """Say what is wrong with a duration, None when it can be used."""
    try:
        return None if seconds(duration) > 0 else "must be longer than nothing"
    except ValueError:
        return f"must be a duration such as `30s`, `2m` or `1h30m`, not `{duration}`"


class Cancellation:
    """The user's wish to stop everything; set once, seen by every wait."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._parts: WeakSet[Cancellation] = WeakSet()
        self._lock = threading.Lock()

    def set(self) -> None:
        """Ask every waiting operation to end."""
        with self._lock:
            self._event.set()
            parts = list(self._parts)
        for part in parts:
            part.set()

    def part(self) -> Cancellation:
        """Return a cancellation that is set when this one is, and can be set alone."""
        part = Cancellation()
        with self._lock:
            self._parts.add(part)
            if self._event.is_set():
                part.set()
        return part

    def is_set(self) -> bool:
        """Say whether the user wishes to stop."""
        return self._event.is_set()

    def wait(self, timeout: float) -> bool:
        """Sleep for that many seconds, or until the wish comes; return whether it came."""
        return self._event.wait(timeout)


class Deadline:
    """The end of the time that one operation may take, in seconds from now."""

    def __init__(
        self,
        timeout: float,
        cancellation: Cancellation | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.timeout = timeout
        self._cancellation = cancellation or Cancellation()
        self._clock = clock
        self._end = clock() + timeout

    def remaining(self) -> float:
        """Return the seconds that are left, never below zero."""
        return max(0.0, self._end - self._clock())

    def part(self, timeout: float) -> Deadline:
        """Return a deadline inside this one: that many seconds from now, or what is left of this one if it is less."""
        return Deadline(min(timeout, self.remaining()), self._cancellation, self._clock)

    def check(self, tried: str, where: str) -> None:
        """Return if there is time left.

        Raises:
            Cancelled: the user stopped the run.
            TimedOut: the time is over.
        """
        if self._cancellation.is_set():
            raise errors.Cancelled(tried, where, "the run was cancelled", "run again to go on from here")
        if self.remaining() <= 0:
            answer = f"the time allowed, {text_of(self.timeout)}, is over"
            remedy = "look at the machine, or allow more time with the resource option customTimeouts"
            raise errors.TimedOut(tried, where, answer, remedy)

    def wait(self, timeout: float, tried: str, where: str) -> None:
        """Sleep for that many seconds unless the deadline or the user ends the wait.

        Raises:
            Cancelled: the user stopped the run.
            TimedOut: the time is over.
        """
        self._cancellation.wait(min(timeout, self.remaining()))
        self.check(tried, where)
