"""The program `powershell.exe`: the commands of `cmdlets`, with output on stdout and other streams as CLIXML."""

from __future__ import annotations

import asyncio
import base64
import binascii
import re
from typing import Any
from xml.sax.saxutils import escape

from avma_simulator.shells import cmdlets, interpreter
from avma_simulator.shells.pipeline import ScriptFailed
from avma_simulator.shells.process import Console, Program
from avma_simulator.state.machine import Machine

_CONTROL = re.compile(r"[\x00-\x1f]")
_ENCODED_COMMAND, _COMMAND = "-encodedcommand", "-command"
_SWITCHES = ("-noprofile", "-noninteractive", "-nologo", "-mta", "-sta")
_OK, _FAILED = 0, 1


class _NotEncoded(Exception):
    """The value of -EncodedCommand is not Base64 of UTF-16."""


class _Streams:
    """The streams of a script. Output goes to stdout at once. Records of other streams wait for stderr."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._records: list[tuple[str, str]] = []
        self.failed = False
        """Whether the last command wrote an error."""

    def write(self, value: Any) -> None:
        self._console.write(f"{value}\r\n")

    def error(self, text: str, error_id: str, **details: Any) -> None:
        self.failed = True
        self._records += [("Error", text), ("Error", f"    + FullyQualifiedErrorId : {error_id}")]

    def warning(self, text: str) -> None:
        self._records.append(("warning", text))

    def verbose(self, text: str) -> None:
        self._records.append(("verbose", text))

    def information(self, text: str, *tags: str) -> None:
        self._console.write(f"{text}\r\n")

    def progress(self, activity: str, status: str, percent: int = -1, completed: bool = False) -> None:
        """Ignore progress. The simulator does not write its CLIXML form."""

    def close(self) -> None:
        """Write the records to stderr, like a redirected PowerShell."""
        if not self._records:
            return
        written = "".join(f'<S S="{kind}">{_encoded(text)}_x000D__x000A_</S>' for kind, text in self._records)
        objects = f'<Objs Version="1.1.0.1" xmlns="http://schemas.microsoft.com/powershell/2004/04">{written}</Objs>'
        self._console.write(f"#< CLIXML\r\n{objects}", "stderr")


def program(machine: Machine, line: str) -> Program:
    """Return the program of a command line."""

    async def run(console: Console) -> int:
        await asyncio.sleep(machine.spec.delays.powershell)
        try:
            script = _script_of(line)
        except _NotEncoded:
            text = (
                "Cannot process the command because the value specified with -EncodedCommand is not properly encoded."
            )
            console.write(f"{text}\r\n", "stderr")
            return _FAILED
        streams = _Streams(console)
        await _run(machine, streams, await console.read() if script is None else script)
        streams.close()
        return _FAILED if streams.failed else _OK

    return run


async def _run(machine: Machine, streams: _Streams, script: str) -> None:
    machine.script_blocks.write(script, ())
    try:
        for command in cmdlets.parse(script):
            streams.failed = False
            await interpreter.run_line(machine, streams, command, streams.write)
    except ScriptFailed as failed:
        streams.error(failed.error.text, failed.error.error_id)


def _script_of(line: str) -> str | None:
    """Return the script of a command line, or None if PowerShell reads it from stdin."""
    words = line.replace('"', "").split()[1:]
    while words:
        flag, *words = words
        name = flag.lower()
        # PowerShell accepts every prefix of a parameter's name, and -ec for this one.
        if len(name) > 1 and words and (_ENCODED_COMMAND.startswith(name) or name == "-ec"):
            return _decoded(words[0])
        if len(name) > 1 and _COMMAND.startswith(name):
            return " ".join(words)
        if not name.startswith("-"):
            return " ".join([flag, *words])
        if name not in _SWITCHES:
            words = words[1:]
    return None


def _decoded(text: str) -> str:
    try:
        return base64.b64decode(text, validate=True).decode("utf-16-le")
    except (binascii.Error, ValueError):
        raise _NotEncoded from None


def _encoded(text: str) -> str:
    return escape(_CONTROL.sub(lambda found: f"_x{ord(found[0]):04X}_", text))
