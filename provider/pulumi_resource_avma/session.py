"""What the process holds between calls: the log, the redactor, the configuration and the user's wish to stop.

It knows when these begin and end. It must not know resources, and it is light, for it is there from the start.
"""

from __future__ import annotations

from contextvars import ContextVar

from google.protobuf.struct_pb2 import Struct

from avma.configuration import Configuration
from avma.deadline import Cancellation
from avma.redaction import Redactor
from pulumi_resource_avma.engine import EngineLog
from pulumi_resource_avma.secrecy import declared
from pulumi_resource_avma.values import Decoded, decode, texts_at

_CALL: ContextVar[Cancellation | None] = ContextVar("call", default=None)
"""The cancellation of the call that is served in this context."""


class Session:
    """One for each process; its methods may be called from every thread."""

    def __init__(self, redact: Redactor) -> None:
        self.redact = redact
        self.log = EngineLog(redact)
        self.cancellation = Cancellation()
        self.configuration: Configuration | None = None
        self.engine_address = ""
        self.run = 0
        """The number of the run of the engine that is served."""

    def begin(self, engine_address: str) -> None:
        """Serve a run of the engine at that address; an attached process sees several, one after the other."""
        self.log.connect(engine_address)
        self.engine_address = engine_address
        self.run += 1
        if self.cancellation.is_set():
            self.cancellation = Cancellation()

    def cancel(self) -> None:
        """Ask every operation to end."""
        self.cancellation.set()

    def begin_call(self) -> Cancellation:
        """Return a cancellation for one call, which the operations begun in this context look at."""
        cancellation = self.cancellation.part()
        _CALL.set(cancellation)
        return cancellation

    @property
    def cancellation_of_call(self) -> Cancellation:
        """The cancellation of the call that is served in this context, or else of the session."""
        return _CALL.get() or self.cancellation

    def decode(self, struct: Struct, record: type) -> Decoded:
        """Turn the properties of a record into plain values, and remember which of them must not leave."""
        decoded = decode(struct)
        secrets = decoded.secrets | declared(record, decoded.values)
        self.redact.learn(texts_at(decoded.values, secrets))
        return decoded
