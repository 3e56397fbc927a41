"""Retries: reads after a lost connection or a transient error, changes after a refusal before they began.

The pauses grow and have jitter, so that refused operations do not all return to the machine together.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from contextvars import ContextVar
from typing import TypeVar

from avma import errors, hresult
from avma.context import Context

T = TypeVar("T")

_BROKEN_ATTEMPTS = 3
"""The maximum number of attempts for an unreachable machine, because each can take a whole timeout."""
_PATIENCE = 60.0
"""Seconds after the first attempt. A busy machine is retried until then."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.25, 8.0
_ATTEMPT: ContextVar[int] = ContextVar("attempt", default=1)


def reading(context: Context, read: Callable[[], T]) -> T:
    """Return the result of `read`. Retry it after a lost connection or a transient error.

    Raises:
        TimedOut: the deadline ends before the next attempt. The error quotes the last answer.
        AvmaError: the error of the last attempt, or one that a retry cannot resolve.
    """
    return _repeated(context, read, may_pass)


def changing(context: Context, change: Callable[[], T]) -> T:
    """Return the result of `change`. Retry it only if the machine refused it before it began.

    Raises:
        TimedOut: the deadline ends before the next attempt. The error quotes the last answer.
        AvmaError: the error of the last attempt, or one after which the change may have begun.
    """
    return _repeated(context, change, did_not_begin)


def may_pass(error: errors.AvmaError) -> bool:
    """Return True if the same read may succeed later."""
    if isinstance(error, errors.WsmanFault):
        return hresult.lookup(error.code).transient
    return isinstance(error, errors.Unreachable) and not isinstance(error, errors.CertificateNotTrusted)


def did_not_begin(error: errors.AvmaError) -> bool:
    """Return True if the machine refused an operation for now, before it began."""
    if isinstance(error, errors.WsmanFault):
        return hresult.lookup(error.code).retryable
    return isinstance(error, errors.ServiceBusy)


def may_have_run(error: errors.AvmaError) -> bool:
    """Return True if a change that failed with this error may have taken effect."""
    if isinstance(error, errors.WsmanFault):
        return may_pass(error) and not did_not_begin(error)
    return isinstance(error, (errors.AnswerLost, errors.UnexpectedAnswer))


def quoting(last: errors.AvmaError, end: errors.TimedOut) -> errors.TimedOut:
    """Return the error for an expired deadline, with the machine's last answer."""
    answer = last.answer if end.answer in last.answer else f"{last.answer}, and {end.answer}"
    return errors.TimedOut(last.tried, last.where, answer, last.remedy)


def attempt() -> int:
    """Return the number of the current attempt in this thread, starting at 1."""
    return _ATTEMPT.get()


def _repeated(context: Context, call: Callable[[], T], passes: Callable[[errors.AvmaError], bool]) -> T:
    began, number, broken, pause = time.monotonic(), 1, 0, _FIRST_PAUSE
    while True:
        try:
            return _numbered(number, call)
        except errors.AvmaError as error:
            broken += _is_broken(error)
            tired = broken >= _BROKEN_ATTEMPTS or time.monotonic() - began > _PATIENCE
            if tired or not passes(error):
                raise
            _pause(context, pause, error)
        number, pause = number + 1, min(2 * pause, _LONGEST_PAUSE)


def _numbered(number: int, call: Callable[[], T]) -> T:
    """Return the result of a call. During the call, `attempt` returns that number."""
    token = _ATTEMPT.set(number)
    try:
        return call()
    finally:
        _ATTEMPT.reset(token)


def _is_broken(error: errors.AvmaError) -> bool:
    return isinstance(error, errors.Unreachable) and not isinstance(error, errors.ServiceBusy)


def _pause(context: Context, pause: float, last: errors.AvmaError) -> None:
    jittered = pause * random.uniform(0.5, 1.0)  # noqa: S311 - it spreads requests and keeps nothing secret
    try:
        context.wait(jittered)
    except errors.TimedOut as end:
        raise quoting(last, end) from last
