"""Messages to the user through the engine: log lines, and the status in a resource's row.

Errors are returned and never logged, because a logged error fails the run. Lines that cannot be delivered are dropped,
because logging must not fail an operation.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable

import grpc

from avma.redaction import REPLACEMENT
from pulumi_resource_avma.protocol import engine_pb2, engine_pb2_grpc

DELIVERY_TIMEOUT = 5.0


class EngineLog:
    """The engine's log. Every thread may use it. Until it is connected, it drops all lines."""

    def __init__(self, redact: Callable[[str], str]) -> None:
        self._redact = redact
        self._lock = threading.Lock()
        self._address = ""
        self._channel: grpc.Channel | None = None
        self._stub: engine_pb2_grpc.EngineStub | None = None

    def connect(self, address: str) -> None:
        """Connect to the engine at that address."""
        with self._lock:
            if not address or address == self._address:
                return
            self._drop()
            self._address = address
            self._channel = grpc.insecure_channel(address)
            self._stub = engine_pb2_grpc.EngineStub(self._channel)

    def close(self) -> None:
        """Disconnect."""
        with self._lock:
            self._drop()

    def status(self, message: str, urn: str) -> None:
        """Show the current step in the resource's row, until the next status."""
        self._send(engine_pb2.INFO, message, urn, ephemeral=True)

    def debug(self, message: str) -> None:
        """Add a line for `pulumi up --debug`."""
        self._send(engine_pb2.DEBUG, message, "")

    def info(self, message: str, urn: str) -> None:
        """Add a line to the messages about the resource."""
        self._send(engine_pb2.INFO, message, urn)

    def warning(self, message: str, urn: str = "") -> None:
        """Add a warning."""
        self._send(engine_pb2.WARNING, message, urn)

    def _send(
        self, severity: engine_pb2.LogSeverity.ValueType, message: str, urn: str, *, ephemeral: bool = False
    ) -> None:
        """Send a line and wait until the engine has it. This keeps lines in order and inside their operation."""
        stub = self._stub
        if stub is None:
            return
        text = _by_resource(self._redact(message), urn)
        line = engine_pb2.LogRequest(severity=severity, message=text, urn=urn, ephemeral=ephemeral)
        # ValueError: the channel was closed in the meantime.
        with contextlib.suppress(grpc.RpcError, ValueError):
            stub.Log(line, timeout=DELIVERY_TIMEOUT)

    def _drop(self) -> None:
        if self._channel is not None:
            self._channel.close()
        self._address, self._channel, self._stub = "", None, None


class EngineHandler(logging.Handler):
    """A handler that sends the log of the core to the engine's debug log."""

    def __init__(self, engine: EngineLog) -> None:
        super().__init__()
        self._engine = engine

    def emit(self, record: logging.LogRecord) -> None:
        """Send one line. It is redacted like every line to the engine."""
        self._engine.debug(f"{record.name}: {record.getMessage()}")


def _by_resource(text: str, urn: str) -> str:
    """Return a line with the resource's name instead of a redacted prefix, such as the host's name."""
    secret, name = f"{REPLACEMENT}:", urn.rpartition("::")[2]
    return f"{name}:{text.removeprefix(secret)}" if name and text.startswith(secret) else text
