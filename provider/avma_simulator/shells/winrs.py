"""A remote shell of cmd.exe (WinRS): programs with stdin, stdout, stderr and an exit code.

From Windows Server 2012 R2 on, Windows ignores WINRS_SKIP_CMD_SHELL and WINRS_CONSOLEMODE_STDIN ([MS-WSMV] 3.1.4.11,
note 117). All versions here are 2012 R2 or newer, so cmd.exe always starts the program.
"""

from __future__ import annotations

import asyncio
import re
import uuid
import xml.etree.ElementTree as ET
from collections.abc import Callable

from avma_simulator.shells import programs, shell_faults, shell_messages
from avma_simulator.shells.process import STREAMS, Process, Program
from avma_simulator.shells.shell_messages import TERMINATE, qualified, rsp
from avma_simulator.state.machine import Machine
from avma_simulator.wsman import soap, wsman_faults
from avma_simulator.wsman.xmltree import element

RESOURCE = f"{shell_messages.URI}/cmd"
_CODE_PAGE = re.compile("[0-9]{1,5}")
_DEFAULT_CODE_PAGE = 437
_LONGEST_LINE = 8191
"""Maximum characters of a command line in cmd.exe."""
_MOST_COMMANDS = 1000
"""For the whole life of a shell, including ended commands (MaxConcurrentCommandsPerShell)."""
_LARGEST_INPUT = 16_000_000
_PARTS = ("Command", "Arguments")
FindProgram = Callable[[str], Program | None]


class CommandShell:
    """One shell of cmd.exe. `find_program` returns the program of a command line, or None."""

    def __init__(self, machine: Machine, find_program: FindProgram, request: soap.Request) -> None:
        self._machine = machine
        self._find_program = find_program
        code_page = request.options.get("WINRS_CODEPAGE", "")
        self._code_page = int(code_page) if _CODE_PAGE.fullmatch(code_page) else _DEFAULT_CODE_PAGE
        self._processes: dict[str, Process] = {}

    async def close(self) -> None:
        """End every process."""
        for process in tuple(self._processes.values()):
            await process.kill()

    async def command(self, request: soap.Request) -> ET.Element:
        """Start a program."""
        line = _line(shell_messages.body(request, "CommandLine"))
        if len(self._processes) >= _MOST_COMMANDS:
            raise shell_faults.too_many_commands()
        running = sum(process.exit_code is None for process in self._processes.values())
        if running >= self._machine.spec.quotas.processes:
            raise shell_faults.not_enough_quota()
        name = str(uuid.uuid4()).upper()
        self._processes[name] = Process(self._program(line), self._code_page)
        self._machine.counts.processes += 1
        return rsp("CommandResponse", element("rsp:CommandId", name))

    def _program(self, line: str) -> Program:
        if len(line) > _LONGEST_LINE:
            return programs.too_long
        return self._find_program(line) or programs.unknown(line)

    async def send(self, request: soap.Request) -> ET.Element:
        """Send input to a program."""
        for stream in shell_messages.body(request, "Send").iterfind(qualified("Stream")):
            if stream.get("Name") != "stdin":
                raise wsman_faults.schema_validation()
            data = shell_messages.decoded(stream.text)
            console = self._process(stream.get("CommandId"))[1].console
            if console.pending + len(data) > _LARGEST_INPUT:
                # Simplified: the simulator limits the input of a program, and never lets a Send wait.
                raise shell_faults.not_enough_quota()
            console.feed(data, stream.get("End", "").lower() in ("true", "1"))
        return rsp("SendResponse")

    async def receive(self, request: soap.Request) -> ET.Element:
        """Wait for output, at most for the operation timeout. Without output, raise the fault TimedOut."""
        command = shell_messages.desired(request)
        if command is None:
            raise shell_faults.invalid_parameter()
        name, process = self._process(command)
        try:
            output = await asyncio.wait_for(process.output(shell_messages.room(request, STREAMS)), request.timeout)
        except asyncio.TimeoutError:
            raise wsman_faults.timed_out() from None
        streams = [shell_messages.stream(stream, data, name) for stream, data in output.items()]
        if not process.ended:
            return rsp("ReceiveResponse", *streams, shell_messages.state(name, None))
        streams += [shell_messages.stream(stream, b"", name, end=True) for stream in STREAMS]
        return rsp("ReceiveResponse", *streams, shell_messages.state(name, process.exit_code))

    async def signal(self, request: soap.Request) -> ET.Element:
        """End a program. `terminate` also removes it."""
        body = shell_messages.body(request, "Signal")
        if body.get("CommandId") is None:
            raise shell_faults.invalid_parameter()
        name, process = self._process(body.get("CommandId"))
        await process.kill()
        if (body.findtext(qualified("Code")) or "").strip().lower() == TERMINATE.lower():
            self._processes.pop(name, None)  # another signal may have arrived in the meantime
        return rsp("SignalResponse")

    def _process(self, command: str | None) -> tuple[str, Process]:
        name = (command or "").upper()
        if name not in self._processes:
            raise shell_faults.command_not_found()
        return name, self._processes[name]


def _line(body: ET.Element) -> str:
    if any(child.tag not in map(qualified, _PARTS) for child in body):
        raise wsman_faults.schema_validation()  # recorded: <rsp:Argument> instead of <rsp:Arguments>
    return " ".join(child.text for child in body if child.text)
