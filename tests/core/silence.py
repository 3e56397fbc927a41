"""Machines that never answer: from the beginning, or in the middle of a conversation."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from avma_simulator.shells import remote_shells
from avma_simulator.state.estate_state import EstateState
from avma_simulator.state.machine import Machine
from avma_simulator.winrm.wsman_service import Answer, Service
from avma_simulator.wsman import soap

LOAD = 3.0
"""Seconds. What a busy machine may add to a promised time. A wrong time limit in the provider adds more."""


class Silence:
    """The service of a machine that leaves one request without an answer. If `wholly`, also all requests after it.

    Args:
        machine: the name of the machine.
        operation: the operation and the WMI class, such as `Enumerate Msvm_ComputerSystem`, or a part of them.
        after: whether the machine carries out the request first.
        skip: the number of such requests to answer before.
        wholly: whether no later request gets an answer either, such as those that clean up.
    """

    def __init__(self, machine: str, operation: str, after: bool = False, skip: int = 0, wholly: bool = False) -> None:
        self._wholly = wholly
        self._machine = machine
        self._operation = operation
        self._left = skip
        self.after = after
        self.armed = True
        """Whether the machine may become silent. If not, it answers all requests, and `skip` counts none of them."""
        self.begun = threading.Event()
        """Set once the machine has received the request."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._over = asyncio.Event()

    def service(self, machine: Machine, state: EstateState) -> Service:
        """Return the service of a machine, for `avma_simulator.running`."""
        return _Silent(self, machine, state) if machine.name == self._machine else Service(machine, state)

    def end(self) -> None:
        """Let the machine continue with the request."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._over.set)

    @property
    def holds(self) -> bool:
        """Whether the machine still keeps the request without an answer."""
        return self.begun.is_set() and not self._over.is_set()

    def takes(self, operation: str) -> bool:
        """Return True if this is the request, or one after it on a wholly silent machine."""
        if self._wholly and self.begun.is_set():
            return True
        if not self.armed or self._operation not in operation or self.begun.is_set():
            return False
        self._left -= 1
        return self._left < 0

    async def keep(self) -> None:
        """Keep the request without an answer."""
        self._loop = asyncio.get_running_loop()
        self.begun.set()
        await self._over.wait()


class _Silent(Service):
    def __init__(self, silence: Silence, machine: Machine, state: EstateState) -> None:
        super().__init__(machine, state)
        self._silence = silence

    async def _answer(self, request: soap.Request) -> Answer:
        operation = f"{remote_shells.second_name(request) or request.operation} {self._class_name(request)}"
        if not self._silence.takes(operation):
            return await super()._answer(request)
        if not self._silence.after:
            await self._silence.keep()
        answer = await super()._answer(request)
        await self._silence.keep()
        return answer

    async def close(self) -> None:
        self._silence.end()
        await super().close()


@contextmanager
def accepting() -> Iterator[socket.socket]:
    """Yield the socket of a service to which clients can connect, and which never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


@contextmanager
def not_accepting() -> Iterator[socket.socket]:
    """Yield the socket of a service to which nobody can connect any more, because the queue of the system is full."""
    with ExitStack() as opened:
        server = opened.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        address = server.getsockname()
        while True:
            waiting = opened.enter_context(socket.socket())
            waiting.settimeout(0.2)
            try:
                waiting.connect(address)
            except TimeoutError:
                break
        yield server
