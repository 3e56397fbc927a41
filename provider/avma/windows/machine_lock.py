"""The lock on a machine that all processes with this provider respect. They take it before they spend an activation.

It is a named mutex of Windows (learn.microsoft.com, "Mutexes"). The script `license-lock` holds it in its own runspace
pool, so it needs no right beyond PowerShell remoting. It vanishes with its owner: Windows releases the mutex of a
process that ends, and ends a pool that hears nothing of its client (New-PSSessionOption, `IdleTimeout`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from avma import errors
from avma.context import Context
from avma.deadline import Deadline
from avma.windows.powershell import Answers, PowerShell, failure
from avma.wording import RUN_AGAIN
from avma.wsman import retry
from avma.wsman.runspaces import RunningScript
from avma.wsman.script import OnOutput, TimeLeft

SCRIPT = "license-lock"
MUTEX = r"Global\avma-license"
_TRIED = "lock the license of the machine"
_OUTLIVES = 75.0
"""Seconds. The lock outlives the longest request after its last sign of life by this time.

A refused change is repeated for a minute without a sign of life. The minimum of `IdleTimeout` is a minute too.
"""
_SILENCE = 20.0
"""Seconds. After this time, a sign of life keeps Windows from ending the lock."""
_SIGN = 20.0
"""Seconds. The time limit of a sign of life. Without an answer, the lock counts as lost."""
_PATIENCE = TimeLeft(margin=60.0, share=0.5)
"""How long to wait for another process. The rest of the time is for the change."""
_HELD, _BUSY, _WAITING, _UNSUPPORTED = "held", "busy", "waiting", "unsupported"


@dataclass
class HeldLock:
    """The lock of a machine, from its acquisition to its release."""

    running: RunningScript
    deadline: Deadline
    where: str
    seen: float
    """The elapsed seconds of the operation at the last sign of life."""
    idle_timeout: float
    """Seconds after the last sign of life, until Windows ends the lock by itself."""
    lost: bool = False
    unfinished: bool = False
    """Whether an activation may still be running on the machine."""

    def keep(self) -> None:
        """Give a sign of life if the last one was long ago. Otherwise, Windows takes the lock for abandoned."""
        if self.deadline.elapsed() - self.seen >= _SILENCE:
            self._give_sign()

    def require(self) -> None:
        """Raise Refused if the lock was lost, so another process may be changing the machine.

        The machine may well be reachable, so `deleteUnreachable` must not forget its key.
        """
        if self.lost:
            answer = "PowerShell on the machine, which locks its license against other runs, has ended"
            raise errors.Refused("change the license", self.where, answer, RUN_AGAIN)

    def confirm(self) -> None:
        """Ask the machine for the lock, which takes a second.

        Raises:
            Refused: the lock was lost.
        """
        self._give_sign()
        self.require()

    @contextmanager
    def activation(self) -> Iterator[None]:
        """Spend an activation in the block. Directly before it, ask the machine for the lock.

        Without its result, the activation counts as unfinished. Cancelled and TimedOut mean that it was not sent:
        after the request, they are `AnswerLost`.

        Raises:
            Refused: the lock was lost.
        """
        self.confirm()
        self.unfinished = True
        try:
            yield
        except errors.AvmaError as error:
            self.unfinished = retry.may_have_run(error)
            raise
        self.unfinished = False

    def release(self) -> None:
        """Release the lock, so that another process can take it. An unfinished activation keeps it.

        Then Windows ends the lock after the idle timeout. Another process must not decide from a state that the
        activation is about to change.
        """
        if self.unfinished:
            self.running.leave()
        else:
            self.running.end()

    def _give_sign(self) -> None:
        if self.lost:
            return
        try:
            self.lost = not self.running.is_running(Context(_TRIED, self.where, self.deadline.part(_SIGN)))
        except errors.AvmaError:
            self.deadline.check(_TRIED, self.where)
            self.lost = True
        self.seen = self.deadline.elapsed()


class MachineLock:
    """The lock of one machine."""

    def __init__(self, powershell: PowerShell, longest_request: float) -> None:
        self._powershell = powershell
        self._longest_request = longest_request

    def acquire(self, deadline: Deadline, on_wait: Callable[[], None], longest_change: float = 0.0) -> HeldLock:
        """Acquire the lock. `on_wait` is called if another process holds it.

        If a single change can take longer than a request, `longest_change` is its time in seconds. Nothing keeps the
        lock in the meantime.

        Raises:
            TimedOut: another process held it for too long.
            Cancelled: the user stopped the run.
            UnexpectedAnswer: the script ended, and another process may hold the lock.
            ScriptFailed: the machine cannot run the script.
            AvmaError: PowerShell did not start.
        """
        context = Context(_TRIED, self._powershell.where, deadline)
        idle_timeout = max(self._longest_request, longest_change) + _OUTLIVES
        attempts = retry.reading(context)
        while True:
            with attempts:
                return self._acquire(context, on_wait, idle_timeout)

    def _acquire(self, context: Context, on_wait: Callable[[], None], idle_timeout: float) -> HeldLock:
        def tell(answer: Mapping[str, Any]) -> None:
            if answer.get("state") == _WAITING:
                on_wait()

        # The last activation can outlive the operation, whose deadline may end it. So the lock must outlive both.
        lifetime = TimeLeft(margin=-idle_timeout, share=0.0)
        parameters = {"Patience": _PATIENCE, "Lifetime": lifetime}
        running, answers = self._start(context, parameters, tell, idle_timeout)
        if any(map(_is_held, answers.objects)):
            return HeldLock(running, context.deadline, context.where, context.deadline.elapsed(), idle_timeout)
        running.end()
        states = [answer.get("state") for answer in answers.objects]
        if _BUSY in states:
            raise _busy(context)
        if _UNSUPPORTED in states:
            raise failure(context, "its language mode is not FullLanguage")
        failed = failure(context, answers.complaint)
        # Only an error of the script itself, before it found another holder, proves that the machine cannot run it.
        if running.output.errors and not states:
            raise failed
        if _WAITING in states:
            answer = f"another process holds the mutex {MUTEX}, and {failed.answer}"
            raise context.error(errors.UnexpectedAnswer, answer, RUN_AGAIN)
        raise context.error(errors.UnexpectedAnswer, failed.answer, failed.remedy)

    def _start(
        self, context: Context, parameters: Mapping[str, Any], on_answer: OnOutput, idle_timeout: float
    ) -> tuple[RunningScript, Answers]:
        """Start the script. A PowerShell that ends at its start proves nothing about the script."""
        try:
            return self._powershell.start(context, SCRIPT, parameters, _is_held, on_answer, idle_timeout)
        except errors.ScriptFailed as error:
            raise context.error(errors.UnexpectedAnswer, error.answer, error.remedy) from error


def _is_held(answer: Mapping[str, Any]) -> bool:
    return answer.get("state") == _HELD


def _busy(context: Context) -> errors.TimedOut:
    answer = f"another process holds the mutex {MUTEX} on the machine, as each run does that spends an activation there"
    remedy = (
        f"wait for the other run to end, then {RUN_AGAIN}; if there is no other run, find the process on the machine "
        "with `handle.exe -a avma-license` of Sysinternals, and end it"
    )
    return context.error(errors.TimedOut, answer, remedy)
