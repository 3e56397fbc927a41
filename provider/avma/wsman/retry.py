"""Retries: reads after a lost connection or a transient error, changes after a refusal before they began.

The pauses grow and have jitter, so that refused operations do not all return to the machine together.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from avma import errors, hresult
from avma.context import Context

_BROKEN_ATTEMPTS = 3
"""The maximum number of attempts for an unreachable machine, because each can take a whole timeout."""
_PATIENCE = 60.0
"""Seconds after the first attempt. A busy machine is retried until then."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.25, 8.0
_DOUBT = "The operation may have taken effect"
_ATTEMPT: ContextVar[int] = ContextVar("attempt", default=1)


class Attempts:
    """The attempts of one read or change: a context manager for the body of an endless loop.

        attempts = retry.reading(context)
        while True:
            with attempts:
                return wmi.query(...)

    After an error that a repeat can resolve, it pauses, and the loop makes the next attempt. It raises all other
    errors, and the error of the last attempt.

    Raises:
        TimedOut: the deadline ends before or in the next attempt. The error quotes the last answer.
    """

    def __init__(self, context: Context, can_repeat: Callable[[errors.AvmaError], bool]) -> None:
        self._context = context
        self._can_repeat = can_repeat
        self._began = time.monotonic()
        self._pause = _FIRST_PAUSE
        self._number = 0
        self._broken = 0
        self._last: errors.AvmaError | None = None

    def __enter__(self) -> None:
        self._number += 1
        self._token = _ATTEMPT.set(self._number)

    def __exit__(self, _: object, error: BaseException | None, _traceback: object) -> bool:
        _ATTEMPT.reset(self._token)
        if not isinstance(error, errors.AvmaError):
            return False
        if self._last is None or not self._is_cut_short(error):
            self._last = error
        elif isinstance(error, errors.TimedOut):
            raise quoting(self._last, error) from error
        self._broken += _is_broken(error)
        tired = self._broken >= _BROKEN_ATTEMPTS or time.monotonic() - self._began > _PATIENCE
        if tired or not self._can_repeat(error):
            return False
        self._wait(self._last)
        return True

    def _is_cut_short(self, error: errors.AvmaError) -> bool:
        """Return True if the deadline ended the attempt before the machine answered."""
        return self._context.deadline.remaining() <= 0 and (isinstance(error, errors.TimedOut) or _is_broken(error))

    def _wait(self, last: errors.AvmaError) -> None:
        jittered = self._pause * random.uniform(0.5, 1.0)  # noqa: S311 - it spreads requests and keeps nothing secret
        self._pause = min(2 * self._pause, _LONGEST_PAUSE)
        try:
            self._context.wait(jittered)
        except errors.TimedOut as end:
            raise quoting(last, end) from last


def reading(context: Context) -> Attempts:
    """Return the attempts of a read. It is repeated after a lost connection or a transient error."""
    return Attempts(context, may_pass)


def changing(context: Context) -> Attempts:
    """Return the attempts of a change. It is repeated only if the machine refused it before it began."""
    return Attempts(context, did_not_begin)


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


def doubted(error: errors.AvmaError) -> errors.AvmaError:
    """Return the error of a change: after a lost answer, it says that the change may have taken effect."""
    if not isinstance(error, errors.AnswerLost) or _DOUBT in error.answer:
        return error
    return error.but(answer=f"{error.answer}. {_DOUBT}", in_doubt=True)


@contextmanager
def noting_doubt() -> Iterator[None]:
    """Make one change in the body. If it may have taken effect, its error is in doubt."""
    try:
        yield
    except errors.AvmaError as error:
        if not may_have_run(error):
            raise
        raise error.but(in_doubt=True) from error


def quoting(last: errors.AvmaError, end: errors.AvmaError) -> errors.AvmaError:
    """Return the error that ended an operation, with the machine's last answer before it.

    An expired deadline is no reason of its own. So its error names the operation and the remedy of that answer, unless
    a change is in doubt.
    """
    if last.answer in end.answer:
        return end.but()
    if end.in_doubt or not isinstance(end, errors.TimedOut):
        return end.but(answer=f"{end.answer}. The previous error was: {last.answer}")
    answer = last.answer if end.answer in last.answer else f"{last.answer}, and {end.answer}"
    return errors.TimedOut(last.tried, last.where, answer, last.remedy)


@contextmanager
def proof(tried: str, sent: str, lost: errors.AvmaError | None = None) -> Iterator[None]:
    """Name a change in the error of the read that has to prove it.

    Args:
        tried: the change as a verb phrase, such as "install the product key".
        sent: the request as a clause, such as "the provider sent the key".
        lost: the error of the request. None if the machine accepted it.
    """
    try:
        yield
    except errors.AvmaError as end:
        raise unproven(tried, sent, lost, end) from end


def unproven(tried: str, sent: str, lost: errors.AvmaError | None, end: errors.AvmaError) -> errors.AvmaError:
    """Return the error for a change without a proof, see `proof`. If it did not begin, the read alone failed."""
    if lost is not None and not may_have_run(lost):
        return quoting(lost, end)
    doubt = f", but {lost.answer}" if lost is not None and lost.answer not in end.answer else ""
    answer = f"{sent}{doubt}, and then could not read the result: {end.answer}"
    return end.but(tried=tried, answer=answer, in_doubt=True)


def attempt() -> int:
    """Return the number of the current attempt in this thread, starting at 1."""
    return _ATTEMPT.get()


def _is_broken(error: errors.AvmaError) -> bool:
    return isinstance(error, errors.Unreachable) and not isinstance(error, errors.ServiceBusy)
