"""Runs programs through the remote shell of pywinrm."""

from __future__ import annotations

import base64
from collections.abc import Sequence

from winrm.protocol import Protocol

UTF_8 = 65001


def encoded(script: str) -> list[str]:
    return ["-NoProfile", "-NonInteractive", "-EncodedCommand", base64.b64encode(script.encode("utf-16-le")).decode()]


def run(protocol: Protocol, command: str, arguments: Sequence[str] = (), stdin: bytes = b"") -> tuple[str, str, int]:
    """Return stdout, stderr and exit code."""
    shell = protocol.open_shell(codepage=UTF_8)
    try:
        name = protocol.run_command(shell, command, arguments, skip_cmd_shell=True)
        if stdin:
            protocol.send_command_input(shell, name, stdin, end=True)
        out, err, code = protocol.get_command_output(shell, name)
        protocol.cleanup_command(shell, name)
    finally:
        protocol.close_shell(shell, close_session=False)
    return out.decode(), err.decode(), code
