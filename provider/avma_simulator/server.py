"""A running estate: in this thread until a signal, or in a thread of its own."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import Future
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar
from urllib.parse import urlsplit

from avma_simulator.clock import Clock, ClockLoop
from avma_simulator.control import Control
from avma_simulator.control_endpoint import ControlEndpoint
from avma_simulator.estate import Estate
from avma_simulator.state.estate_state import EstateState
from avma_simulator.stopping import stopped_by_signals
from avma_simulator.winrm.network import Listener, Network, NewService
from avma_simulator.winrm.wsman_service import Service

_LOG = logging.getLogger("avma_simulator")
_T = TypeVar("_T")


@dataclass(frozen=True)
class Ready:
    """An estate with open listeners."""

    control: Control
    control_url: str
    ca_certificate: Path
    clusters: list[dict[str, Any]]


OnReady = Callable[[Ready, list[dict[str, Any]]], None]


@asynccontextmanager
async def opened(estate: Estate, clock: Clock, new_service: NewService = Service) -> AsyncIterator[Ready]:
    """Open an estate in the running event loop, which is the loop of the clock.

    `new_service` creates the service of a machine.

    Raises:
        CannotListen: a listener cannot be opened.
    """
    asyncio.get_running_loop().set_exception_handler(_log_unexpected)
    with TemporaryDirectory(prefix="avma-estate-") as directory:
        state = EstateState(estate, clock)
        network = Network(state, Path(directory), new_service)
        control = Control(state, network)
        handler = ControlEndpoint(control).handle
        control_listener = Listener("the control endpoint", handler, estate.control.address, estate.control.port)
        try:
            await network.open()
            await control_listener.open()
            yield Ready(control, control_listener.origin, network.ca_certificate, await control.clusters())
        finally:
            await control_listener.close()
            await network.close()


def serve(estate: Estate, on_ready: OnReady, new_service: NewService = Service) -> None:
    """Serve an estate until SIGINT or SIGTERM. `on_ready` receives the open estate and its machines.

    Raises:
        CannotListen: a listener cannot be opened.
    """
    clock = Clock()
    _run(ClockLoop(clock), _serve(estate, clock, on_ready, new_service))


async def _serve(estate: Estate, clock: Clock, on_ready: OnReady, new_service: NewService) -> None:
    stopped = asyncio.Event()
    with stopped_by_signals(stopped):
        async with opened(estate, clock, new_service) as ready:
            on_ready(ready, await ready.control.machines())
            await stopped.wait()


@contextmanager
def running(estate: Estate, new_service: NewService = Service) -> Iterator[EstateServer]:
    """Serve an estate in a thread until the block ends.

    Raises:
        CannotListen: a listener cannot be opened.
    """
    server = EstateServer(estate, new_service)
    server.start()
    try:
        yield server
    finally:
        server.stop()


class EstateServer:
    """An estate in its own thread. The methods are those of the control endpoint, and any thread may call them."""

    def __init__(self, estate: Estate, new_service: NewService = Service) -> None:
        self._estate = estate
        self._new_service = new_service
        self._clock = Clock()
        self._loop = ClockLoop(self._clock)
        self._stopped = asyncio.Event()
        self._opened: Future[Ready] = Future()
        self._thread = threading.Thread(target=self._run, name="avma-estate")

    def start(self) -> None:
        """Start the thread and wait until every listener is open.

        Raises:
            CannotListen: a listener cannot be opened.
        """
        self._thread.start()
        if self._opened.exception() is not None:
            self._thread.join()
        self._opened.result()

    def stop(self) -> None:
        """Close everything and wait for the thread to end."""
        self._loop.call_soon_threadsafe(self._stopped.set)
        self._thread.join()

    @property
    def control_url(self) -> str:
        """The URL of the control endpoint."""
        return self._opened.result().control_url

    @property
    def ca_certificate(self) -> str:
        """The path of the PEM file with the authority of the trusted certificates."""
        return str(self._opened.result().ca_certificate)

    def url(self, name: str, scheme: str = "http") -> str:
        """Return the WinRM URL of a machine, by its name or VM ID, or of a cluster.

        Raises:
            KeyError: there is no such listener.
        """
        wanted = name.lower()
        for owner in [*self.machines(), *self.clusters()]:
            if wanted in (owner["name"].lower(), owner.get("id", "").lower()):
                for url in owner["urls"]:
                    if url.startswith(f"{scheme}://"):
                        return str(url)
        raise KeyError(f"{name} has no {scheme} listener")

    def address(self, name: str, scheme: str = "http") -> tuple[str, int]:
        """Return the address and the port of a machine's listener.

        Raises:
            KeyError: the machine has no such listener.
        """
        parts = urlsplit(self.url(name, scheme))
        return str(parts.hostname), int(parts.port or 0)

    def machines(self) -> list[dict[str, Any]]:
        """Return every machine with its URLs."""
        return self._call(self._control.machines())

    def machine(self, name: str) -> dict[str, Any]:
        """Return the licensing state of a machine."""
        return self._call(self._control.machine(name))

    def counts(self) -> dict[str, dict[str, Any]]:
        """Return the request counts of each machine."""
        return self._call(self._control.counts())

    def script_blocks(self, name: str) -> list[dict[str, Any]]:
        """Return the PowerShell commands that a machine received, with parameter names only."""
        return self._call(self._control.script_blocks(name))

    def module_log(self, name: str) -> list[dict[str, str]]:
        """Return the parameters of PowerShell commands on a machine, as module logging shows their values."""
        return self._call(self._control.module_log(name))

    def reset_counts(self) -> None:
        """Reset all counts to zero."""
        self._call(self._control.reset_counts())

    def keys(self) -> dict[str, int]:
        """Return the remaining activations of each declared key, by its last five characters."""
        return self._call(self._control.keys())

    def failed_sign_ins(self) -> dict[str, dict[str, Any]]:
        """See `Control.failed_sign_ins`."""
        return self._call(self._control.failed_sign_ins())

    def advance_clock(self, seconds: float) -> None:
        """Move the clock of the estate forward. See `Control.advance_clock`."""
        self._call(self._control.advance_clock(seconds))

    def kms(self, available: bool) -> None:
        """Set whether a KMS host is available."""
        self._call(self._control.kms(available))

    def online(self, name: str, online: bool) -> None:
        """Connect a machine to Microsoft's activation service, or disconnect it."""
        self._call(self._control.online(name, online))

    def subscription(self, name: str, enabled: bool) -> None:
        """Buy or cancel the Windows Server subscription of a machine of Azure Stack HCI."""
        self._call(self._control.subscription(name, enabled))

    def confirmation_id(self, name: str) -> dict[str, str]:
        """Return the confirmation ID of the installed key, as the activation center gives it on the phone."""
        return self._call(self._control.confirmation_id(name))

    def install_key(self, name: str, key: str) -> None:
        """Install a key outside of the client."""
        self._call(self._control.install_key(name, key))

    def uninstall_key(self, name: str) -> None:
        """Remove the installed key."""
        self._call(self._control.uninstall_key(name))

    def set_license(self, name: str, status: str, reason: int | None = None) -> None:
        """Change the state of the installed key. See `Control.set_license`."""
        self._call(self._control.set_license(name, status, reason))

    def power(self, name: str, state: str) -> None:
        """Set the state of a VM, or turn a host and its VMs on or off."""
        self._call(self._control.power(name, state))

    def reboot(self, name: str) -> None:
        """Restart a machine. Connections and shells are lost, and the VMs of a host restart with it."""
        self._call(self._control.reboot(name))

    def setup(self, name: str, seconds: float) -> None:
        """Provision a VM for some seconds. Until then it has no connections and reports nothing to its host."""
        self._call(self._control.setup(name, seconds))

    def data_exchange(self, name: str, enabled: bool) -> None:
        """Turn a VM's Data Exchange service on or off."""
        self._call(self._control.data_exchange(name, enabled))

    def data_exchange_items(self, name: str, items: list[str] | None) -> None:
        """See `Control.data_exchange_items`."""
        self._call(self._control.data_exchange_items(name, items))

    def rights(self, name: str, rights: str) -> None:
        """See `Control.rights`."""
        self._call(self._control.rights(name, rights))

    def grant(self, name: str, **rights: Any) -> None:
        """Replace the rights of a machine's account. The arguments are the fields of an estate file."""
        self._call(self._control.grant(name, rights))

    def service(self, name: str, service: str, running: bool) -> None:
        """See `Control.service`."""
        self._call(self._control.service(name, service, running))

    def move(self, name: str, host: str) -> None:
        """Move a VM to another host."""
        self._call(self._control.move(name, host))

    def rename(self, name: str, new_name: str) -> None:
        """Rename a VM on its host."""
        self._call(self._control.rename(name, new_name))

    def create(self, host: str, vm: dict[str, Any]) -> dict[str, Any]:
        """Create a VM on a host and return its URLs. The declaration is that of an estate file."""
        return self._call(self._control.create(host, vm))

    def delete(self, name: str) -> None:
        """Delete a VM."""
        self._call(self._control.delete(name))

    def fail_over(self, name: str) -> None:
        """Fail a VM over to the host of its replica."""
        self._call(self._control.fail_over(name))

    def clusters(self) -> list[dict[str, Any]]:
        """Return every cluster: its URLs, the owner of its name, and the states of its nodes."""
        return self._call(self._control.clusters())

    def change_nodes(self, name: str, change: str, host: str) -> None:
        """Change the nodes of a cluster: `add`, `remove`, `pause`, `join` (stay in joining) or `resume`."""
        self._call(self._control.change_nodes(name, change, host))

    def faults(self, name: str, rules: list[dict[str, Any]]) -> None:
        """Set the fault rules of a machine. They replace the current rules."""
        self._call(self._control.faults(name, rules))

    def present_faults(self, name: str) -> list[dict[str, Any]]:
        """Return the fault rules of a machine with their remaining times."""
        return self._call(self._control.present_faults(name))

    def drop_connections(self, name: str) -> None:
        """Drop a machine's connections."""
        self._call(self._control.drop_connections(name))

    def close_shells(self, name: str) -> None:
        """End a machine's remote shells."""
        self._call(self._control.close_shells(name))

    @property
    def _control(self) -> Control:
        return self._opened.result().control

    def _call(self, command: Coroutine[Any, Any, _T]) -> _T:
        return asyncio.run_coroutine_threadsafe(command, self._loop).result()

    def _run(self) -> None:
        _run(self._loop, self._main())

    async def _main(self) -> None:
        try:
            async with opened(self._estate, self._clock, self._new_service) as ready:
                self._opened.set_result(ready)
                await self._stopped.wait()
        except BaseException as error:
            if self._opened.done():
                raise
            self._opened.set_exception(error)


def _run(loop: ClockLoop, main: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine and close its loop. Python 3.10 has no `asyncio.Runner`, which takes the loop as an argument."""
    asyncio.set_event_loop(loop)
    try:
        loop.run_until_complete(main)
    finally:
        asyncio.set_event_loop(None)
        loop.close()


def _log_unexpected(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    _LOG.error("unexpected error in the event loop of the simulator: %s", context["message"])
