"""SOAP messages of a `cmd.exe` shell (MS-WSMV 2.2.4 and 3.1.4.1.31), as sent by other clients."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from xml.sax.saxutils import escape

from avma.wsman.envelope import TRANSFER, Message

NAMESPACE = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell"
RESOURCE = f"{NAMESPACE}/cmd"

_UTF_8 = "65001"
_IDLE = 300
"""Seconds until Windows ends an unused shell. A lost connection leaves one behind."""


def create() -> Message:
    """Create a new shell."""
    body = (
        f'<r:Shell xmlns:r="{NAMESPACE}"><r:IdleTimeOut>PT{_IDLE}S</r:IdleTimeOut>'
        "<r:InputStreams>stdin</r:InputStreams><r:OutputStreams>stdout stderr</r:OutputStreams></r:Shell>"
    )
    options = (("WINRS_NOPROFILE", "TRUE"), ("WINRS_CODEPAGE", _UTF_8))
    return Message(f"{TRANSFER}/Create", RESOURCE, body, options=options)


def command(shell_id: str, command: str, arguments: Sequence[str]) -> Message:
    """Start a command in a shell."""
    given = "".join(f"<r:Arguments>{escape(argument)}</r:Arguments>" for argument in arguments)
    line = f"<r:Command>{escape(command)}</r:Command>{given}"
    options = (("WINRS_CONSOLEMODE_STDIN", "TRUE"), ("WINRS_SKIP_CMD_SHELL", "FALSE"))
    return _to(shell_id, "Command", f'<r:CommandLine xmlns:r="{NAMESPACE}">{line}</r:CommandLine>', options)


def send(shell_id: str, command_id: str, data: bytes, end: bool) -> Message:
    """Send input to a command. `end` marks the last input."""
    text = base64.b64encode(data).decode()
    last = ' End="true"' if end else ""
    stream = f'<r:Stream Name="stdin" CommandId="{escape(command_id)}"{last}>{text}</r:Stream>'
    return _to(shell_id, "Send", f'<r:Send xmlns:r="{NAMESPACE}">{stream}</r:Send>')


def receive(shell_id: str, command_id: str) -> Message:
    """Wait for the output of a command."""
    wanted = f'<r:DesiredStream CommandId="{escape(command_id)}">stdout stderr</r:DesiredStream>'
    return _to(shell_id, "Receive", f'<r:Receive xmlns:r="{NAMESPACE}">{wanted}</r:Receive>')


def signal(shell_id: str, command_id: str) -> Message:
    """Terminate a command."""
    code = f"<r:Code>{NAMESPACE}/signal/terminate</r:Code>"
    return _to(
        shell_id, "Signal", f'<r:Signal xmlns:r="{NAMESPACE}" CommandId="{escape(command_id)}">{code}</r:Signal>'
    )


def delete(shell_id: str) -> Message:
    """Delete a shell and end its commands."""
    return Message(f"{TRANSFER}/Delete", RESOURCE, selectors=(("ShellId", shell_id),))


def _to(shell_id: str, action: str, body: str, options: tuple[tuple[str, str], ...] = ()) -> Message:
    return Message(f"{NAMESPACE}/{action}", RESOURCE, body, (("ShellId", shell_id),), options)
