"""Remote shells of one machine (MS-WSMV 3.1.4.1.31): Create, Command, Send, Receive, Signal and Delete.

The module knows shells and their XML. What a command line runs is told by its owner.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import math
import re
import time
import uuid
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import dataclass, field

from avma_simulator import commands, faults, shell_faults, soap
from avma_simulator.machine import Machine
from avma_simulator.process import STREAMS, Process, Program
from avma_simulator.xmltree import element

URI = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell"
RESOURCE = f"{URI}/cmd"
_TRANSFER = soap.NAMESPACES["x"]
_DONE = f"{URI}/CommandState/Done"
_RUNNING = f"{URI}/CommandState/Running"
_TERMINATE = f"{URI}/signal/terminate"
_CODE_PAGE = re.compile("[0-9]{1,5}")
_DEFAULT_CODE_PAGE = 437
_LONGEST_LINE, _LONGEST_CMD_LINE = 32767, 8191
_OVERHEAD = 3000
_IDLE_TIMEOUT = 7200.0
"""Seconds after which a shell that nobody asks is ended, unless its Create says another time."""
_MOST_COMMANDS = 1000
"""In the life of a shell, those that have ended included (MaxConcurrentCommandsPerShell)."""
_LARGEST_INPUT = 16_000_000
Answer = tuple[str, list[ET.Element]]
_now = time.monotonic


@dataclass
class _Shell:
    code_page: int
    idle_timeout: float
    used: float
    processes: dict[str, Process] = field(default_factory=dict)


class Shells:
    """The open shells of one machine; `find_program` says what a command line runs, None for nothing."""

    def __init__(self, machine: Machine, find_program: Callable[[str], Program | None]) -> None:
        self._machine = machine
        self._find_program = find_program
        self._open: dict[str, _Shell] = {}

    @property
    def open(self) -> int:
        """How many shells are open."""
        return len(self._open)

    async def close(self) -> None:
        """End every shell and what runs in it."""
        while self._open:
            _, shell = self._open.popitem()
            await _end(shell)

    async def answer(self, request: soap.Request) -> Answer:
        """Answer a request to the shell resource.

        Raises:
            Fault: the request is wrong, or a quota is used up.
        """
        if request.resource.lower() != RESOURCE:
            raise faults.invalid_resource()
        await self._end_idle()
        if request.action == f"{_TRANSFER}/Create":
            return f"{request.action}Response", [self._create(request)]
        name = next((value for key, value in request.selectors.items() if key.lower() == "shellid"), "")
        shell = self._open.get(name.upper())
        if shell is None:
            raise faults.invalid_selectors()
        if request.action == f"{_TRANSFER}/Delete":
            del self._open[name.upper()]
            await _end(shell)
            return f"{request.action}Response", []
        try:
            # While it is asked for output it is not idle.
            shell.used = math.inf
            return f"{request.action}Response", await self._in_shell(shell, request)
        finally:
            shell.used = _now()

    async def _end_idle(self) -> None:
        for name in [name for name, shell in self._open.items() if _now() - shell.used > shell.idle_timeout]:
            shell = self._open.pop(name, None)
            if shell is not None:  # another request may have ended it meanwhile
                await _end(shell)

    async def _in_shell(self, shell: _Shell, request: soap.Request) -> list[ET.Element]:
        if request.action == f"{URI}/Command":
            return [self._command(shell, request)]
        if request.action == f"{URI}/Send":
            return [_send(shell, request)]
        if request.action == f"{URI}/Receive":
            return [await _receive(shell, request)]
        if request.action == f"{URI}/Signal":
            return [await _signal(shell, request)]
        raise faults.action_not_supported()

    def _create(self, request: soap.Request) -> ET.Element:
        declared = _body(request, "Shell").findtext(_name("IdleTimeOut")) or ""
        most = self._machine.spec.quotas.shells
        if len(self._open) >= most:
            raise shell_faults.too_many(most)
        name = str(uuid.uuid4()).upper()
        code_page = request.options.get("WINRS_CODEPAGE", "")
        self._open[name] = _Shell(
            int(code_page) if _CODE_PAGE.fullmatch(code_page) else _DEFAULT_CODE_PAGE,
            soap.seconds(declared.strip(), _IDLE_TIMEOUT),
            _now(),
        )
        self._machine.counts.shells += 1
        selectors = element("w:SelectorSet", element("w:Selector", name, Name="ShellId"))
        parameters = element("a:ReferenceParameters", element("w:ResourceURI", RESOURCE), selectors)
        return element("x:ResourceCreated", element("a:Address", soap.ANONYMOUS), parameters)

    def _command(self, shell: _Shell, request: soap.Request) -> ET.Element:
        body = _body(request, "CommandLine")
        parts = [child.text or "" for child in body if child.tag in (_name("Command"), _name("Arguments"))]
        line = " ".join(part for part in parts if part)
        skips_cmd = request.options.get("WINRS_SKIP_CMD_SHELL", "").upper() in ("TRUE", "1")
        if len(line) > (_LONGEST_LINE if skips_cmd else _LONGEST_CMD_LINE):
            raise shell_faults.command_line_too_long()
        running = sum(process.exit_code is None for process in shell.processes.values())
        if running >= self._machine.spec.quotas.processes or len(shell.processes) >= _MOST_COMMANDS:
            raise shell_faults.not_enough_quota()
        program = self._find_program(line)
        if program is None and skips_cmd:
            raise shell_faults.file_not_found()
        name = str(uuid.uuid4()).upper()
        shell.processes[name] = Process(program or commands.unknown(line), shell.code_page)
        self._machine.counts.processes += 1
        return _rsp("CommandResponse", element("rsp:CommandId", name))


async def _end(shell: _Shell) -> None:
    for process in shell.processes.values():
        await process.kill()


def _send(shell: _Shell, request: soap.Request) -> ET.Element:
    body = _body(request, "Send")
    for stream in body.iterfind(_name("Stream")):
        if stream.get("Name") != "stdin":
            raise faults.schema_validation()
        try:
            data = base64.b64decode(stream.text or "")
        except (binascii.Error, ValueError):
            raise faults.schema_validation() from None
        end = stream.get("End", "").lower() in ("true", "1")
        console = _process(shell, stream.get("CommandId"))[1].console
        if console.pending + len(data) > _LARGEST_INPUT:
            raise shell_faults.not_enough_quota()  # Inferred: Windows lets a Send wait until the program has read.
        console.feed(data, end)
    return _rsp("SendResponse")


async def _receive(shell: _Shell, request: soap.Request) -> ET.Element:
    """Wait for output no longer than the operation may take; nothing until then is the fault TimedOut."""
    desired = _body(request, "Receive").find(_name("DesiredStream"))
    name, process = _process(shell, None if desired is None else desired.get("CommandId"))
    # Base64 makes four bytes of three, and two streams share the envelope.
    most = (request.envelope_size - _OVERHEAD) // 4 * 3 // len(STREAMS)
    try:
        output = await asyncio.wait_for(process.output(most), request.timeout)
    except asyncio.TimeoutError:
        raise faults.timed_out() from None
    streams = [
        element("rsp:Stream", base64.b64encode(data).decode(), Name=stream, CommandId=name)
        for stream, data in output.items()
    ]
    state = element("rsp:CommandState", CommandId=name, State=_DONE if process.ended else _RUNNING)
    if process.ended:
        streams += [element("rsp:Stream", Name=stream, CommandId=name, End="true") for stream in STREAMS]
        state.append(element("rsp:ExitCode", str(process.exit_code)))
    return _rsp("ReceiveResponse", *streams, state)


async def _signal(shell: _Shell, request: soap.Request) -> ET.Element:
    """End a command; `terminate` also forgets it."""
    body = _body(request, "Signal")
    name, process = _process(shell, body.get("CommandId"))
    await process.kill()
    if (body.findtext(_name("Code")) or "").strip() == _TERMINATE:
        shell.processes.pop(name, None)  # another signal may have come meanwhile
    return _rsp("SignalResponse")


def _process(shell: _Shell, command: str | None) -> tuple[str, Process]:
    """Return a command of the shell. Inferred: the fault of one that is not there is that of a shell."""
    name = (command or "").upper()
    if name not in shell.processes:
        raise faults.invalid_selectors()
    return name, shell.processes[name]


def _body(request: soap.Request, name: str) -> ET.Element:
    if request.body is None or request.body.tag != _name(name):
        raise faults.schema_validation()
    return request.body


def _name(local: str) -> str:
    return f"{{{URI}}}{local}"


def _rsp(name: str, *children: ET.Element) -> ET.Element:
    return element(f"rsp:{name}", *children, xmlns__rsp=URI)
