"""The log on standard error, which the engine keeps, and shows when a plugin dies: it may hold no secret."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable


def to_stderr(redact: Callable[[str], str]) -> None:
    """Send all warnings and errors of the process there, tracebacks included, without secrets."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_RedactingFormatter(redact))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)


class _RedactingFormatter(logging.Formatter):
    def __init__(self, redact: Callable[[str], str]) -> None:
        super().__init__("%(levelname)s %(name)s: %(message)s")
        self._redact = redact

    def format(self, record: logging.LogRecord) -> str:
        return self._redact(super().format(record))
