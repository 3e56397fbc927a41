"""The remote PowerShell sessions of one machine. They open on first use, and close after a failure or at the end.

Opening one starts a process on the machine, which takes seconds. So a script uses the runspace pool of the script
before it, unless the two run in parallel. Each script runs in its own thread, so its caller can leave it at the
deadline or at Cancel, even while a request hangs.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from avma import errors
from avma.connection import Connection
from avma.context import Context
from avma.deadline import CANCELED, POLL
from avma.wording import CONTINUE, RUN_AGAIN
from avma.wsman import soap_faults
from avma.wsman.pipe import Pipe
from avma.wsman.script import OnOutput, Output, Script, ignore, never, secrets_in

if TYPE_CHECKING:
    from avma.wsman.psrp import Pool

T = TypeVar("T")

_ENDING = 0.5
"""Seconds. The wait for the end of a running script."""
_GRACE = 1.5
"""Seconds. After the deadline or Cancel, a script has this long to end before its caller leaves it."""

_ENDED = (
    f"the remote PowerShell session has ended (0x{soap_faults.UNEXPECTED_SELECTORS:08X})",
    f"{RUN_AGAIN}; if the error persists, check the event logs Application and Windows Remote Management of the "
    "machine",
)
"""Answer and remedy. For WMI, the same number means a missing instance, and its remedy repairs WMI."""


@dataclass
class _Call:
    """One script to run, and its pool."""

    context: Context
    script: Script
    parameters: Mapping[str, Any] = field(repr=False)
    on_output: OnOutput
    must_close: Callable[[Output], bool] = never
    until: Callable[[Output], bool] = never
    idle_timeout: float | None = None
    pool: Pool | None = None

    @property
    def started(self) -> bool:
        """Whether the script may have run."""
        return self.pool is not None and self.pool.started


@dataclass(frozen=True)
class RunningScript:
    """A script that still runs in its own pool, or has ended. End or leave it, also after its end."""

    pool: Pool
    output: Output
    """The output so far."""
    _end: Callable[[Pool], threading.Thread]

    def is_running(self, context: Context) -> bool:
        """Return True if the script still runs. It takes one request, which also keeps Windows from ending the pool.

        Raises:
            AvmaError: the machine does not answer, or the pool has ended.
        """
        return self.pool.is_running(context)

    def end(self) -> None:
        """End the script and its pool. Wait for it only as long as a machine that answers needs."""
        self._end(self.pool).join(_ENDING)

    def leave(self) -> None:
        """Leave the script running. Windows ends it after the idle timeout of its pool."""
        self.pool.leave()


class Runspaces:
    """The runspace pools of one machine: one, or several for scripts in parallel. Safe to use from several threads."""

    def __init__(self, connection: Connection, new_pipe: Callable[[Connection], Pipe]) -> None:
        self._connection = connection
        self._new_pipe = new_pipe
        self._lock = threading.Lock()
        self._idle: list[Pool] = []
        self._threads: list[threading.Thread] = []
        self._closed = False

    @property
    def where(self) -> str:
        """The machine, as errors name it."""
        return self._connection.where

    @property
    def configuration_name(self) -> str:
        """The session configuration in which scripts run, empty for the default of the machine."""
        return self._connection.configuration_name

    def run(
        self,
        context: Context,
        script: Script,
        parameters: Mapping[str, Any],
        on_output: OnOutput = ignore,
        must_close: Callable[[Output], bool] = never,
    ) -> Output:
        """Run a script to its end and return its output. `on_output` receives each object as it arrives.

        If `must_close` returns True for the output, the pool ends, because the script left something running in it.

        Raises:
            AnswerLost: the script may have run, and its end was not seen. Also at the deadline and at Cancel.
            AccessDenied: the account may not use PowerShell remoting on the machine.
            AvmaError: the script was not started.
        """
        return self._in_thread(_Call(context, script, parameters, on_output, must_close), self._converse)

    def start(
        self,
        context: Context,
        script: Script,
        parameters: Mapping[str, Any],
        on_output: OnOutput,
        until: Callable[[Output], bool],
        idle_timeout: float,
    ) -> RunningScript:
        """Start a script in its own pool. Return once `until` returns True for its output, or after its end.

        Windows ends the script if it hears nothing of the caller for `idle_timeout` seconds, at least 60. Errors are
        those of `run`.
        """
        call = _Call(context, script, parameters, on_output, until=until, idle_timeout=idle_timeout)
        return self._in_thread(call, self._start, RunningScript.end)

    def _in_thread(self, call: _Call, work: Callable[[_Call], T], discard: Callable[[T], None] = ignore) -> T:
        """Return the result of some work in its own thread. If the caller leaves first, `discard` gets the result."""
        call.context.check()
        outcome = Future[T]()
        self._begin(lambda: _settle(outcome, work, call))
        while not wait((outcome,), POLL).done:
            try:
                call.context.check()
            except (errors.TimedOut, errors.Cancelled) as end:
                # The request under way ends at the same time, so this wait is short.
                if wait((outcome,), _GRACE).done:
                    break
                outcome.add_done_callback(lambda late: None if late.exception() else discard(late.result()))
                raise self._error(call, end) from end
        return outcome.result()

    def close(self, timeout: float) -> None:
        """End the idle pools. Wait up to that many seconds for all pools that are ending."""
        end = time.monotonic() + timeout
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for pool in idle:
            self._begin(pool.close)
        while (alive := self._alive()) and time.monotonic() < end:
            alive[0].join(max(0.0, end - time.monotonic()))

    def _converse(self, call: _Call) -> Output:
        """Run a script in an idle pool or in a new one. If an idle pool has ended in the meantime, replace it once."""
        pool = self._take()
        if pool is not None:
            try:
                return self._run(pool, call)
            except errors.AvmaError:
                if call.started or call.context.deadline.is_over:
                    raise
        return self._run(self._open(call), call)

    def _take(self) -> Pool | None:
        with self._lock:
            return self._idle.pop() if self._idle else None

    def _open(self, call: _Call) -> Pool:
        from avma.wsman.psrp import IDLE, Pool  # pypsrp takes long to import, and most runs need no script

        call.context.check()
        pool = call.pool = Pool(self._connection, self._new_pipe(self._connection), call.idle_timeout or IDLE)
        try:
            pool.open(call.context, takes_secrets=any(True for _ in secrets_in(call.parameters)))
        except errors.AvmaError as error:
            self._end(pool)
            raise self._error(call, error) from error
        return pool

    def _run(self, pool: Pool, call: _Call) -> Output:
        output = self._run_script(pool, call)
        self._keep(pool, pool.usable and not call.must_close(output))
        return output

    def _start(self, call: _Call) -> RunningScript:
        pool = self._open(call)
        return RunningScript(pool, self._run_script(pool, call), self._end)

    def _run_script(self, pool: Pool, call: _Call) -> Output:
        call.pool = pool
        try:
            return pool.run(call.context, call.script, call.parameters, call.on_output, call.until)
        except errors.AvmaError as error:
            self._end(pool)
            raise self._error(call, error) from error

    def _keep(self, pool: Pool, usable: bool) -> None:
        with self._lock:
            if usable and not self._closed:
                self._idle.append(pool)
                return
        self._end(pool)

    def _end(self, pool: Pool) -> threading.Thread:
        """Close a pool in a thread of its own. The caller must not wait for a machine that has become silent."""
        return self._begin(pool.close)

    def _error(self, call: _Call, error: errors.AvmaError) -> errors.AvmaError:
        """Return the error for the caller: the script may have run, or it did nothing."""
        if isinstance(error, errors.Unreachable) and call.context.deadline.cancellation.is_set():
            error = call.context.error(errors.Cancelled, CANCELED, CONTINUE)
        if call.started:
            over = isinstance(error, (errors.TimedOut, errors.Cancelled))
            answer = error.answer if over else f"the session was lost: {error.answer}"
            remedy = error.remedy
            if isinstance(error, errors.WsmanFault) and error.code == soap_faults.UNEXPECTED_SELECTORS:
                answer, remedy = _ENDED
            return call.context.error(errors.AnswerLost, answer, remedy)
        if isinstance(error, errors.AnswerLost):
            return call.context.error(errors.Unreachable, error.answer, error.remedy)
        return error

    def _begin(self, work: Callable[[], None]) -> threading.Thread:
        thread = threading.Thread(target=work, daemon=True)
        with self._lock:
            self._threads = [*self._living(), thread]
            thread.start()
        return thread

    def _alive(self) -> list[threading.Thread]:
        with self._lock:
            return self._living()

    def _living(self) -> list[threading.Thread]:
        """Return the threads that have not ended. The caller holds the lock."""
        return [thread for thread in self._threads if thread.is_alive()]


def _settle(outcome: Future[T], work: Callable[[_Call], T], call: _Call) -> None:
    try:
        outcome.set_result(work(call))
    except Exception as error:  # the caller's thread raises it
        outcome.set_exception(error)
