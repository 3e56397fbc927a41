"""The plugin in a process of its own, with the calls of an engine: exactly so many under way."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import grpc
from google.protobuf.empty_pb2 import Empty

from benchmarks.processes import PATIENCE, cpu_seconds, peak_megabytes, running
from benchmarks.resources import configure
from pulumi_resource_avma.protocol import engine_pb2, engine_pb2_grpc, provider_pb2_grpc
from pulumi_resource_avma.protocol import provider_pb2 as pb
from workspace import PLUGIN

Q = TypeVar("Q")
A = TypeVar("A")


class Engine(engine_pb2_grpc.EngineServicer):
    """The engine as far as the plugin calls it: it keeps the lines of the log."""

    def __init__(self) -> None:
        self.lines = list[str]()
        self._server = grpc.server(ThreadPoolExecutor(4))
        engine_pb2_grpc.add_EngineServicer_to_server(self, self._server)
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()

    def Log(self, request: engine_pb2.LogRequest, _: grpc.ServicerContext) -> Empty:
        """Keep a line."""
        self.lines.append(request.message)
        return Empty()

    def stop(self) -> None:
        """End the server."""
        self._server.stop(None).wait()


class Plugin:
    """A running plugin, or another program that prints a port and serves the same protocol."""

    def __init__(self, pid: int, channel: grpc.Channel, engine: Engine) -> None:
        self.stub = provider_pb2_grpc.ResourceProviderStub(channel)
        self.engine = engine
        self._pid = pid

    @property
    def cpu(self) -> float:
        """The CPU seconds so far."""
        return cpu_seconds(self._pid)

    @property
    def peak(self) -> float:
        """The largest resident memory so far, in megabytes."""
        return peak_megabytes(self._pid)

    def configure(self, **more: Any) -> None:
        """Begin a run with this configuration. The engine receives the log."""
        self.stub.Handshake(pb.ProviderHandshakeRequest(engine_address=self.engine.address), timeout=PATIENCE)
        self.stub.Configure(configure(**more), timeout=PATIENCE)


@contextmanager
def plugin(*command: str | Path) -> Iterator[Plugin]:
    """Run the plugin, or another command, until the block ends."""
    engine = Engine()
    try:
        with (
            running(command or (PLUGIN,)) as (process, port),
            closing(grpc.insecure_channel(f"127.0.0.1:{port.strip()}")) as channel,
        ):
            yield Plugin(process.pid, channel, engine)
    finally:
        engine.stop()


def in_parallel(call: Callable[[Q], A], requests: Iterable[Q], at_once: int) -> tuple[list[A], float]:
    """Send all requests, so many at once. Return the answers and the seconds."""
    pool = ThreadPoolExecutor(at_once)
    try:
        began = time.perf_counter()
        answers = list(pool.map(call, requests))
        return answers, time.perf_counter() - began
    finally:
        pool.shutdown(cancel_futures=True)
