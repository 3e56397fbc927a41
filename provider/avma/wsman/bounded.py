"""An HTTP adapter that limits the size of each answer and the duration of each call.

requests reads an answer to its end, however long it is, and its timeout restarts with each byte. Name resolution and
the Kerberos libraries have timeouts of their own. So each call runs in a thread that its caller can leave in time.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any, TypeVar, cast
from weakref import WeakSet

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool

LARGEST_ANSWER = 8 * 512_000
"""Bytes after decompression. A WinRM envelope stays far below, even encrypted and in UTF-8 (MaxEnvelopeSizekb 500)."""

SENDER = "avma-sender"
"""The name of the threads that run calls with a time limit."""


class AnswerTooLarge(requests.exceptions.RequestException):
    """An answer is longer than any of WinRM's."""


class TimeIsOver(OSError):
    """A call did not end in time."""


class NothingAwaited(requests.exceptions.RequestException):
    """The time is over, and the call was not waiting for an HTTP answer."""


_T = TypeVar("_T")


def within(seconds: float, call: Callable[[], _T]) -> _T:
    """Return the result of a call if it ends within that many seconds. A late call continues in its own thread.

    Raises:
        TimeIsOver: the call is late.
    """
    outcome: Future[_T] = Future()
    thread = threading.Thread(target=_settle, args=(outcome, call), name=SENDER, daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        raise TimeIsOver(f"no answer within {seconds:.0f} s")
    return outcome.result()


class BoundedAdapter(HTTPAdapter):
    """An adapter that sends one request at a time, and limits the size and duration of its answer."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sockets: WeakSet[socket.socket] = WeakSet()
        self.connects = 0
        """The number of connections that the adapter began to open."""
        self.connected = False
        """Whether the adapter opened a connection."""
        self.carried = False
        """Whether a message went to the machine since `run` began, so that the machine may have acted on it."""
        self._holds_message = False
        self._connecting = False
        self._awaiting = False
        self._expired = False
        super().__init__()

    def run(self, call: Callable[[], _T], seconds: float) -> _T:
        """Return the result of a call that sends with this adapter, within that many seconds.

        A late call cannot send anything more, and the adapter ends its connections.

        Raises:
            ConnectTimeout: the time is over, and no connection was opened.
            ReadTimeout: the time is over, and the answer was not complete.
            NothingAwaited: the time is over, and the call was waiting for something else.
        """
        self.carried = False
        try:
            return within(seconds, call)
        except TimeIsOver:
            raise self._end() from None

    def init_poolmanager(self, *arguments: Any, **keywords: Any) -> None:
        """Create the pools, with connections that the adapter can count and end. Called by requests.

        Closing the adapter closes their idle connections. urllib3 leaves that to the garbage collector, which never
        does it: a pool is reachable from its own finalizer, through a connection and this adapter.
        """
        super().init_poolmanager(*arguments, **keywords)
        self.poolmanager.pools.dispose_func = HTTPConnectionPool.close
        pools = self.poolmanager.pool_classes_by_scheme
        self.poolmanager.pool_classes_by_scheme = {scheme: self._watching(pool) for scheme, pool in pools.items()}

    def send(self, *arguments: Any, **keywords: Any) -> requests.Response:
        """Send a request. Called by requests.

        Raises:
            RequestException: no answer came.
        """
        self._check()
        request = arguments[0] if arguments else keywords["request"]
        self._awaiting, self._holds_message = True, bool(request.body)
        try:
            return super().send(*arguments, **keywords)
        finally:
            self._awaiting = False

    def build_response(self, *arguments: Any) -> requests.Response:
        """Return an answer whose content raises `AnswerTooLarge` beyond the limit. Called by requests."""
        response = super().build_response(*arguments)
        read = response.iter_content

        def bounded(*arguments: Any, **keywords: Any) -> Iterator[bytes]:
            left = LARGEST_ANSWER
            self._awaiting = True
            for chunk in read(*arguments, **keywords):
                left -= len(chunk)
                if left < 0:
                    response.close()
                    raise AnswerTooLarge(f"an answer of more than {LARGEST_ANSWER} bytes")
                yield chunk
            self._awaiting = False

        cast(Any, response).iter_content = bounded
        return response

    def _check(self) -> None:
        if self._expired:
            raise requests.exceptions.ReadTimeout("the time allowed is over")

    def _late(self) -> requests.exceptions.RequestException:
        if not self._awaiting:
            return NothingAwaited("the time allowed is over")
        if self._connecting or not self.connected:
            return requests.exceptions.ConnectTimeout("the time allowed is over")
        return requests.exceptions.ReadTimeout("the time allowed is over")

    def _watching(self, pool: Any) -> Any:
        """Return the pool class, with connections that the adapter counts and can end from another thread."""
        plain = pool.ConnectionCls

        def connect(connection: HTTPConnection) -> None:
            self.connects += 1
            self._connecting = True
            plain.connect(connection)
            self._connecting, self.connected = False, True
            # Keep the socket, not the connection: http.client detaches its socket if the answer is the last one.
            with self._lock:
                self._sockets.add(cast(socket.socket, connection.sock))
            # The time may have ended before there was a socket, for example during name resolution.
            self._check()

        def send(connection: HTTPConnection, data: Any) -> None:
            if connection.sock is None and connection.auto_open:
                connection.connect()
            with self._lock:
                self._check()
                self.carried |= self._holds_message
            plain.send(connection, data)

        watched = type(plain.__name__, (plain,), {"connect": connect, "send": send})
        return type(pool.__name__, (pool,), {"ConnectionCls": watched})

    def _end(self) -> requests.exceptions.RequestException:
        """End all connections, and return an exception for the state of the call."""
        with self._lock:
            self._expired = True
            late = self._late()
            opened = list(self._sockets)
        for each in opened:
            with contextlib.suppress(OSError):
                # Not SSLSocket.shutdown: it would remove the TLS layer while another thread reads.
                socket.socket.shutdown(each, socket.SHUT_RDWR)
        return late


def _settle(outcome: Future[_T], call: Callable[[], _T]) -> None:
    try:
        outcome.set_result(call())
    except BaseException as error:  # the waiting thread raises it
        outcome.set_exception(error)
