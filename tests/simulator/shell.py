"""Running a script through pywinrm's remote shell, as a client of the simulator would."""

from __future__ import annotations

import base64
import json
from typing import Any

from winrm.protocol import Protocol

UTF_8 = 65001


def encoded(script: str) -> list[str]:
    return ["-NoProfile", "-NonInteractive", "-EncodedCommand", base64.b64encode(script.encode("utf-16-le")).decode()]


def run(protocol: Protocol, script: str, document: object) -> tuple[str, str, int]:
    """Return stdout, stderr and exit code."""
    shell = protocol.open_shell(codepage=UTF_8)
    try:
        command = protocol.run_command(shell, "powershell.exe", encoded(script), skip_cmd_shell=True)
        protocol.send_command_input(shell, command, json.dumps(document).encode(), end=True)
        out, err, code = protocol.get_command_output(shell, command)
        protocol.cleanup_command(shell, command)
    finally:
        protocol.close_shell(shell, close_session=False)
    return out.decode(), err.decode(), code


def lines(protocol: Protocol, script: str, document: object) -> list[dict[str, Any]]:
    """Return the JSON lines of a script that succeeds."""
    out, err, code = run(protocol, f"# avma-script: {script}\n'the rest is not looked at'\n", document)
    assert (err, code) == ("", 0)
    return [json.loads(line) for line in out.splitlines()]
