"""Reads are sent again when the connection breaks; nothing else ever is."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from avma import errors
from avma.deadline import Deadline

T = TypeVar("T")

_ATTEMPTS = 3
_FIRST_PAUSE = 0.5


def reading(read: Callable[[], T], deadline: Deadline, tried: str, where: str) -> T:
    """Return what `read` returns, after up to three attempts with growing pauses.

    Raises:
        AvmaError: the last attempt's, or one that another attempt cannot mend.
    """
    pause = _FIRST_PAUSE
    for _ in range(_ATTEMPTS - 1):
        try:
            return read()
        except errors.CertificateNotTrusted:
            raise
        except errors.Unreachable:
            deadline.wait(pause, tried, where)
            pause *= 2
    return read()
