"""Fuzz target for a runspace pool: PSRP fragments in the first message of a shell, and in later messages."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import uuid
import xml.etree.ElementTree as ET
from collections.abc import Callable

from psrpcore import ClientPowerShell, ClientRunspacePool, PSRPPayload, ServerRunspacePool, StreamType
from psrpcore.types import PSSecureString

from avma_simulator.shells.pipeline import Pipeline
from avma_simulator.shells.runspace import RESOURCE, RunspaceShell
from avma_simulator.shells.shell_messages import URI
from avma_simulator.state.machine import Machine
from avma_simulator.wsman import wsman_faults
from avma_simulator.wsman.soap import Request

_CREATION = "{http://schemas.microsoft.com/powershell}creationXml"


def seeds() -> tuple[bytes, ...]:
    """Return the messages of a client: opening a pool, its key, a pipeline with secrets, and calls about runspaces."""
    client, server = ClientRunspacePool(), ServerRunspacePool()
    client.open()
    opening = _sent(client)
    _exchange(client, server, opening)
    client.exchange_key()
    key = _sent(client)
    _exchange(client, server, key)
    shell = ClientPowerShell(client)
    shell.add_script("hostname").add_parameters(Key=PSSecureString("secret"), Names=["a", {"b": 1.5}, None])
    shell.start()
    pipeline = _sent(client)
    client.get_available_runspaces()
    client.set_max_runspaces(3)
    return opening, key, pipeline, _sent(client)


def reader(machine: Machine, loop: asyncio.AbstractEventLoop) -> Callable[[bytes], None]:
    """Return a function that passes bytes to a new pool, to an open pool, and to a new pipeline of it."""
    names = itertools.count(1)
    opened = RunspaceShell(machine, _run, _create(seeds()[0]))

    async def read(data: bytes) -> None:
        with contextlib.suppress(wsman_faults.Fault):
            await RunspaceShell(machine, _run, _create(data)).close()
        with contextlib.suppress(wsman_faults.Fault):
            await opened.send(_request("Send", _element("Stream", data, Name="stdin")))
        with contextlib.suppress(wsman_faults.Fault):
            line = _request("CommandLine", _element("Arguments", data), CommandId=str(uuid.UUID(int=next(names))))
            await opened.command(line)
        await opened.close()

    return lambda data: loop.run_until_complete(read(data))


async def _run(pipeline: Pipeline) -> None:
    pipeline.write("done")


def _sent(client: ClientRunspacePool) -> bytes:
    sent = b""
    while (payload := client.data_to_send()) is not None:
        sent += payload.data
    return sent


def _exchange(client: ClientRunspacePool, server: ServerRunspacePool, data: bytes) -> None:
    server.receive_data(PSRPPayload(data, StreamType.default, None))
    while server.next_event() is not None:
        pass
    while (payload := server.data_to_send()) is not None:
        client.receive_data(payload)
    while client.next_event() is not None:
        pass


def _create(data: bytes) -> Request:
    creation = ET.Element(_CREATION)
    creation.text = base64.b64encode(data).decode()
    return _request("Shell", creation)


def _element(name: str, data: bytes, **attributes: str) -> ET.Element:
    made = ET.Element(f"{{{URI}}}{name}", attributes)
    made.text = base64.b64encode(data).decode()
    return made


def _request(name: str, child: ET.Element, **attributes: str) -> Request:
    body = ET.Element(f"{{{URI}}}{name}", attributes)
    body.append(child)
    return Request("", RESOURCE, "", {}, 512_000, 1.0, body)
