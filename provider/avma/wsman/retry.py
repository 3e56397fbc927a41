"""What is tried again: reads after a lost connection or a passing error, changes after a refusal before they began.

The pauses grow and are jittered, so that many operations that one machine has refused do not return together.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TypeVar

from avma import errors, hresult
from avma.deadline import Deadline, text_of

T = TypeVar("T")

_BROKEN_ATTEMPTS = 3
"""How often a machine that cannot be reached is tried: each attempt can take a whole timeout."""
_PATIENCE = 60.0
"""Seconds for which a machine that asks to try again later is tried."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.25, 8.0


def reading(read: Callable[[], T], deadline: Deadline, tried: str, where: str) -> T:
    """Return the result of `read`, which is tried again after a lost connection or an error that passes.

    Raises:
        TimedOut: the deadline ends before the next attempt; the error quotes the last answer.
        AvmaError: the last attempt's error, or one that another attempt cannot mend.
    """
    return _repeated(read, may_pass, deadline, tried, where)


def changing(change: Callable[[], T], deadline: Deadline, tried: str, where: str) -> T:
    """Return the result of `change`, which is tried again only if the machine refused it before it began.

    Raises:
        TimedOut: the deadline ends before the next attempt; the error quotes the last answer.
        AvmaError: the last attempt's error, or one after which the change may have begun.
    """
    return _repeated(change, did_not_begin, deadline, tried, where)


def may_pass(error: errors.AvmaError) -> bool:
    """Return True if the same read can succeed a little later."""
    if isinstance(error, errors.WsmanFault):
        return hresult.lookup(error.code).transient
    return isinstance(error, errors.Unreachable) and not isinstance(error, errors.CertificateNotTrusted)


def did_not_begin(error: errors.AvmaError) -> bool:
    """Return True if the machine refused an operation for now, before it began."""
    if isinstance(error, errors.WsmanFault):
        return hresult.lookup(error.code).retryable
    return isinstance(error, errors.ServiceBusy)


def may_have_run(error: errors.AvmaError) -> bool:
    """Return True if a change that failed with it can have taken effect all the same."""
    if isinstance(error, errors.WsmanFault):
        return may_pass(error) and not did_not_begin(error)
    return isinstance(error, (errors.AnswerLost, errors.UnexpectedAnswer))


def timed_out(last: errors.AvmaError, deadline: Deadline) -> errors.TimedOut:
    """Return the error for a deadline that ends while an operation waits to be tried again."""
    over = f"the time allowed, {text_of(deadline.timeout)}, is over"
    answer = last.answer if over in last.answer else f"{last.answer}; {over}"
    return errors.TimedOut(last.tried, last.where, answer, last.remedy)


def _repeated(
    call: Callable[[], T], passes: Callable[[errors.AvmaError], bool], deadline: Deadline, tried: str, where: str
) -> T:
    began, broken, pause = time.monotonic(), 0, _FIRST_PAUSE
    while True:
        try:
            return call()
        except errors.AvmaError as error:
            broken += _is_broken(error)
            tired = broken >= _BROKEN_ATTEMPTS or time.monotonic() - began > _PATIENCE
            if tired or not passes(error):
                raise
            _pause(pause, error, deadline, tried, where)
        pause = min(2 * pause, _LONGEST_PAUSE)


def _is_broken(error: errors.AvmaError) -> bool:
    return isinstance(error, errors.Unreachable) and not isinstance(error, errors.ServiceBusy)


def _pause(pause: float, last: errors.AvmaError, deadline: Deadline, tried: str, where: str) -> None:
    jittered = pause * random.uniform(0.5, 1.0)  # noqa: S311 - it spreads requests and keeps nothing secret
    try:
        deadline.wait(jittered, tried, where)
    except errors.TimedOut:
        raise timed_out(last, deadline) from last
