"""The server: bind, tell the port, serve until told to stop or until the engine is gone.

It knows sockets, signals and the engine's health. It must not know what is served.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable

import grpc

from pulumi_resource_avma.protocol import provider_pb2_grpc
from pulumi_resource_avma.servicer import Servicer

LARGEST_MESSAGE = 400 * 1024 * 1024
HEALTH_INTERVAL = 30.0
HEALTH_DOUBT = 5.0
"""Seconds between the first health check that fails and the one that decides."""

HEALTH_TIMEOUT = 10.0
GRACE = 3.0
"""Seconds that calls under way have to end; the engine kills the process after five."""

_OPTIONS = (
    ("grpc.max_receive_message_length", LARGEST_MESSAGE),
    ("grpc.max_send_message_length", LARGEST_MESSAGE),
    ("grpc.so_reuseport", 0),
)


class Server:
    """A gRPC server on a free port of the loopback interface."""

    def __init__(self, servicer: Servicer) -> None:
        self._servicer = servicer
        self._server = grpc.aio.server(options=_OPTIONS)
        provider_pb2_grpc.add_ResourceProviderServicer_to_server(servicer, self._server)

    async def start(self) -> int:
        """Begin to serve, and return the port."""
        port = self._server.add_insecure_port("127.0.0.1:0")
        await self._server.start()
        return port

    async def stop(self, grace: float = GRACE) -> None:
        """Cancel what is under way, and end."""
        self._servicer.cancel()
        await self._server.stop(grace)
        self._servicer.close()


async def serve(servicer: Servicer, announce: Callable[[int], None], engine_address: str) -> None:
    """Serve until a signal comes, or until the engine at that address is gone; without address it is not watched."""
    stop = asyncio.Event()
    _stop_on_signals(stop)
    server = Server(servicer)
    announce(await server.start())
    watch = asyncio.create_task(watch_engine(engine_address, stop)) if engine_address else None
    await stop.wait()
    if watch is not None:
        watch.cancel()
    await server.stop()


async def watch_engine(
    address: str, stop: asyncio.Event, interval: float = HEALTH_INTERVAL, doubt: float = HEALTH_DOUBT
) -> None:
    """Ask to stop once the engine has failed two health checks in a row: the process must not outlive it."""
    failures = 0
    async with grpc.aio.insecure_channel(address) as channel:
        while failures < 2:
            await asyncio.sleep(doubt if failures else interval)
            failures = 0 if await _alive(channel) else failures + 1
    stop.set()


async def _alive(channel: grpc.aio.Channel) -> bool:
    """Ask by the standard health service, whose request is empty; an engine without it is alive as well."""
    check = channel.unary_unary("/grpc.health.v1.Health/Check", request_serializer=bytes, response_deserializer=bytes)
    try:
        await check(b"", timeout=HEALTH_TIMEOUT)
    except grpc.aio.AioRpcError as error:
        return error.code() is grpc.StatusCode.UNIMPLEMENTED
    return True


def _stop_on_signals(stop: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        # On Windows an event loop takes no signal handlers, and the engine ends its plugins another way.
        with contextlib.suppress(NotImplementedError):
            loop.add_signal_handler(number, stop.set)
