"""Output of the core's log to standard error and to handlers.

`avma.wsman` writes one line at level DEBUG for each request to a machine. `avma.resources` and `avma.diagnosis` write
one line at level INFO for each decision and each check.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable


def to_stderr(redact: Callable[[str], str], level: int = logging.WARNING) -> None:
    """Write all redacted lines of at least that level to standard error, tracebacks included."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setLevel(level)
    handler.setFormatter(_RedactingFormatter(redact))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("avma").setLevel(min(level, logging.WARNING))


def to_handler(handler: logging.Handler) -> None:
    """Pass all lines of the core to a handler as well. The handler must redact them."""
    core = logging.getLogger("avma")
    core.addHandler(handler)
    core.setLevel(logging.DEBUG)


class _RedactingFormatter(logging.Formatter):
    def __init__(self, redact: Callable[[str], str]) -> None:
        super().__init__("%(levelname)s %(name)s: %(message)s")
        self._redact = redact

    def format(self, record: logging.LogRecord) -> str:
        return self._redact(super().format(record))
