"""The server: bind, announce the port, and serve until a stop request or the end of the engine."""

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
"""Seconds between the first failed health check and the decisive one."""

HEALTH_TIMEOUT = 10.0
GRACE = 3.0
"""Seconds for running calls to end. The engine kills the process after five."""

_OPTIONS = (
    ("grpc.max_receive_message_length", LARGEST_MESSAGE),
    ("grpc.max_send_message_length", LARGEST_MESSAGE),
    ("grpc.so_reuseport", 0),
)


class GrpcServer:
    """A gRPC server on a free port of the loopback interface."""

    def __init__(self, servicer: Servicer) -> None:
        self._servicer = servicer
        self._server = grpc.aio.server(options=_OPTIONS)
        provider_pb2_grpc.add_ResourceProviderServicer_to_server(servicer, self._server)

    async def start(self) -> int:
        """Start to serve and return the port."""
        port = self._server.add_insecure_port("127.0.0.1:0")
        await self._server.start()
        return port

    async def stop(self, grace: float = GRACE) -> None:
        """Cancel running calls and end."""
        self._servicer.cancel()
        await self._server.stop(grace)
        self._servicer.close()


async def serve(servicer: Servicer, announce: Callable[[int], None], engine_address: str) -> None:
    """Serve until a signal arrives or the engine at that address ends. Without an address, only a signal ends it."""
    stop = asyncio.Event()
    _stop_on_signals(stop)
    server = GrpcServer(servicer)
    announce(await server.start())
    watch = asyncio.create_task(watch_engine(engine_address, stop, servicer.call_lost)) if engine_address else None
    await stop.wait()
    if watch is not None:
        watch.cancel()
    await server.stop()


async def watch_engine(
    address: str,
    stop: asyncio.Event,
    call_lost: asyncio.Event,
    interval: float = HEALTH_INTERVAL,
    doubt: float = HEALTH_DOUBT,
) -> None:
    """Request a stop after two failed health checks in a row. The process must not outlive the engine.

    If the engine leaves a call, which `call_lost` reports, the first check comes at once.
    """
    failures = 0
    async with grpc.aio.insecure_channel(address) as channel:
        while failures < 2:
            if failures:
                await asyncio.sleep(doubt)
            else:
                await _wait(call_lost, interval)
            failures = 0 if await _alive(channel) else failures + 1
    stop.set()


async def _wait(event: asyncio.Event, longest: float) -> None:
    with contextlib.suppress(asyncio.TimeoutError):
        await asyncio.wait_for(event.wait(), longest)
    event.clear()


async def _alive(channel: grpc.aio.Channel) -> bool:
    """Return True if the engine answers the standard health check. An engine without that service is alive as well."""
    check = channel.unary_unary("/grpc.health.v1.Health/Check", request_serializer=bytes, response_deserializer=bytes)
    try:
        await check(b"", timeout=HEALTH_TIMEOUT)
    except grpc.aio.AioRpcError as error:
        return error.code() is grpc.StatusCode.UNIMPLEMENTED
    return True


def _stop_on_signals(stop: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        # On Windows an event loop has no signal handlers, and the engine ends its plugins in another way.
        with contextlib.suppress(NotImplementedError):
            loop.add_signal_handler(number, stop.set)
