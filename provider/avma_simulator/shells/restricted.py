"""The execution of pipelines in a session of JEA: visible functions by name, in NoLanguage mode.

Recorded: the text and the ID of the error for a script (PowerShell/JEA#20).
"""

from __future__ import annotations

from avma_simulator.shells import psvalues
from avma_simulator.shells.interpreter import PARSE_EXCEPTION, Scripts, not_found
from avma_simulator.shells.pipeline import Pipeline, ScriptFailed
from avma_simulator.state.estate_state import EstateState
from avma_simulator.state.machine import Machine
from avma_simulator.state.session_configurations import SessionConfiguration

_NO_LANGUAGE = "The syntax is not supported by this runspace. This can occur if the runspace is in no-language mode."


async def run(
    state: EstateState, machine: Machine, scripts: Scripts, configuration: SessionConfiguration, pipeline: Pipeline
) -> None:
    """Run the statements of a pipeline.

    The commands that every such session has, for example Get-Command, do not exist here.

    Raises:
        ScriptFailed: a statement is a script, or a command that the session does not permit.
    """
    pipeline.run_as = configuration.groups
    for command in (command for statement in pipeline.statements for command in statement):
        if command.is_script:
            details = {"exception_type": PARSE_EXCEPTION, "category": "ParserError", "target": command.text}
            raise ScriptFailed(_NO_LANGUAGE, "ScriptsNotAllowed", **details)
        script = scripts.get(configuration.functions.get(command.text.lower(), ("", "")))
        if script is None:
            raise ScriptFailed(**not_found(command.text))
        machine.module_log.write(command.text, psvalues.logged(command.named))
        await script(state, machine, command.named, pipeline)
