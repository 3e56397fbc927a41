"""One remote PowerShell session: a runspace pool of pypsrp ([MS-PSRP]) whose messages go through a `Pipe`.

pypsrp writes and reads the messages. Authentication, encryption, limits, faults and deadlines are those of all other
requests, because every message goes through the pipe. A pool belongs to one thread at a time.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pypsrp.complex_objects import PSInvocationState, RunspacePoolState
from pypsrp.exceptions import InvalidPSRPOperation
from pypsrp.messages import PublicKey
from pypsrp.powershell import Fragmenter, PowerShell, RunspacePool
from pypsrp.shell import CommandState
from pypsrp.wsman import SelectorSet

from avma import errors
from avma.connection import Connection
from avma.context import Context
from avma.deadline import Deadline
from avma.settings import DEFAULT_CONFIGURATION
from avma.wsman import soap_faults
from avma.wsman.pipe import Pipe
from avma.wsman.psrp_messages import OPENING, PipedWsman, key_pair, public_key_text, unexpected
from avma.wsman.psrp_values import Serializer, output_of, record_of, tagged
from avma.wsman.script import OnOutput, Output, Script, at_start, ignore, never, secrets_in

IDLE = 300.0
"""Seconds. Windows ends a pool that is idle for this long, for example after its process was killed."""
CLEANING = 2.0
"""Seconds. The time limit for ending a pool, also after the deadline."""
_STOPPING = 1.0
"""Seconds. The time limit for stopping its script first."""
_BETWEEN_DELETES = 0.25
"""Seconds between two attempts to end a pool that the machine may still be starting."""
_STOP = "powershell/signal/crtl_c"
"""The signal that stops a pipeline, in Windows' spelling (`WSManPluginConstants` in PowerShell's source)."""

_TERMINATED = (PSInvocationState.COMPLETED, PSInvocationState.FAILED, PSInvocationState.STOPPED)
_UNDONE = (errors.AnswerLost, errors.UnexpectedAnswer)
"""Errors after which the machine may have carried out a request. All other errors mean that it did not."""


class Pool:
    """One runspace pool. Close it after an error.

    `started` is True if its last script may have run. `usable` is True if another script can run in it.
    """

    def __init__(self, connection: Connection, pipe: Pipe, idle_timeout: float = IDLE) -> None:
        self._where = connection.where
        self._pipe = pipe
        self._wsman = PipedWsman(connection, pipe)
        self._restricted = bool(connection.configuration_name)
        configuration = connection.configuration_name or DEFAULT_CONFIGURATION
        idle = round(idle_timeout)
        self._pool = _RunspacePool(self._wsman, idle_timeout=idle, configuration_name=configuration)
        self._pipeline: PowerShell | None = None
        self._asked = False
        self._may_be_starting = False
        self.started = False
        self.usable = True

    @property
    def id(self) -> str:
        """The id of the pool, which this process chose."""
        return str(self._pool.id)

    def open(self, context: Context, takes_secrets: bool = True) -> None:
        """Start PowerShell on the machine. With `takes_secrets`, prepare to encrypt secrets for it in the meantime.

        Raises:
            AccessDenied: the account may not use PowerShell remoting on the machine.
            AvmaError: PowerShell did not start.
        """
        self._wsman.begin(context)
        self._asked = True
        if takes_secrets:
            threading.Thread(target=key_pair, daemon=True).start()
        try:
            with _own_errors(context):
                self._pool.open()
        except _UNDONE:
            self._may_be_starting = not self._wsman.created
            raise
        if self._pool.state != RunspacePoolState.OPENED:
            raise unexpected(context)

    def run(
        self,
        context: Context,
        script: Script,
        parameters: Mapping[str, Any],
        on_output: OnOutput = ignore,
        until: Callable[[Output], bool] = never,
    ) -> Output:
        """Run a script to its end and return its output. `on_output` receives each object as it arrives.

        Once `until` returns True for the output so far, return that output, and leave the script running.

        Raises:
            AvmaError: the end of the script was not seen. `started` is True if it may have run.
        """
        self.started = False
        self._wsman.begin(context)
        with _own_errors(context):
            if any(True for _ in secrets_in(parameters)):
                self._pool.exchange_keys()
            self._pipeline = self._start(script, parameters, context.deadline)
            passed_on, output = 0, output_of(self._pipeline)
            while self._pipeline.state == PSInvocationState.RUNNING and not until(output):
                self._pipeline.poll_invoke()
                output = output_of(self._pipeline)
                for written in output.objects[passed_on:]:
                    on_output(written)
                passed_on = len(output.objects)
        if self._pipeline.state != PSInvocationState.RUNNING:
            self._finish()
        return output

    def is_running(self, context: Context) -> bool:
        """Return True if the script that `run` left running still runs. The pool is not idle then.

        Raises:
            AvmaError: the machine does not answer, or the pool has ended.
        """
        self._wsman.begin(context)
        with _own_errors(context):
            if self._pipeline is not None:
                self._pipeline.poll_invoke()
        return self._pipeline is not None and self._pipeline.state == PSInvocationState.RUNNING

    def close(self) -> None:
        """End PowerShell and its scripts on the machine. Errors are ignored, because an idle pool ends by itself."""
        if self._asked:
            self._asked = False
            deadline = Deadline(CLEANING)
            self._wsman.begin(self._ending(deadline.part(_STOPPING)))
            self._stop()
            self._delete(deadline)
        self._pipe.close()

    def leave(self) -> None:
        """Close the connection, and leave PowerShell and its script running until the idle timeout."""
        self._asked = False
        self._pipe.close()

    def _ending(self, deadline: Deadline) -> Context:
        return Context("end a remote PowerShell", self._where, deadline)

    def _start(self, script: Script, parameters: Mapping[str, Any], deadline: Deadline) -> PowerShell:
        pipeline = PowerShell(self._pool)
        if self._restricted:
            # A session of JEA is in NoLanguage mode. It runs its commands by name, and rejects the text of scripts.
            pipeline.add_cmdlet(script.function)
        else:
            # A scope of its own hides its preferences and variables from the next script.
            pipeline.add_script(script.text, use_local_scope=True)
        for name, value in parameters.items():
            pipeline.add_parameter(name, tagged(at_start(value, deadline.remaining())))
        # The caller may leave while a message is on its way, so the script counts as started until the error is known.
        self.started = True
        try:
            # Leave out the invocation information: it would contain the parameters of each failed command.
            pipeline.begin_invoke(remote_stream_options=0)
        except errors.AvmaError as error:
            self.started = isinstance(error, _UNDONE)
            raise
        return pipeline

    def _finish(self) -> None:
        """Close a pipeline that has ended. Windows allows 1,000 open pipelines in a pool, and refuses the next one."""
        pipeline, self._pipeline = self._pipeline, None
        try:
            if pipeline is not None:
                pipeline.close()
        except Exception:  # the output is complete, so only the pool is unusable
            self.usable = False

    def _stop(self) -> None:
        """Stop a running script. This also stops its work in guests."""
        pipeline, self._pipeline = self._pipeline, None
        if pipeline is not None and pipeline.state == PSInvocationState.RUNNING and not self._wsman.broken:
            with contextlib.suppress(Exception):
                self._pool.shell.signal(_STOP, command_id=pipeline.id)

    def _delete(self, deadline: Deadline) -> None:
        """Delete the pool, and retry once. pypsrp chose its id, so this also works after a lost answer.

        A machine that is still starting the pool does not know it yet. Then retry until the deadline.
        """
        context = self._ending(deadline)
        self._wsman.begin(context)
        if self._is_deleted() or self._is_deleted():
            return
        with contextlib.suppress(errors.TimedOut):
            while self._may_be_starting and not self._is_deleted():
                context.wait(_BETWEEN_DELETES)

    def _is_deleted(self) -> bool:
        """Delete the pool. Return True if it no longer exists."""
        selectors = self._pool.shell._selector_set or SelectorSet()
        if not selectors.values:
            selectors.add_option("ShellId", self._pool.id)
        try:
            self._wsman.delete(self._pool.shell.resource_uri, selector_set=selectors)
        except errors.WsmanFault as fault:
            return fault.code == soap_faults.UNEXPECTED_SELECTORS and not self._may_be_starting
        except errors.AvmaError:
            return False
        return True


class _Broken(Exception):
    """The machine reported a broken pool. The text is PowerShell's."""


@contextlib.contextmanager
def _own_errors(context: Context) -> Iterator[None]:
    """Convert pypsrp's exceptions: ScriptFailed for a broken pool, UnexpectedAnswer for malformed messages."""
    try:
        yield
    except errors.AvmaError:
        raise
    except _Broken as error:
        raise context.error(errors.ScriptFailed, f"PowerShell ended on the machine: {error}", OPENING) from error
    except Exception as error:
        raise unexpected(context) from error


class _RunspacePool(RunspacePool):
    """pypsrp's pool, with a check of the deadline between two requests for output."""

    def __init__(self, connection: PipedWsman, **settings: Any) -> None:
        super().__init__(connection, **settings)
        self._wsman = connection
        self._serializer = Serializer()
        self._fragmenter = Fragmenter(connection.max_payload_size, self._serializer)

    def exchange_keys(self) -> None:
        """Agree on the session key for secrets, once. pypsrp would generate a key pair for each pool."""
        if self._key_exchanged:
            return
        self._exchange_key = key_pair()
        message = PublicKey(public_key=public_key_text(self._exchange_key))
        for fragment in self._fragmenter.fragment(message, self.id):
            self.shell.send("stdin", fragment)
        while not self._key_exchanged:
            self._receive()

    def _receive(self, id: str | None = None, timeout: int | None = None) -> list[tuple[int, Any]]:
        """Return the messages that are available now, possibly an empty list."""
        pipeline = self.pipelines.get(id) if id else None
        command_id = pipeline._command_id if pipeline else None
        asked = time.monotonic()
        try:
            state, _, streams = self.shell.receive("stdout", command_id=command_id)
        except errors.OperationTimedOut:
            self._wsman.wait_after(asked)
            return []
        received = self._parse_responses(streams["stdout"], pipeline)
        if state == CommandState.DONE and (pipeline is None or pipeline.state not in _TERMINATED):
            raise _Broken("the session ended before the script did")
        return received

    def _process_runspacepool_state(self, message: Any) -> Any:
        try:
            state: Any = super()._process_runspacepool_state(message)
        except InvalidPSRPOperation:
            record = message.data.error_record
            raise _Broken(str(record_of(record)) if record is not None else "it reported no reason") from None
        if state.state in (RunspacePoolState.CLOSED, RunspacePoolState.CLOSING):
            raise _Broken("the session was closed")
        return state

    def _process_runspacepool_warning(self, message: Any) -> None:
        """Ignore warnings of the pool. pypsrp would write them to stderr."""
