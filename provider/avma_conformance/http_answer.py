"""An HTTP answer below WS-Management, and its text in reports."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from avma.recording.envelope import NOT_XML
from avma.recording.recorder import Anonymous

_CHALLENGE = "www-authenticate"
_SHOWN = frozenset({"content-type", "content-length", "connection", "server", "transfer-encoding"})
"""The headers whose values a report shows."""


@dataclass(frozen=True)
class HttpAnswer:
    """An HTTP answer: its status, its headers and its body."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def __str__(self) -> str:
        return f"HTTP {self.status} {'with' if self.body else 'without'} a body"

    @property
    def media_type(self) -> str:
        """The media type in lower case, without its parameters."""
        return next(iter(self._values("content-type")), "").partition(";")[0].strip().lower()

    @property
    def server(self) -> str:
        """The name of the server. Empty without the header."""
        return next(iter(self._values("server")), "")

    @property
    def challenges(self) -> tuple[str, ...]:
        """The values of WWW-Authenticate."""
        return self._values(_CHALLENGE)

    def _values(self, name: str) -> tuple[str, ...]:
        return tuple(value for each, value in self.headers if each.lower() == name)

    def report(self, exchanges: Anonymous) -> str:
        """Return the answer for a report: without tokens, names and secrets."""
        return "\n".join(self._lines(exchanges))

    def _lines(self, exchanges: Anonymous) -> Iterator[str]:
        yield f"HTTP {self.status}"
        for name, value in self.headers:
            if name.lower() == _CHALLENGE:
                scheme, _, token = value.partition(" ")
                yield f"{name}: {scheme}{' [token]' if token else ''}"
            else:
                yield f"{name}: {exchanges.text(value) if name.lower() in _SHOWN else '[value]'}"
        if self.body:
            shown = exchanges.message(self.body)
            yield from ("", f"[{len(self.body)} bytes, not XML]" if shown == NOT_XML else shown)
