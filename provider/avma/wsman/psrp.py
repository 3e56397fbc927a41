"""One remote PowerShell session: a runspace pool of pypsrp ([MS-PSRP]) whose messages go through a `Pipe`.

pypsrp writes and reads the messages. Authentication, encryption, limits, faults and deadlines are those of all other
requests, because every message goes through the pipe. A pool belongs to one thread at a time.
"""

from __future__ import annotations

import base64
import contextlib
import functools
import logging
import threading
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, cast

from cryptography.hazmat.primitives.asymmetric import rsa
from pypsrp.complex_objects import PSInvocationState, RunspacePoolState
from pypsrp.exceptions import InvalidPSRPOperation
from pypsrp.messages import PublicKey
from pypsrp.powershell import Fragmenter, PowerShell, RunspacePool
from pypsrp.shell import CommandState
from pypsrp.wsman import OptionSet, SelectorSet, WSMan, WSManAction

from avma import errors, hresult
from avma.connection import Connection
from avma.context import Context
from avma.deadline import Deadline
from avma.wsman import envelope, soap_faults
from avma.wsman.envelope import CHECK_PORT
from avma.wsman.pipe import Pipe
from avma.wsman.psrp_values import Serializer, output_of, record_of, tagged
from avma.wsman.script import OnOutput, Output, Script, at_start, ignore, never, secrets_in

# pypsrp logs every message and every exception.
logging.getLogger("pypsrp").setLevel(logging.CRITICAL)

DEFAULT_CONFIGURATION = "Microsoft.PowerShell"
"""The session configuration of Windows, in which an account may do everything that its rights permit."""
IDLE = 300.0
"""Seconds. Windows ends a pool that is idle for this long, for example after its process was killed."""
CLEANING = 2.0
"""Seconds. The time limit for ending a pool, also after the deadline."""
_STOPPING = 1.0
"""Seconds. The time limit for stopping its script first."""
_BETWEEN_DELETES = 0.25
"""Seconds between two attempts to end a pool that the machine may still be starting."""
_PATIENCE = 1.0
"""Seconds. The time limit of one request for output. The pool checks the deadline and the cancellation in between."""
_MARGIN = 10.0
"""Seconds. An answer may arrive this long after the time limit of its operation."""
_LARGEST_OUTPUT = 32_000_000
"""Bytes. The limit for all answers to one script. The scripts of this project write some kilobytes for each guest."""
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
        self._wsman = _Wsman(connection, pipe)
        self._restricted = bool(connection.configuration_name)
        configuration = connection.configuration_name or DEFAULT_CONFIGURATION
        idle = round(idle_timeout)
        self._pool = _RunspacePool(self._wsman, idle_timeout=idle, configuration_name=configuration)
        self._pipeline: PowerShell | None = None
        self._asked = False
        self._may_be_starting = False
        self.started = False
        self.usable = True

    def open(self, context: Context, takes_secrets: bool = True) -> None:
        """Start PowerShell on the machine. With `takes_secrets`, prepare to encrypt secrets for it in the meantime.

        Raises:
            AccessDenied: the account may not use PowerShell remoting on the machine.
            AvmaError: PowerShell did not start.
        """
        self._wsman.begin(context)
        self._asked = True
        if takes_secrets:
            threading.Thread(target=_key_pair, daemon=True).start()
        try:
            with _own_errors(context):
                self._pool.open()
        except _UNDONE:
            self._may_be_starting = not self._wsman.created
            raise
        if self._pool.state != RunspacePoolState.OPENED:
            raise _unexpected(context)

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


_OPENING = (
    "run `Enable-PSRemoting` on the machine, and check with `Enter-PSSession` from another machine that this "
    "account can connect"
)
_RIGHTS = (
    "use an administrator of the machine or a member of its group Remote Management Users, because scripts need the "
    "right to PowerShell remoting as well as to WMI; run `Enable-PSRemoting` on the machine; check that "
    "`AllowRemoteShellAccess` is true (`winrm get winrm/config/winrs`)"
)
_UNKNOWN_CONFIGURATION = (0x8033803B, 0x80338000)
"""ERROR_WSMAN_INVALID_RESOURCE_URI, ERROR_WSMAN_RESOURCE_NOT_FOUND."""


def _rights(connection: Connection) -> str:
    name = connection.configuration_name
    if not name:
        return _RIGHTS
    return (
        f"write the session configuration again with `avma jea` for this account, and register it on the machine; "
        f"`(Get-PSSessionConfiguration {name}).Permission` lists the accounts that may use it; check that "
        "`AllowRemoteShellAccess` is true (`winrm get winrm/config/winrs`)"
    )


def _unknown_configuration(context: Context, connection: Connection) -> errors.Refused:
    name, named = connection.configuration_name, connection.setting("configuration_name")
    answer = f"the machine has no session configuration `{name}`"
    remedy = f"write it with `avma jea` and register it on the machine, or correct {named}"
    return context.error(errors.Refused, answer, remedy)


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
        raise context.error(errors.ScriptFailed, f"PowerShell ended on the machine: {error}", _OPENING) from error
    except Exception as error:
        raise _unexpected(context) from error


def _unexpected(context: Context) -> errors.UnexpectedAnswer:
    return context.error(errors.UnexpectedAnswer, "the answer is not from PowerShell", CHECK_PORT)


class _Wsman(WSMan):
    """pypsrp's messages, sent through a pipe within the deadline of the current operation."""

    def __init__(self, connection: Connection, pipe: Pipe) -> None:
        super().__init__(connection.address, port=connection.port, ssl=connection.https)
        cast(Any, self.transport).endpoint = connection.endpoint
        self._connection = connection
        self._pipe = pipe
        self._left = _LARGEST_OUTPUT
        self.broken = False
        self.created = False
        self.begin(Context("", connection.where, Deadline(connection.operation_timeout)))

    def begin(self, context: Context) -> None:
        """Set the operation of the next messages."""
        self._context, self._left = context, _LARGEST_OUTPUT

    def invoke(
        self,
        action: str,
        resource_uri: str,
        resource: ET.Element | None,
        option_set: OptionSet | None = None,
        selector_set: SelectorSet | None = None,
        timeout: int | None = None,
        *,
        retries_on_read_timeout: int = 0,
    ) -> ET.Element:
        """Send a message and return the envelope of the answer. Called by pypsrp.

        Raises:
            AvmaError: there is no answer, or it is a fault.
        """
        self._context.check()
        longest = _PATIENCE if action == WSManAction.RECEIVE else self._connection.operation_timeout
        longest = round(max(_PATIENCE, min(longest, self._context.deadline.remaining())), 3)
        # pypsrp declares whole seconds, but writes any number.
        _, header = self._create_header(action, resource_uri, option_set, selector_set, cast(int, longest))
        message = ET.Element(f"{{{envelope.SOAP}}}Envelope")
        message.append(header)
        body = ET.SubElement(message, f"{{{envelope.SOAP}}}Body")
        if resource is not None:
            body.append(resource)
        answer = self._send(ET.tostring(message, encoding="utf-8"), longest)
        self.created |= action == WSManAction.CREATE
        root = ET.Element(f"{{{envelope.SOAP}}}Envelope")
        root.append(self._body(answer, action))
        return root

    def _send(self, message: bytes, longest: float) -> bytes:
        # The time limit of the operation also applies, because the deadline can be an hour away.
        allowed = self._context.deadline.part(longest + _MARGIN)
        try:
            answer = self._pipe.send(replace(self._context, deadline=allowed), message)
        except errors.Unreachable:
            self.broken = not self._context.deadline.cancellation.is_set()
            raise
        self._left -= len(answer)
        if self._left < 0:
            text = f"the output is larger than {_LARGEST_OUTPUT // 1_000_000} MB"
            raise self._context.error(errors.UnexpectedAnswer, text, CHECK_PORT)
        return answer

    def _body(self, answer: bytes, action: str) -> ET.Element:
        context = self._context
        try:
            body = envelope.body_of(answer)
        except envelope.NotSoap as cause:
            text = "the answer is not SOAP"
            raise context.error(errors.UnexpectedAnswer, text, CHECK_PORT) from cause
        fault = soap_faults.find_fault(body)
        if fault is None:
            if action == WSManAction.RECEIVE and len(body) == 0:
                # pypsrp would take it for no output yet, and ask again at once, until the deadline
                raise context.error(errors.UnexpectedAnswer, "the answer has an empty body", CHECK_PORT)
            return body
        error = soap_faults.to_error(fault, context)
        if isinstance(error, errors.AccessDenied):
            raise context.error(errors.AccessDenied, error.answer, _rights(self._connection))
        if (
            action == WSManAction.CREATE
            and fault.code in _UNKNOWN_CONFIGURATION
            and self._connection.configuration_name
        ):
            raise _unknown_configuration(context, self._connection)
        if action == WSManAction.CREATE and isinstance(error, errors.WsmanFault) and not hresult.known(error.code):
            raise context.error(type(error), error.answer, f"{error.remedy}; {_OPENING}", error.code)
        raise error


_GENERATING = threading.Lock()
_PUBLIC_KEY = bytes.fromhex("06020000 00a40000 52534131 00080000")
"""The start of a public key in [MS-PSRP] 2.2.2.3: a PUBLICKEYBLOB with an RSA key of 2048 bits."""


def _key_pair() -> rsa.RSAPrivateKey:
    """Return the key pair of this process. To generate one takes up to 150 ms, as long as a small script.

    A machine encrypts the session key of a pool with the public key. It cannot read the session keys of others.
    """
    with _GENERATING:
        return _generated()


@functools.cache
def _generated() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def _public_key_text(key: rsa.RSAPrivateKey) -> str:
    numbers = key.public_key().public_numbers()
    blob = _PUBLIC_KEY + numbers.e.to_bytes(4, "little") + numbers.n.to_bytes(256, "little")
    return base64.b64encode(blob).decode()


class _RunspacePool(RunspacePool):
    """pypsrp's pool, with a check of the deadline between two requests for output."""

    def __init__(self, connection: _Wsman, **settings: Any) -> None:
        super().__init__(connection, **settings)
        self._wsman = connection
        self._serializer = Serializer()
        self._fragmenter = Fragmenter(connection.max_payload_size, self._serializer)

    def exchange_keys(self) -> None:
        """Agree on the session key for secrets, once. pypsrp would generate a key pair for each pool."""
        if self._key_exchanged:
            return
        self._exchange_key = _key_pair()
        message = PublicKey(public_key=_public_key_text(self._exchange_key))
        for fragment in self._fragmenter.fragment(message, self.id):
            self.shell.send("stdin", fragment)
        while not self._key_exchanged:
            self._receive()

    def _receive(self, id: str | None = None, timeout: int | None = None) -> list[tuple[int, Any]]:
        """Return the messages that are available now, possibly an empty list."""
        pipeline = self.pipelines.get(id) if id else None
        command_id = pipeline._command_id if pipeline else None
        try:
            state, _, streams = self.shell.receive("stdout", command_id=command_id)
        except errors.OperationTimedOut:
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
