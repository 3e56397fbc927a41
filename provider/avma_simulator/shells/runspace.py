"""A remote shell of PowerShell: a runspace pool and its pipelines, over PSRP ([MS-PSRP], [MS-WSMV] 3.1.4.1.31).

psrpcore reads and writes the messages. This module carries their fragments in Create, Command, Send and Receive, and
runs and ends the pipelines.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
import xml.etree.ElementTree as ET
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from psrpcore import (
    CreatePipelineEvent,
    GetAvailableRunspacesEvent,
    GetCommandMetadataEvent,
    PipelineInputEvent,
    PSRPEvent,
    PSRPPayload,
    ResetRunspaceStateEvent,
    ServerPipeline,
    SetMaxRunspacesEvent,
    SetMinRunspacesEvent,
    StreamType,
)
from psrpcore.types import CommandMetadataCount

from avma_simulator.shells import psrp, psvalues, shell_faults, shell_messages
from avma_simulator.shells.pipeline import Command, Error, Pipeline, ScriptFailed
from avma_simulator.shells.shell_messages import TERMINATE, qualified, rsp
from avma_simulator.state.machine import Machine
from avma_simulator.wsman import soap, wsman_faults
from avma_simulator.wsman.xmltree import element

RESOURCE = "http://schemas.microsoft.com/powershell/Microsoft.PowerShell"
_CREATION = "{http://schemas.microsoft.com/powershell}creationXml"
_STREAMS = ("stdin", "pr")
_FRAGMENT = 32 << 10
"""Maximum bytes of a fragment from PowerShell."""
_STREAM_OVERHEAD = 200
"""Bytes of an answer in addition to the data of one `rsp:Stream`."""
_MOST_COMMANDS = 1000
"""Per shell. Commands count until the client closes them, even after their end (MaxConcurrentCommandsPerShell)."""
_LOG = logging.getLogger("avma_simulator")
RunPipeline = Callable[[Pipeline], Awaitable[None]]


class _Output:
    """Bytes that wait for a Receive of one command, or of the pool."""

    def __init__(self) -> None:
        self._chunks: deque[bytes] = deque()
        self._changed = asyncio.Event()
        self.ended = False

    @property
    def done(self) -> bool:
        """Whether the output has ended and is read completely."""
        return self.ended and not self._chunks

    def put(self, data: bytes) -> None:
        self._chunks.append(data)
        self._changed.set()

    def end(self) -> None:
        self.ended = True
        self._changed.set()

    async def take(self, room: int) -> list[bytes]:
        """Wait for output or its end. Return as much as fits into `room` bytes of Base64."""
        while not self._chunks and not self.ended:
            self._changed.clear()
            await self._changed.wait()
        taken: list[bytes] = []
        while self._chunks and (most := (room - _STREAM_OVERHEAD) // 4 * 3) > 0:
            chunk = self._chunks.popleft()
            if len(chunk) > most:
                if taken:
                    self._chunks.appendleft(chunk)
                    break
                self._chunks.appendleft(chunk[most:])
            taken.append(chunk[:most])
            room -= _STREAM_OVERHEAD + (len(taken[-1]) + 2) // 3 * 4
        return taken


@dataclass
class _Running:
    """A command of the shell. `pipeline` stays None until all fragments of its CREATE_PIPELINE have arrived."""

    server: ServerPipeline
    output: _Output = field(default_factory=_Output)
    pipeline: Pipeline | None = None
    task: asyncio.Task[None] | None = None
    nested: bool = False

    @property
    def active(self) -> bool:
        return self.task is not None and not self.task.done()

    async def kill(self) -> None:
        if self.task is not None:
            self.task.cancel()
            await asyncio.gather(self.task, return_exceptions=True)


class RunspaceShell:
    """One runspace pool. `run_pipeline` runs the commands of a pipeline."""

    def __init__(self, machine: Machine, run_pipeline: RunPipeline, request: soap.Request) -> None:
        self._machine = machine
        self._run_pipeline = run_pipeline
        self._pool = psrp.Pool(machine.windows)
        self._output = _Output()
        self._commands: dict[uuid.UUID, _Running] = {}
        self._waiting: deque[_Running] = deque()
        self._fragment = _longest_fragment(request)
        first = shell_messages.body(request, "Shell").find(_CREATION)
        if first is None:
            raise shell_faults.no_creation_xml()
        self._feed(shell_messages.decoded(first.text))

    async def close(self) -> None:
        """End every pipeline."""
        for running in tuple(self._commands.values()):
            await running.kill()
        self._commands.clear()
        self._output.end()

    async def command(self, request: soap.Request) -> ET.Element:
        """Start a pipeline, or wait for the rest of its message."""
        body = shell_messages.body(request, "CommandLine")
        if any(child.tag not in (qualified("Command"), qualified("Arguments")) for child in body):
            raise wsman_faults.schema_validation()
        if len(self._commands) >= _MOST_COMMANDS:
            raise shell_faults.too_many_commands()
        name = _identifier(body.get("CommandId") or str(uuid.uuid4()))
        if name in self._commands:
            raise shell_faults.already_exists()
        self._commands[name] = _Running(ServerPipeline(self._pool, name))
        try:
            self._feed(shell_messages.decoded(body.findtext(qualified("Arguments"))))
        except wsman_faults.Fault:
            self._forget(name)
            raise
        return rsp("CommandResponse", element("rsp:CommandId", _shown(name)))

    async def send(self, request: soap.Request) -> ET.Element:
        """Accept further fragments, for the pool or for a pipeline."""
        for stream in shell_messages.body(request, "Send").iterfind(qualified("Stream")):
            if stream.get("Name") not in _STREAMS:
                raise wsman_faults.schema_validation()
            if stream.get("CommandId") is not None:
                self._find(stream.get("CommandId"))
            self._feed(shell_messages.decoded(stream.text))
        return rsp("SendResponse")

    async def receive(self, request: soap.Request) -> ET.Element:
        """Wait for messages, at most for the operation timeout. Without a message, raise the fault TimedOut."""
        self._fragment = _longest_fragment(request)
        desired = shell_messages.desired(request)
        name = None if desired is None else self._find(desired)
        output = self._output if name is None else self._commands[name].output
        room = request.envelope_size - shell_messages.OVERHEAD
        try:
            taken = await asyncio.wait_for(output.take(room), request.timeout)
        except asyncio.TimeoutError:
            raise wsman_faults.timed_out() from None
        command = None if name is None else _shown(name)
        streams = [shell_messages.stream("stdout", data, command) for data in taken]
        if command is None:
            return rsp("ReceiveResponse", *streams)
        return rsp("ReceiveResponse", *streams, shell_messages.state(command, 0 if output.done else None))

    async def signal(self, request: soap.Request) -> ET.Element:
        """Stop a pipeline. `terminate` also removes it."""
        body = shell_messages.body(request, "Signal")
        if body.get("CommandId") is None:
            raise shell_faults.invalid_parameter()
        name = self._find(body.get("CommandId"))
        await self._stop(self._commands[name])
        if (body.findtext(qualified("Code")) or "").strip().lower() == TERMINATE.lower():
            self._forget(name)
        return rsp("SignalResponse")

    async def _stop(self, running: _Running) -> None:
        if running in self._waiting:
            self._waiting.remove(running)
        await running.kill()
        if not running.output.ended:  # it was waiting, or its task was canceled before it began
            self._ended(running, stopped=True)

    def _forget(self, name: uuid.UUID) -> None:
        self._commands.pop(name, None)
        self._pool.pipeline_table.pop(name, None)

    def _find(self, command: str | None) -> uuid.UUID:
        name = _identifier(command or "")
        if name not in self._commands:
            raise shell_faults.command_not_found()
        return name

    def _feed(self, data: bytes) -> None:
        """Pass complete fragments to psrpcore and handle the messages in them."""
        if not psrp.are_whole_fragments(data):
            raise shell_faults.unreadable_fragments()
        try:
            self._pool.receive_data(PSRPPayload(data, StreamType.default, None))
            while (event := self._pool.next_event()) is not None:
                self._on(event)
        except wsman_faults.Fault:
            raise
        except Exception as error:  # psrpcore passes on any error of its parsers
            _LOG.info("%s: cannot read a PSRP message: %s", self._machine.name, type(error).__name__)
            raise shell_faults.unreadable_fragments() from None
        self._flush()

    def _on(self, event: PSRPEvent[Any, Any]) -> None:
        if isinstance(event, CreatePipelineEvent):
            self._created(self._commands[event.pipeline_id], event)
        elif isinstance(event, GetCommandMetadataEvent):
            self._no_metadata(self._commands[event.pipeline_id])
        elif isinstance(event, PipelineInputEvent):
            pipeline = self._commands[event.pipeline_id].pipeline
            if pipeline is not None:
                pipeline.input.append(psvalues.plain(event.data))
        elif isinstance(event, GetAvailableRunspacesEvent):
            busy = sum(running.active for running in self._commands.values())
            self._pool.runspace_availability_response(event.ci, max(0, self._pool.max_runspaces - busy))
        elif isinstance(event, SetMaxRunspacesEvent | SetMinRunspacesEvent | ResetRunspaceStateEvent):
            self._pool.runspace_availability_response(event.ci, True)
            self._start_next()

    def _created(self, running: _Running, event: CreatePipelineEvent) -> None:
        statements: list[list[Command]] = [[]]
        for declared in event.pipeline.commands:
            named = {name: psvalues.plain(value) for name, value in declared.parameters if name}
            rest = tuple(psvalues.plain(value) for name, value in declared.parameters if not name)
            self._machine.script_blocks.write(declared.command_text, named)
            statements[-1].append(Command(declared.command_text, declared.is_script, named, rest))
            if declared.end_of_statement:
                statements.append([])
        filled = [statement for statement in statements if statement]
        running.pipeline = Pipeline(running.server, filled, self._flush)
        running.nested = bool(event.pipeline.is_nested)
        self._machine.counts.pipelines += 1
        self._waiting.append(running)
        self._start_next()

    def _no_metadata(self, running: _Running) -> None:
        """Answer a request for the metadata of commands with an empty list."""
        pipeline = Pipeline(running.server, [], self._flush)
        pipeline.begin()
        pipeline.write(CommandMetadataCount(Count=0))
        pipeline.complete()
        running.output.end()

    def _start_next(self) -> None:
        """Start pipelines while runspaces are free. A nested pipeline uses the runspace of its parent."""
        for running in tuple(self._waiting):
            busy = sum(other.active for other in self._commands.values())
            if running.nested or busy < max(1, self._pool.max_runspaces):
                self._waiting.remove(running)
                running.task = asyncio.ensure_future(self._run(running))

    async def _run(self, running: _Running) -> None:
        pipeline = running.pipeline
        if pipeline is None:
            return
        stopped = True
        pipeline.begin()
        try:
            await self._run_pipeline(pipeline)
            pipeline.complete()
            stopped = False
        except ScriptFailed as failed:
            pipeline.end_with(failed.error)
            stopped = False
        except Exception as error:
            _LOG.error("%s: a script failed with an unexpected error: %s", self._machine.name, type(error).__name__)
            pipeline.end_with(Error("The script failed with an unexpected error in the simulator.", "SimulatorFailed"))
            stopped = False
        finally:
            self._ended(running, stopped)
            asyncio.get_running_loop().call_soon(self._start_next)

    def _ended(self, running: _Running, stopped: bool) -> None:
        if stopped and running.pipeline is not None:
            running.pipeline.stop()
        running.output.end()

    def _flush(self) -> None:
        """Distribute the pending data of psrpcore."""
        while (payload := self._pool.data_to_send(self._fragment)) is not None:
            running = None if payload.pipeline_id is None else self._commands.get(payload.pipeline_id)
            if running is not None:
                running.output.put(payload.data)
            elif payload.pipeline_id is None:
                self._output.put(payload.data)


def _longest_fragment(request: soap.Request) -> int:
    """Return the maximum length of a fragment, so that one fits into an answer to this client."""
    return min(_FRAGMENT, (request.envelope_size - shell_messages.OVERHEAD - _STREAM_OVERHEAD) // 4 * 3)


def _identifier(text: str) -> uuid.UUID:
    try:
        return uuid.UUID(text)
    except ValueError:
        raise shell_faults.command_not_found() from None


def _shown(name: uuid.UUID) -> str:
    return str(name).upper()
