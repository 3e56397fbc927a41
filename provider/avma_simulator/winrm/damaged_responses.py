"""HTTP responses that are damaged on their way to the client, for fault rules."""

from __future__ import annotations

import asyncio

from aiohttp import web

from avma_simulator.winrm.wsman_service import Reply

_PAUSE = 1.0
"""Seconds between two bytes of a response that drips."""


class _Damaged(web.Response):
    """A response with a body of bytes."""

    @property
    def content(self) -> bytes:
        """The body."""
        return self.body if isinstance(self.body, bytes) else b""


class _Partial(_Damaged):
    """A response whose connection ends in the middle of its body."""

    async def write_eof(self, data: bytes = b"") -> None:
        """Write the first half of the body, and close the connection. Called by aiohttp."""
        await self.write(self.content[: len(self.content) // 2])
        if self._req is not None and self._req.transport is not None:
            self._req.transport.close()


class _Dripping(_Damaged):
    """A response whose body comes byte by byte."""

    async def write_eof(self, data: bytes = b"") -> None:
        """Write the body with pauses. Called by aiohttp."""
        for byte in self.content:
            await self.write(bytes([byte]))
            await asyncio.sleep(_PAUSE)
        await super().write_eof()


_KINDS: dict[str | None, type[web.Response]] = {None: web.Response, "truncated": _Partial, "drip": _Dripping}


def response_of(reply: Reply, body: bytes, content_type: str) -> web.Response:
    """Return the response of a reply, with its damage."""
    return _KINDS[reply.damage](status=reply.status, body=body, headers={"Content-Type": content_type})
