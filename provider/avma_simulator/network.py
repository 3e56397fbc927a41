"""The listeners of an estate: one for each way to reach a machine, opened and closed with the machine's power.

The module knows sockets and TLS contexts. It knows nothing of what is said over them.
"""

from __future__ import annotations

import errno
import logging
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path

from aiohttp import web

from avma_simulator import estate
from avma_simulator.accounts import Account
from avma_simulator.certificates import Authority
from avma_simulator.endpoint import Endpoint
from avma_simulator.logon import Door
from avma_simulator.service import Service
from avma_simulator.world import Machine, World

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
_LONGEST_SHUTDOWN = 0.2
_SILENT = logging.getLogger("avma_simulator.http")
_SILENT.addHandler(logging.NullHandler())
_SILENT.propagate = False


class CannotListen(Exception):
    """A listener cannot be opened; the text names its owner and its port."""


class Listener:
    """A TCP listener that can be closed and opened again on the same port."""

    def __init__(
        self, owner: str, handler: Handler, address: str, port: int, tls: ssl.SSLContext | None = None
    ) -> None:
        self.scheme = "http" if tls is None else "https"
        self.address = address
        self.port = port
        self._owner = owner
        self._handler = handler
        self._tls = tls
        self._server: web.Server | None = None
        self._runner: web.ServerRunner | None = None

    @property
    def origin(self) -> str:
        """The URL of the listener, without a path."""
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"{self.scheme}://{host}:{self.port}"

    async def open(self) -> None:
        """Listen.

        Raises:
            CannotListen: the port is taken, or the address is not one of this computer.
        """
        if self._runner is not None:
            return
        self._server = web.Server(self._handler, access_log=None, logger=_SILENT)
        self._runner = web.ServerRunner(self._server, shutdown_timeout=_LONGEST_SHUTDOWN)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self.address, self.port, ssl_context=self._tls).start()
        except OSError as error:
            await self.close()
            raise CannotListen(f"{self._owner}: {self._why(error)}") from None
        self.port = int(self._runner.addresses[0][1])

    async def close(self) -> None:
        """Stop listening and drop every connection."""
        self.drop_connections()
        if self._runner is not None:
            await self._runner.cleanup()
        self._runner = self._server = None

    def drop_connections(self) -> None:
        """Drop every connection and go on listening."""
        for connection in self._server.connections if self._server is not None else []:
            if connection.transport is not None:
                connection.transport.abort()

    def _why(self, error: OSError) -> str:
        place = f"port {self.port} at {self.address}"
        if error.errno == errno.EADDRINUSE:
            return f"{place} is already in use; stop what listens there, or give another port"
        if error.errno == errno.EADDRNOTAVAIL:
            return f"{self.address} is not an address of this computer; use 127.0.0.1, or add it first"
        return f"cannot listen on {place}: {error.strerror or error}"


class Network:
    """All listeners of an estate, and the authority that their certificates come from."""

    def __init__(self, world: World, directory: Path) -> None:
        self._world = world
        self._directory = directory
        self._authority = Authority(directory)
        self._services: list[Service] = []
        self._listeners: dict[Machine, list[Listener]] = {}

    @property
    def ca_certificate(self) -> Path:
        """The file of the authority's certificate."""
        return self._authority.certificate

    def listeners(self, machine: Machine) -> list[Listener]:
        """Return the machine's listeners, open or not."""
        return self._listeners.get(machine, [])

    async def open(self) -> None:
        """Open the listeners of every machine that runs.

        Raises:
            CannotListen: one of them cannot be opened; the others are left for `close`.
        """
        for machine in self._world.machines:
            self._listeners[machine] = self._make(machine)
            # A machine that is off has its ports all the same: they are chosen by opening them once.
            await self.power(machine, on=True)
            await self.power(machine, on=machine.running)

    async def power(self, machine: Machine, on: bool) -> None:
        """Open or close the listeners of a machine."""
        for listener in self.listeners(machine):
            await (listener.open() if on else listener.close())

    async def close(self) -> None:
        """Close everything."""
        for listeners in self._listeners.values():
            for listener in listeners:
                await listener.close()
        for service in self._services:
            await service.close()

    def _make(self, machine: Machine) -> list[Listener]:
        spec = machine.spec
        if spec.username is None or spec.password is None:
            return []
        account = Account(self._directory, machine.computer_name, machine.identifier, spec.username, spec.password)
        service = Service(machine, self._world)
        self._services.append(service)
        return [self._listener(machine, service, account, declared) for declared in spec.listeners]

    def _listener(
        self, machine: Machine, service: Service, account: Account, declared: estate.Http | estate.Https
    ) -> Listener:
        tls, bindings = None, None
        if isinstance(declared, estate.Https):
            name, kind = machine.computer_name, declared.certificate
            tls, bindings = self._authority.server(name, machine.spec.address, kind)
        endpoint = Endpoint(machine, service, Door(account, machine.spec.logons, bindings))
        return Listener(machine.name, endpoint.handle, machine.spec.address, declared.port, tls)
