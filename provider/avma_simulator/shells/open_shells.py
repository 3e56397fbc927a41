"""The remote shells of one machine: Create, Get and Delete, their quota and their idle timeout (MS-WSMV 3.1.4.1.31).

The resource of a shell determines the effect of Command, Send, Receive and Signal: see `winrs` for cmd.exe and
`runspace` for PowerShell.
"""

from __future__ import annotations

import asyncio
import uuid
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from avma_simulator.shells import shell_faults, shell_messages
from avma_simulator.shells.shell_messages import URI
from avma_simulator.state.machine import Machine
from avma_simulator.wsman import soap, wsman_faults
from avma_simulator.wsman.xmltree import element

POWERSHELL = "http://schemas.microsoft.com/powershell/"
_TRANSFER = soap.NAMESPACES["x"]
_IDLE_TIMEOUT = 7200.0
"""Seconds until Windows ends an unused shell. Its Create can set another time."""
_SHORTEST_IDLE = 60.0
"""Seconds (New-PSSessionOption, `IdleTimeout`)."""
_LONGEST_IDLE = "PT2147483.647S"
_FIRST_PROCESS = 1000
Answer = tuple[str, list[ET.Element]]


class Shell(Protocol):
    """The commands of a shell."""

    async def command(self, request: soap.Request) -> ET.Element:
        """Start a command."""

    async def send(self, request: soap.Request) -> ET.Element:
        """Accept input."""

    async def receive(self, request: soap.Request) -> ET.Element:
        """Return output."""

    async def signal(self, request: soap.Request) -> ET.Element:
        """Stop a command."""

    async def close(self) -> None:
        """End all commands."""


NewShell = Callable[[soap.Request], Shell]
"""Creates the shell for a Create request."""


@dataclass
class _Open:
    name: str
    resource: str
    shell: Shell
    process: int
    streams: tuple[str, str]
    idle_timeout: float
    created: float
    used: float
    active_requests: int = 0

    def idle(self, now: float) -> float:
        """Return the seconds since the last request. A shell is not idle while a client waits for its output."""
        return 0.0 if self.active_requests else now - self.used


class OpenShells:
    """The open shells of one machine. `kinds` maps lowercase resource URIs to constructors."""

    def __init__(self, machine: Machine, kinds: dict[str, NewShell]) -> None:
        self._machine = machine
        self._clock = machine.clock
        self._kinds = kinds
        self._open: dict[str, _Open] = {}
        self._creating = 0

    @property
    def open(self) -> int:
        """The number of open shells."""
        return len(self._open)

    async def close(self) -> None:
        """End every shell and its commands."""
        while self._open:
            _, found = self._open.popitem()
            await found.shell.close()

    async def answer(self, request: soap.Request) -> Answer:
        """Answer a request to a shell resource.

        Raises:
            Fault: the request is wrong, or a quota is exhausted.
        """
        await self._end_idle()
        if request.action == f"{_TRANSFER}/Create":
            return f"{request.action}Response", await self._create(request)
        if request.resource.lower() not in (*self._kinds, URI):
            raise wsman_faults.invalid_resource()
        found = self._find(request)
        if request.action == f"{_TRANSFER}/Get":
            return f"{request.action}Response", [_described(found, self._machine)]
        if request.resource.lower() == URI:
            raise wsman_faults.action_not_supported()
        if request.action == f"{_TRANSFER}/Delete":
            del self._open[found.name]
            await found.shell.close()
            return f"{request.action}Response", []
        found.active_requests += 1
        try:
            return f"{request.action}Response", [await _in_shell(found.shell, request)]
        finally:
            found.active_requests -= 1
            found.used = self._clock.monotonic()

    async def _create(self, request: soap.Request) -> list[ET.Element]:
        new_shell = self._kinds.get(request.resource.lower())
        if new_shell is None:
            raise shell_faults.unknown_configuration(request.resource)
        body = shell_messages.body(request, "Shell")
        most = self._machine.spec.quotas.shells
        if len(self._open) + self._creating >= most:
            raise shell_faults.too_many(most)
        name = _name(body, request, self._open)
        idle_timeout = soap.seconds(_text(body, "IdleTimeOut"), _IDLE_TIMEOUT)
        if idle_timeout < _SHORTEST_IDLE:
            raise shell_faults.idle_timeout_out_of_bounds()
        found = _Open(
            name,
            request.resource,
            new_shell(request),
            _FIRST_PROCESS + 4 * self._machine.counts.shells,
            (_text(body, "InputStreams"), _text(body, "OutputStreams")),
            idle_timeout,
            self._clock.monotonic(),
            self._clock.monotonic(),
        )
        await self._started(request)
        self._open[name] = found
        found.used = self._clock.monotonic()
        self._machine.counts.shells += 1
        if request.resource.lower().startswith(POWERSHELL):
            self._machine.counts.pools += 1
        selectors = element("w:SelectorSet", element("w:Selector", name, Name="ShellId"))
        parameters = element("a:ReferenceParameters", element("w:ResourceURI", request.resource), selectors)
        # Recorded: the address is the one that the client used.
        created = element("x:ResourceCreated", element("a:Address", request.to or soap.ANONYMOUS), parameters)
        return [created, _described(found, self._machine)]

    async def _started(self, request: soap.Request) -> None:
        """Wait for the start of wsmprovhost.exe, the process of a runspace pool."""
        if not request.resource.lower().startswith(POWERSHELL):
            return
        delay = self._machine.spec.delays.powershell
        self._creating += 1
        try:
            await asyncio.sleep(min(delay, request.timeout))
        finally:
            self._creating -= 1
        if delay > request.timeout:
            raise wsman_faults.timed_out()

    async def _end_idle(self) -> None:
        now = self._clock.monotonic()
        for name in [name for name, found in self._open.items() if found.idle(now) > found.idle_timeout]:
            found = self._open.pop(name, None)
            if found is not None:  # another request may have ended it in the meantime
                await found.shell.close()

    def _find(self, request: soap.Request) -> _Open:
        name = next((value for key, value in request.selectors.items() if key.lower() == "shellid"), "")
        found = self._open.get(name.upper())
        if found is None or request.resource.lower() not in (found.resource.lower(), URI):
            raise shell_faults.not_found(nests=self._machine.windows.version != "2012 R2")
        return found


async def _in_shell(shell: Shell, request: soap.Request) -> ET.Element:
    if request.action == f"{URI}/Command":
        return await shell.command(request)
    if request.action == f"{URI}/Send":
        return await shell.send(request)
    if request.action == f"{URI}/Receive":
        return await shell.receive(request)
    if request.action == f"{URI}/Signal":
        return await shell.signal(request)
    raise wsman_faults.action_not_supported()


def _name(body: ET.Element, request: soap.Request, taken: dict[str, _Open]) -> str:
    """Return the ID of a new shell. PowerShell clients choose it, clients of cmd.exe do not."""
    declared = body.get("ShellId")
    if declared is None or not request.resource.lower().startswith(POWERSHELL):
        return str(uuid.uuid4()).upper()
    try:
        name = str(uuid.UUID(declared)).upper()
    except ValueError:
        raise wsman_faults.schema_validation() from None
    if name in taken:
        raise shell_faults.already_exists()
    return name


def _text(body: ET.Element, name: str) -> str:
    return (body.findtext(shell_messages.qualified(name)) or "").strip()


def _described(found: _Open, machine: Machine) -> ET.Element:
    """Return `rsp:Shell`. Recorded: its elements and their order. PowerShell has more of them than cmd.exe."""
    locale = machine.spec.language
    powershell = found.resource.lower().startswith(POWERSHELL)
    values = {
        "ShellId": found.name,
        "ResourceUri": found.resource,
        "Owner": machine.spec.username or "",
        "ClientIP": "127.0.0.1",
        "ProcessId": str(found.process) if powershell else "",
        "IdleTimeOut": f"PT{found.idle_timeout:.3f}S",
        "InputStreams": found.streams[0],
        "OutputStreams": found.streams[1],
    }
    if powershell:
        values |= {
            "MaxIdleTimeOut": _LONGEST_IDLE,
            "Locale": locale,
            "DataLocale": locale,
            "CompressionMode": "NoCompression",
            "ProfileLoaded": "Yes",
            "Encoding": "UTF8",
            "BufferMode": "Block",
            "State": "Connected",
        }
    now = machine.clock.monotonic()
    values |= {"ShellRunTime": _duration(now - found.created), "ShellInactivity": _duration(found.idle(now))}
    return shell_messages.rsp("Shell", *(element(f"rsp:{name}", value) for name, value in values.items() if value))


def _duration(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    return f"P{days}DT{hours}H{minutes}M{rest}S"
