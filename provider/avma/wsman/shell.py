"""One command in a remote shell of a machine (WinRS, MS-WSMV 3.1.4.1.31): bytes in, bytes and an exit code out.

A shell is made for each command and always deleted, since open ones count against the account's quota. The module
knows the life of a shell; it knows neither PowerShell nor what is run.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from xml.etree.ElementTree import Element

from avma import errors
from avma.deadline import Deadline
from avma.wsman import shell_messages
from avma.wsman.cim import Cim
from avma.wsman.envelope import CHECK_PORT, Message, local_name

_PATIENCE = 2.0
"""Seconds that one question for output waits: between two of them the deadline and the cancellation are looked at."""
_CLEANING = 5.0
"""Seconds that ending a command and its shell may take, also after the deadline."""
_CHUNK = 96_000
"""Bytes of input in one message; in Base64 they stay far below the size of an envelope."""

_LARGEST_OUTPUT = 16_000_000
"""Bytes that a command may write; those of this project write some kilobytes for each guest."""

_SHELLS = (
    "scripts need the right to open remote shells, which is another than the one for WMI: use an administrator of that "
    "machine, and see that AllowRemoteShellAccess is true there (winrm get winrm/config/winrs)"
)


@dataclass(frozen=True)
class Output:
    """What a command wrote, and the code with which it ended."""

    stdout: bytes
    stderr: bytes
    exit_code: int


@dataclass
class _Received:
    """What came so far; `exit_code` is None while the command runs."""

    streams: dict[str, bytearray] = field(default_factory=lambda: {"stdout": bytearray(), "stderr": bytearray()})
    exit_code: int | None = None


class Shell:
    """Runs commands on one machine, through the connections of its `Cim`. Safe to use from several threads."""

    def __init__(self, cim: Cim) -> None:
        self._cim = cim

    @property
    def where(self) -> str:
        """The machine as errors name it."""
        return self._cim.where

    def run(self, command: str, arguments: Sequence[str], stdin: bytes, deadline: Deadline, tried: str) -> Output:
        """Run a command to its end, given all of its input.

        Raises:
            AnswerLost: the input was sent and the end was not seen: the command may have done its work. Also when
                the deadline or the user ended the wait.
            AccessDenied: the account may not open shells there.
            AvmaError: the command was not started, or got no input.
        """
        with self._shell(deadline, tried) as shell_id:
            with _nothing_done():
                command_id = self._start(shell_id, command, arguments, deadline, tried)
            try:
                return self._converse(shell_id, command_id, stdin, deadline, tried)
            except errors.AvmaError:
                self._clean(shell_messages.signal(shell_id, command_id))
                raise

    def probe(self, deadline: Deadline, tried: str) -> None:
        """Open a shell and end it, so as to see that it can be done; errors as for `run`."""
        with self._shell(deadline, tried):
            pass

    @contextlib.contextmanager
    def _shell(self, deadline: Deadline, tried: str) -> Iterator[str]:
        with _nothing_done():
            body = self._ask(shell_messages.create(), deadline, tried)
        names = (e.text for e in body.iter() if local_name(e) == "Selector" and e.get("Name", "").lower() == "shellid")
        shell_id = next(names, None)
        if not shell_id:
            raise self._unexpected("no shell's name", tried)
        try:
            yield shell_id
        finally:
            self._clean(shell_messages.delete(shell_id))

    def _start(self, shell_id: str, command: str, arguments: Sequence[str], deadline: Deadline, tried: str) -> str:
        body = self._ask(shell_messages.command(shell_id, command, arguments), deadline, tried)
        command_id = next((e.text for e in body.iter() if local_name(e) == "CommandId"), None)
        if not command_id:
            raise self._unexpected("no command's name", tried)
        return command_id

    def _converse(self, shell_id: str, command_id: str, stdin: bytes, deadline: Deadline, tried: str) -> Output:
        for begin in range(0, max(1, len(stdin)), _CHUNK):
            end = begin + _CHUNK >= len(stdin)
            message = shell_messages.send(shell_id, command_id, stdin[begin : begin + _CHUNK], end)
            try:
                self._ask(message, deadline, tried)
            except errors.UnexpectedAnswer as error:  # unlike a fault, it does not say that the input was refused
                raise self._lost(error, tried) from error
        received = _Received()
        while received.exit_code is None:
            self._receive(shell_id, command_id, received, deadline, tried)
        return Output(bytes(received.streams["stdout"]), bytes(received.streams["stderr"]), received.exit_code)

    def _receive(self, shell_id: str, command_id: str, received: _Received, deadline: Deadline, tried: str) -> None:
        """Take what there is to take; nothing yet is no error."""
        try:
            deadline.check(tried, self.where)
            body = self._ask(shell_messages.receive(shell_id, command_id), deadline, tried, _PATIENCE)
        except errors.OperationTimedOut:
            return
        except (errors.TimedOut, errors.Cancelled) as end:
            answer = f"{end.answer} while a script was running there"
            raise errors.AnswerLost(tried, self.where, answer, end.remedy) from end
        except errors.AvmaError as error:
            raise self._lost(error, tried) from error
        try:
            _take(body, received)
        except ValueError as error:
            unexpected = self._unexpected("output that is not Base64, or no exit code", tried)
            raise self._lost(unexpected, tried) from error
        if sum(map(len, received.streams.values())) > _LARGEST_OUTPUT:
            raise self._unexpected(f"more than {_LARGEST_OUTPUT // 1_000_000} MB of output", tried)

    def _lost(self, error: errors.AvmaError, tried: str) -> errors.AnswerLost:
        """Return the error for a script that has its input, and of whose end something else is seen."""
        answer = f"the shell was lost while a script was running there: {error.answer}"
        return errors.AnswerLost(tried, self.where, answer, error.remedy)

    def _ask(self, message: Message, deadline: Deadline, tried: str, longest: float | None = None) -> Element:
        try:
            return self._cim.ask(message, deadline, tried, longest)
        except errors.AccessDenied as error:
            raise errors.AccessDenied(tried, self.where, error.answer, _SHELLS) from error

    def _clean(self, message: Message) -> None:
        with contextlib.suppress(errors.AvmaError):
            self._cim.ask(message, Deadline(_CLEANING), "end a shell", _CLEANING)

    def _unexpected(self, what: str, tried: str) -> errors.UnexpectedAnswer:
        return errors.UnexpectedAnswer(tried, self.where, f"an answer with {what}", CHECK_PORT)


@contextlib.contextmanager
def _nothing_done() -> Iterator[None]:
    """Say of a lost answer that nothing was done: without its input a command does nothing."""
    try:
        yield
    except errors.AnswerLost as error:
        raise errors.Unreachable(error.tried, error.where, error.answer, error.remedy) from error


def _take(body: Element, received: _Received) -> None:
    for part in body.iter():
        if local_name(part) == "Stream" and part.get("Name") in received.streams:
            received.streams[part.get("Name", "")] += _decoded(part.text or "")
    state = next((e for e in body.iter() if local_name(e) == "CommandState"), None)
    if state is not None and state.get("State", "").endswith("/Done"):
        received.exit_code = int(next((e.text or "" for e in state.iter() if local_name(e) == "ExitCode"), ""))


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text)
    except binascii.Error as error:
        raise ValueError(str(error)) from error
