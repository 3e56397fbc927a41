"""`powershell.exe -EncodedCommand` on one machine: which of the known scripts it is, and what that does.

No script is interpreted: its first line, `# avma-script: NAME VERSION`, says which one it is, and its input is one JSON
object on stdin. The module knows command lines and what PowerShell writes; it knows nothing of shells.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import re
from collections.abc import Callable, Coroutine, Mapping
from itertools import pairwise
from typing import Any
from xml.sax.saxutils import escape

from avma_simulator.machine import Machine
from avma_simulator.process import Console, Program
from avma_simulator.world import World

_FIRST_LINE = re.compile(r"\ufeff?# avma-script: ([a-z0-9-]+) ([0-9]+)\s*")
_CONTROL = re.compile(r"[\x00-\x1f]")
_ENCODED_COMMAND = "-encodedcommand"
_OK, _FAILED = 0, 1

Script = Callable[[World, Machine, Mapping[str, Any], Console], Coroutine[Any, Any, None]]


class ScriptFailed(Exception):
    """A script ends with an error record: its text and its FullyQualifiedErrorId."""

    def __init__(self, text: str, error_id: str) -> None:
        self.error_id = error_id
        super().__init__(text)


def program(world: World, machine: Machine, scripts: Mapping[tuple[str, str], Script], line: str) -> Program:
    """Return what a command line runs."""

    async def run(console: Console) -> int:
        await asyncio.sleep(machine.spec.delays.powershell)
        try:
            await _script(scripts, _script_of(line) or "")(world, machine, _document(await console.read()), console)
        except ScriptFailed as error:
            console.write(clixml(f"{error}", f"    + FullyQualifiedErrorId : {error.error_id}"), "stderr")
            return _FAILED
        return _OK

    return run


def clixml(*lines: str) -> str:
    """Return an error record as PowerShell writes it to a redirected stderr."""
    written = "".join(f'<S S="Error">{_encoded(line)}_x000D__x000A_</S>' for line in lines)
    objects = f'<Objs Version="1.1.0.1" xmlns="http://schemas.microsoft.com/powershell/2004/04">{written}</Objs>'
    return f"#< CLIXML\r\n{objects}"


def _script(scripts: Mapping[tuple[str, str], Script], text: str) -> Script:
    found = _FIRST_LINE.fullmatch(text.splitlines()[0]) if text else None
    if found is None:
        raise ScriptFailed("The simulator runs no script but those of this project.", "NotAScriptOfThisProject")
    if found.groups() not in scripts:
        raise ScriptFailed(f"The simulator does not know the script {found[1]} {found[2]}.", "ScriptUnknown")
    return scripts[found[1], found[2]]


def _document(text: str) -> Mapping[str, Any]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        error_id = "System.ArgumentException,Microsoft.PowerShell.Commands.ConvertFromJsonCommand"
        raise ScriptFailed("ConvertFrom-Json : Invalid JSON primitive.", error_id)
    return document


def _script_of(line: str) -> str | None:
    """Return the script of a command line, None where it gives none."""
    for flag, value in pairwise(line.replace('"', "").split()[1:]):
        # PowerShell takes every beginning of a parameter's name, and -ec for this one.
        if len(flag) > 1 and (_ENCODED_COMMAND.startswith(flag.lower()) or flag.lower() == "-ec"):
            try:
                return base64.b64decode(value, validate=True).decode("utf-16-le")
            except (binascii.Error, ValueError):
                return None
    return None


def _encoded(text: str) -> str:
    return escape(_CONTROL.sub(lambda found: f"_x{ord(found[0]):04X}_", text))
