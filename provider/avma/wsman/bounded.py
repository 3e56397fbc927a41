"""An HTTP adapter whose answers are bounded, in size and in time, whatever sends them.

requests reads an answer to its end, however long it is, and its timeout begins anew with each byte. This module knows
requests and urllib3; it knows nothing of SOAP.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from typing import Any, cast
from weakref import WeakSet

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection

LARGEST_ANSWER = 8 * 512_000
"""Bytes after decompression: sealed and in UTF-8, an envelope of WinRM stays far below (MaxEnvelopeSizekb 500)."""


class AnswerTooLarge(requests.exceptions.RequestException):
    """An answer is longer than any of WinRM's."""


class BoundedAdapter(HTTPAdapter):
    """Sends requests, one at a time, and reads no more of an answer and no longer than allowed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sockets: WeakSet[socket.socket] = WeakSet()
        self.connects = 0
        """How many connections were made."""
        self._expired = False
        super().__init__()

    @contextlib.contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Let everything that is sent in the block take so many seconds together.

        Raises:
            ReadTimeout: the time is over.
        """
        self._expired = False
        timer = threading.Timer(seconds, self._end)
        timer.daemon = True
        timer.start()
        try:
            yield
        except Exception:
            self._check()
            raise
        finally:
            timer.cancel()
            timer.join()  # one that has begun to end this would end the next
        # A connection that was ended looks like the end of an answer where its length is not known.
        self._check()

    def init_poolmanager(self, *arguments: Any, **keywords: Any) -> None:
        """Make the pools, whose connections are known here; called by requests."""
        super().init_poolmanager(*arguments, **keywords)
        pools = self.poolmanager.pool_classes_by_scheme
        self.poolmanager.pool_classes_by_scheme = {scheme: self._watching(pool) for scheme, pool in pools.items()}

    def send(self, *arguments: Any, **keywords: Any) -> requests.Response:
        """Send a request; called by requests.

        Raises:
            RequestException: no answer came.
        """
        self._check()
        return super().send(*arguments, **keywords)

    def build_response(self, *arguments: Any) -> requests.Response:
        """Return an answer whose content ends with `AnswerTooLarge` where it is too long; called by requests."""
        response = super().build_response(*arguments)
        read = response.iter_content

        def bounded(*arguments: Any, **keywords: Any) -> Iterator[bytes]:
            left = LARGEST_ANSWER
            for chunk in read(*arguments, **keywords):
                left -= len(chunk)
                if left < 0:
                    response.close()
                    raise AnswerTooLarge(f"an answer of more than {LARGEST_ANSWER} bytes")
                yield chunk

        cast(Any, response).iter_content = bounded
        return response

    def _check(self) -> None:
        if self._expired:
            raise requests.exceptions.ReadTimeout("the time allowed is over")

    def _watching(self, pool: Any) -> Any:
        """Return the pool with connections that the adapter counts, and can end from another thread."""
        plain = pool.ConnectionCls

        def connect(connection: HTTPConnection) -> None:
            self.connects += 1
            plain.connect(connection)
            # Not the connection, which http.client parts from its socket when an answer is to be the last.
            with self._lock:
                self._sockets.add(cast(socket.socket, connection.sock))
            # The time may have ended before there was a socket, while a name was looked up, say.
            self._check()

        watched = type(plain.__name__, (plain,), {"connect": connect})
        return type(pool.__name__, (pool,), {"ConnectionCls": watched})

    def _end(self) -> None:
        with self._lock:
            self._expired = True
            opened = list(self._sockets)
        for each in opened:
            with contextlib.suppress(OSError):
                # Not the method of an SSLSocket, which would take its TLS away from under the reading thread.
                socket.socket.shutdown(each, socket.SHUT_RDWR)
