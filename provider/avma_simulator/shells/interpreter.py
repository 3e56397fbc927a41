"""The execution of PowerShell pipelines: plain commands, and this project's scripts with their known first lines."""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from avma_simulator.shells import cmdlets, psvalues
from avma_simulator.shells.cmdlets import Stage
from avma_simulator.shells.pipeline import Command, Pipeline, ScriptFailed, Streams
from avma_simulator.state.estate_state import EstateState
from avma_simulator.state.machine import Machine

_FIRST_LINE = re.compile(r"\ufeff?# avma-script: ([a-z0-9-]+) ([0-9]+)\s*")
PARSE_EXCEPTION = "System.Management.Automation.ParseException"
_NOT_FOUND = "System.Management.Automation.CommandNotFoundException"
Script = Callable[[EstateState, Machine, Mapping[str, Any], Pipeline], Coroutine[Any, Any, None]]
Scripts = Mapping[tuple[str, str], Script]


async def run(state: EstateState, machine: Machine, scripts: Scripts, pipeline: Pipeline) -> None:
    """Run the statements of a pipeline.

    Raises:
        ScriptFailed: the pipeline ends with a terminating error.
    """
    for statement in pipeline.statements:
        objects: list[Any] = []
        for position, command in enumerate(statement):
            last = position == len(statement) - 1
            written: list[Any] = []
            emit = pipeline.write if last else written.append
            if command.is_script:
                await _script(state, machine, scripts, pipeline, command, emit)
            elif command.text.lower() == "invoke-expression":
                text = str(command.named.get("Command") or next(iter(command.positional), ""))
                machine.script_blocks.write(text, ())
                machine.module_log.write(command.text, {"Command": text})
                await _script(state, machine, scripts, pipeline, Command(text, True, {}), emit)
            else:
                await _cmdlet(machine, pipeline, command, objects, emit)
            objects = written


async def _script(
    state: EstateState,
    machine: Machine,
    scripts: Scripts,
    pipeline: Pipeline,
    command: Command,
    emit: Callable[[Any], None],
) -> None:
    lines = command.text.splitlines()
    machine.module_log.write(lines[0] if lines else "", psvalues.logged(command.named))
    found = _FIRST_LINE.fullmatch(lines[0]) if lines else None
    if found is None:
        await _lines(machine, pipeline, command, emit)
    elif found.groups() in scripts:
        await scripts[found[1], found[2]](state, machine, command.named, pipeline)
    else:
        pipeline.fail(f"The simulator does not implement the script {found[1]} {found[2]}.", "ScriptUnknown")


async def _lines(machine: Machine, pipeline: Pipeline, script: Command, emit: Callable[[Any], None]) -> None:
    """Run the commands of a script. A parameter of the script, such as `$Value`, writes its value.

    Raises:
        ScriptFailed: a brace is open at the end of the script, or a command ends the script.
    """
    if cmdlets.has_open_brace(script.text):
        details = {"exception_type": PARSE_EXCEPTION, "category": "ParserError"}
        raise ScriptFailed(
            "Missing closing '}' in statement block or type definition.", "MissingEndCurlyBrace", **details
        )
    values = {f"${name.lower()}": value for name, value in script.named.items()}
    for line in cmdlets.parse(script.text):
        if line.text.lower() in values:
            value = values[line.text.lower()]
            for item in value if isinstance(value, list) else [value]:
                emit(item)
        elif not line.text.lower().startswith("param("):
            await run_line(machine, pipeline, line, emit)


async def run_line(machine: Machine, streams: Streams, command: Command, emit: Callable[[Any], None]) -> None:
    """Run one command of a script. After an unknown command, the script continues.

    Raises:
        ScriptFailed: the script ends with a terminating error.
    """
    if cmdlets.find(command.text) is None:
        streams.error(**not_found(command.text))
    else:
        await _cmdlet(machine, streams, command, [], emit)


async def _cmdlet(
    machine: Machine, streams: Streams, command: Command, objects: list[Any], emit: Callable[[Any], None]
) -> None:
    cmdlet = cmdlets.find(command.text)
    if cmdlet is None:
        raise ScriptFailed(**not_found(command.text))
    parameters = cmdlet.bind(command)
    machine.module_log.write(command.text, psvalues.logged(parameters))
    await cmdlet.run(Stage(machine, streams, parameters, objects, emit))


def not_found(name: str) -> dict[str, Any]:
    """Return the arguments of the error for an unknown command."""
    text = (
        f"The term '{name}' is not recognized as the name of a cmdlet, function, script file, or operable program. "
        "Check the spelling of the name, or if a path was included, verify that the path is correct and try again."
    )
    return {
        "text": text,
        "error_id": "CommandNotFoundException",
        "exception_type": _NOT_FOUND,
        "category": "ObjectNotFound",
        "target": name,
    }
