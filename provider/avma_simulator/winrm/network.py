"""The listeners of an estate. They open and close with the power state of their machines."""

from __future__ import annotations

import asyncio
import errno
import logging
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from weakref import WeakSet

from aiohttp import web
from spnego.channel_bindings import GssChannelBindings

from avma_simulator import estate
from avma_simulator.state.accounts import CredentialFiles
from avma_simulator.state.cluster import Cluster
from avma_simulator.state.estate_state import EstateState
from avma_simulator.state.machine import Machine
from avma_simulator.winrm.authentication import Authenticator
from avma_simulator.winrm.certificates import Authority
from avma_simulator.winrm.http_endpoint import Endpoint
from avma_simulator.winrm.wsman_service import Service

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
NewService = Callable[[Machine, EstateState], Service]
_LONGEST_SHUTDOWN = 0.2
_SILENT = logging.getLogger("avma_simulator.http")
_SILENT.addHandler(logging.NullHandler())
_SILENT.propagate = False


class CannotListen(Exception):
    """A listener cannot be opened. The text names its owner and its port."""


class _Server(web.Server):
    """A server that keeps the transport of each connection until the end.

    aiohttp drops the reference when it closes an idle connection, and TLS then waits for the peer to close as well.
    Without the reference, `abort` would miss such a connection.
    """

    def __init__(self, handler: Handler, idle_timeout: float) -> None:
        super().__init__(handler, access_log=None, logger=_SILENT, keepalive_timeout=idle_timeout)
        self._transports: WeakSet[asyncio.Transport] = WeakSet()

    def connection_made(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        """See `web.Server`."""
        super().connection_made(handler, transport)
        self._transports.add(transport)

    def abort(self) -> None:
        """Drop every connection."""
        for transport in tuple(self._transports):
            transport.abort()


class Listener:
    """A TCP listener that can be closed and opened again on the same port."""

    def __init__(
        self,
        owner: str,
        handler: Handler,
        address: str,
        port: int,
        tls: ssl.SSLContext | None = None,
        idle_timeout: float = 120.0,
    ) -> None:
        self.scheme = "http" if tls is None else "https"
        self.address = address
        self.port = port
        self._owner = owner
        self._handler = handler
        self._tls = tls
        self._idle_timeout = idle_timeout
        self._server: _Server | None = None
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
        self._server = _Server(self._handler, self._idle_timeout)
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
        """Drop every connection and keep listening."""
        if self._server is not None:
            self._server.abort()

    def _why(self, error: OSError) -> str:
        place = f"port {self.port} at {self.address}"
        if error.errno == errno.EADDRINUSE:
            return f"{place} is already in use. Stop the other process, or set another port"
        if error.errno == errno.EADDRNOTAVAIL:
            return f"{self.address} is not an address of this computer. Use 127.0.0.1, or add the address first"
        return f"cannot listen on {place}: {error.strerror or error}"


class Network:
    """All listeners of an estate and their certificate authority."""

    def __init__(self, state: EstateState, directory: Path, new_service: NewService = Service) -> None:
        self._state = state
        self._new_service = new_service
        self._directory = directory
        self._authority = Authority(directory)
        self._services: dict[Machine, Service] = {}
        self._credentials: dict[Machine, CredentialFiles] = {}
        self._listeners: dict[Machine | Cluster, list[Listener]] = {}
        self._owners: dict[Cluster, Machine | None] = {}
        self._updating = asyncio.Lock()
        self._next_update: asyncio.Task[None] | None = None

    @property
    def ca_certificate(self) -> Path:
        """The file of the authority's certificate."""
        return self._authority.certificate

    def listeners(self, owner: Machine | Cluster) -> list[Listener]:
        """Return the listeners of a machine or a cluster, open or not."""
        return self._listeners.get(owner, [])

    def open_shells(self, machine: Machine) -> int:
        """Return the number of open remote shells of the machine."""
        return self._services[machine].shells.open if machine in self._services else 0

    async def close_shells(self, machine: Machine) -> None:
        """End the remote shells of the machine."""
        if machine in self._services:
            await self._services[machine].shells.close()

    async def open(self) -> None:
        """Open the listeners of every running machine.

        Raises:
            CannotListen: a listener cannot be opened. The caller must still call `close` for the others.
        """
        for machine in self._state.machines:
            self._listeners[machine] = self._of_machine(machine)
        for cluster in self._state.clusters:
            self._listeners[cluster] = self._of_cluster(cluster)
        for listener in self._all():
            # Machines that are off have ports too. Opening their listeners once picks the ports.
            await listener.open()
        await self.update_listeners()

    async def add(self, machine: Machine) -> None:
        """Open the listeners of a new machine.

        Raises:
            CannotListen: a listener cannot be opened.
        """
        self._listeners[machine] = self._of_machine(machine)
        await self.update_listeners()

    async def remove(self, machine: Machine) -> None:
        """Close the listeners of a deleted machine."""
        await self._set(self._listeners.pop(machine, []), False)
        service = self._services.pop(machine, None)
        if service is not None:
            await service.close()

    async def update_listeners(self) -> None:
        """Open and close listeners to match the power states, now and when the next machine is ready."""
        async with self._updating:
            for machine in self._state.machines:
                await self._set(self.listeners(machine), machine.ready)
                if not machine.running and machine in self._services:
                    await self._services[machine].close()
            for cluster in self._state.clusters:
                await self._update_cluster(cluster)
        waits = [one.seconds_to_ready for one in self._state.machines if one.running and one.seconds_to_ready]
        if self._next_update is not None and self._next_update is not asyncio.current_task():
            self._next_update.cancel()
        self._next_update = asyncio.create_task(self._update_later(min(waits))) if waits else None

    async def _update_later(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        await self.update_listeners()

    async def _update_cluster(self, cluster: Cluster) -> None:
        owner = cluster.owner
        if owner is not self._owners.get(cluster, owner):
            for listener in self.listeners(cluster):
                listener.drop_connections()
        self._owners[cluster] = owner
        await self._set(self.listeners(cluster), owner is not None)

    async def close(self) -> None:
        """Close everything."""
        if self._next_update is not None:
            self._next_update.cancel()
            await asyncio.gather(self._next_update, return_exceptions=True)
        await self._set(self._all(), False)
        for service in self._services.values():
            await service.close()

    def _all(self) -> list[Listener]:
        return [listener for listeners in self._listeners.values() for listener in listeners]

    async def _set(self, listeners: list[Listener], on: bool) -> None:
        for listener in listeners:
            await (listener.open() if on else listener.close())

    def _of_machine(self, machine: Machine) -> list[Listener]:
        spec = machine.spec
        if spec.username is None or spec.password is None:
            return []
        files = CredentialFiles(self._directory, machine.identifier, machine.accounts, spec.keytab)
        self._credentials[machine] = files
        self._services[machine] = self._new_service(machine, self._state)
        return [
            self._listener(machine, address, declared, lambda bindings: self._endpoint(machine, bindings).handle)
            for declared in spec.listeners
            for address in spec.addresses
        ]

    def _of_cluster(self, cluster: Cluster) -> list[Listener]:
        return [
            self._listener(cluster, address, declared, lambda bindings: self._owners_endpoint(cluster, bindings))
            for declared in cluster.spec.listeners
            for address in cluster.spec.addresses
        ]

    def _listener(
        self,
        owner: Machine | Cluster,
        address: str,
        declared: estate.Http | estate.Https,
        handler: Callable[[GssChannelBindings | None], Handler],
    ) -> Listener:
        tls, bindings = None, None
        if isinstance(declared, estate.Https):
            name, kind = owner.computer_name, declared.certificate
            clients = owner.spec.client_certificate if isinstance(owner, Machine) else None
            tls, bindings = self._authority.server(name, address, kind, clients)
        spec = owner.spec
        return Listener(owner.name, handler(bindings), address, declared.port, tls, spec.idle_timeout)

    def _endpoint(self, machine: Machine, bindings: GssChannelBindings | None) -> Endpoint:
        spec, files = machine.spec, self._credentials[machine]
        authenticator = Authenticator(machine.accounts, files, spec.logons, bindings, spec.channel_binding)
        return Endpoint(machine, self._services[machine], authenticator)

    def _owners_endpoint(self, cluster: Cluster, bindings: GssChannelBindings | None) -> Handler:
        """Return a handler for the current owner of the cluster name. It uses the account of that node."""
        endpoints: dict[Machine, Endpoint] = {}

        async def handle(request: web.BaseRequest) -> web.StreamResponse:
            owner = cluster.owner
            if owner is None:
                return web.Response(status=503)
            if owner not in endpoints:
                endpoints[owner] = self._endpoint(owner, bindings)
            return await endpoints[owner].handle(request)

        return handle
