"""Output of the core's log to standard error and to handlers.

`avma.wsman` writes one line at level DEBUG for each request to a machine. `avma.resources` and `avma.diagnosis` write
one line at level INFO for each decision and each check.
"""

from __future__ import annotations

import logging
import sys
import threading
import traceback
from collections.abc import Callable
from types import TracebackType


def to_stderr(redact: Callable[[str], str], level: int = logging.WARNING) -> None:
    """Write all redacted lines of at least that level to standard error, tracebacks included."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setLevel(level)
    handler.setFormatter(_RedactingFormatter(redact))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("avma").setLevel(min(level, logging.WARNING))
    logging.captureWarnings(True)


def to_handler(handler: logging.Handler) -> None:
    """Pass all lines of the core to a handler as well. The handler must redact them."""
    core = logging.getLogger("avma")
    core.addHandler(handler)
    core.setLevel(logging.DEBUG)


def hide_texts_of_bugs() -> None:
    """Report unhandled exceptions of this process without their texts, which can contain secrets.

    Python prints them unredacted, also those of threads, finalizers and faulty log lines.
    """
    sys.excepthook = lambda kind, _, trace: _report(kind, trace)
    threading.excepthook = lambda bug: _report(bug.exc_type, bug.exc_traceback)
    sys.unraisablehook = lambda bug: _report(bug.exc_type, bug.exc_traceback)
    logging.raiseExceptions = False


def _report(kind: type[BaseException], trace: TracebackType | None) -> None:
    if issubclass(kind, Exception):
        frames = "".join(traceback.format_tb(trace))
        print(f"unexpected error ({kind.__name__})\n{frames}", file=sys.stderr)


class _RedactingFormatter(logging.Formatter):
    def __init__(self, redact: Callable[[str], str]) -> None:
        super().__init__("%(levelname)s %(name)s: %(message)s")
        self._redact = redact

    def format(self, record: logging.LogRecord) -> str:
        return self._redact(super().format(record))
