"""The commands of Windows PowerShell that other WinRM clients run.

There is no interpreter for the language. A script is a sequence of these commands, one per line or separated by
semicolons.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from avma_simulator.shells.pipeline import Command, ScriptFailed, Streams
from avma_simulator.state.machine import Machine

_TOKEN = re.compile(r"""'((?:[^']|'')*)'|"([^"]*)"|(;|\r?\n)|([^\s;'"]+)""")
_WORD, _LITERALS = 4, (1, 2)
_SEPARATOR = 3
_ACTION_ERROR = "Microsoft.PowerShell.Commands.WriteErrorException"


@dataclass(frozen=True)
class Stage:
    """One running command of a statement: its machine, streams, parameters and output."""

    machine: Machine
    streams: Streams
    parameters: Mapping[str, Any]
    objects: list[Any]
    emit: Callable[[Any], None]

    def text(self, name: str, otherwise: str = "") -> str:
        """Return a parameter as text."""
        value = self.parameters.get(name)
        return otherwise if value is None else str(value)


Run = Callable[[Stage], Awaitable[None]]


@dataclass(frozen=True)
class Cmdlet:
    """A command: its function, and the lowercase names of its positional parameters and switches."""

    run: Run
    positional: tuple[str, ...] = ()
    switches: tuple[str, ...] = ()

    def bind(self, command: Command) -> dict[str, Any]:
        """Return the parameters by lowercase name."""
        bound = {name.lower().strip("-:"): value for name, value in command.named.items()}
        free = [name for name in self.positional if name not in bound]
        return bound | dict(zip(free, command.positional, strict=False))


def find(name: str) -> Cmdlet | None:
    """Return the command of that name, or None."""
    return _CMDLETS.get(name.lower().removesuffix(".exe"))


def parse(script: str) -> Iterator[Command]:
    """Yield the commands of a script."""
    tokens: list[tuple[str, bool]] = []
    for match in _TOKEN.finditer(script):
        if match[_SEPARATOR]:
            yield from _command(tokens)
            tokens = []
        elif match[_WORD]:
            tokens.append((match[_WORD], True))
        else:
            quoted = match[1].replace("''", "'") if match[1] is not None else match[2]
            tokens.append((quoted, False))
    yield from _command(tokens)


def has_open_brace(script: str) -> bool:
    """Return True if a brace outside of quotes is open at the end of a script."""
    words = [match[_WORD] or "" for match in _TOKEN.finditer(script)]
    return sum(word.count("{") - word.count("}") for word in words) > 0


def _command(tokens: list[tuple[str, bool]]) -> Iterator[Command]:
    """Yield the command of one line, or nothing for an empty line or a comment."""
    if not tokens or tokens[0][0].startswith("#"):
        return
    (name, bare), *rest = tokens
    if not bare:
        yield Command("Write-Output", False, {"InputObject": name})
        return
    cmdlet = find(name)
    switches = () if cmdlet is None else cmdlet.switches
    named: dict[str, Any] = {}
    positional: list[Any] = []
    words = iter(rest)
    for word, unquoted in words:
        if not (unquoted and word.startswith("-")):
            positional.append(word)
        elif word.lower().strip("-") in switches:
            named[word.strip("-")] = True
        else:
            named[word.strip("-")] = next(words, (None, True))[0]
    yield Command(name, False, named, tuple(positional))


async def _write_output(stage: Stage) -> None:
    for value in [*stage.objects, *([stage.parameters["inputobject"]] if "inputobject" in stage.parameters else [])]:
        for item in value if isinstance(value, list) else [value]:
            stage.emit(item)


async def _write_error(stage: Stage) -> None:
    details = {"exception_type": _ACTION_ERROR, "activity": "Write-Error"}
    text, error_id = stage.text("message"), stage.text("errorid", _ACTION_ERROR)
    if stage.text("erroraction").lower() == "stop":
        raise ScriptFailed(text, error_id, **details)
    stage.streams.error(text, error_id, **details)


async def _write_warning(stage: Stage) -> None:
    stage.streams.warning(stage.text("message"))


async def _write_verbose(stage: Stage) -> None:
    if stage.parameters.get("verbose"):
        stage.streams.verbose(stage.text("message"))


async def _write_information(stage: Stage) -> None:
    stage.streams.information(stage.text("messagedata"))


async def _write_host(stage: Stage) -> None:
    stage.streams.information(stage.text("object"), "PSHOST")


async def _write_progress(stage: Stage) -> None:
    stage.streams.progress(stage.text("activity"), stage.text("status", "Processing"))


async def _start_sleep(stage: Stage) -> None:
    seconds = float(stage.parameters.get("seconds") or 0)
    await asyncio.sleep(seconds + float(stage.parameters.get("milliseconds") or 0) / 1000)


async def _throw(stage: Stage) -> None:
    text = stage.text("message")
    raise ScriptFailed(text, text, category="OperationStopped", target=text)


async def _out_string(stage: Stage) -> None:
    lines = [str(value) for value in stage.objects]
    if stage.parameters.get("stream", False) is not False:
        for line in lines:
            stage.emit(line)
    else:
        stage.emit("".join(f"{line}\r\n" for line in lines))


async def _out_default(stage: Stage) -> None:
    for value in stage.objects:
        stage.emit(value)


async def _out_null(stage: Stage) -> None:
    """Write nothing."""


async def _read_host(stage: Stage) -> None:
    text = (
        "A command that prompts the user failed because the host program or the command type does not support user "
        "interaction. The host was attempting to request confirmation with the following message: "
        f"{stage.text('prompt')}"
    )
    stage.streams.error(
        text,
        "System.Management.Automation.Host.HostException,Microsoft.PowerShell.Commands.ReadHostCommand",
        exception_type="System.Management.Automation.Host.HostException",
        activity="Read-Host",
    )


async def _hostname(stage: Stage) -> None:
    stage.emit(stage.machine.spec.dns_host_name)


async def _computer_name(stage: Stage) -> None:
    stage.emit(stage.machine.computer_name)


_CMDLETS = {
    "write-output": Cmdlet(_write_output, ("inputobject",)),
    "echo": Cmdlet(_write_output, ("inputobject",)),
    "write-error": Cmdlet(_write_error, ("message",)),
    "write-warning": Cmdlet(_write_warning, ("message",)),
    "write-verbose": Cmdlet(_write_verbose, ("message",), ("verbose",)),
    "write-information": Cmdlet(_write_information, ("messagedata",)),
    "write-host": Cmdlet(_write_host, ("object",)),
    "write-progress": Cmdlet(_write_progress, ("activity", "status")),
    "start-sleep": Cmdlet(_start_sleep, ("seconds",)),
    "throw": Cmdlet(_throw, ("message",)),
    "out-string": Cmdlet(_out_string, (), ("stream",)),
    "out-default": Cmdlet(_out_default),
    "out-null": Cmdlet(_out_null),
    "read-host": Cmdlet(_read_host, ("prompt",)),
    "hostname": Cmdlet(_hostname),
    "$env:computername": Cmdlet(_computer_name),
}
