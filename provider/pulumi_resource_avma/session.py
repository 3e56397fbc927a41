"""The state of the process between calls: log, redactor, configuration and cancellation.

The module is part of every start, so its imports must stay light.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING

from avma.cancellation import Cancellation
from avma.redaction import Redactor
from pulumi_resource_avma.engine import EngineLog

if TYPE_CHECKING:
    from avma.configuration import Configuration

_CALL: ContextVar[Cancellation | None] = ContextVar("call", default=None)
"""The cancellation of the current call in this context."""


class Session:
    """The session of the process. Every thread may call its methods."""

    def __init__(self, redact: Redactor) -> None:
        self.redact = redact
        self.log = EngineLog(redact)
        self.cancellation = Cancellation()
        self.configuration: Configuration | None = None
        self.engine_address = ""
        self.run = 0
        """The number of the engine's current run."""

    def begin(self, engine_address: str) -> None:
        """Start a run of the engine at that address. An attached process serves several runs in sequence."""
        self.log.connect(engine_address)
        self.engine_address = engine_address
        self.run += 1
        if self.cancellation.is_set():
            self.cancellation = Cancellation()

    def cancel(self) -> None:
        """Request the end of every operation."""
        self.cancellation.set()

    def begin_call(self) -> Cancellation:
        """Return a cancellation for one call. Operations in this context use it."""
        cancellation = self.cancellation.part()
        _CALL.set(cancellation)
        return cancellation

    @property
    def cancellation_of_call(self) -> Cancellation:
        """The cancellation of the current call in this context, or else of the session."""
        return _CALL.get() or self.cancellation
