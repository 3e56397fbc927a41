"""The HTTP adapter below both WinRM libraries: limits for each call, and facts about each answer.

requests reads an answer to its end, however long it is, and its timeout restarts with each byte. Name resolution and
the Kerberos libraries have timeouts of their own. So each call runs in a thread that its caller can leave in time, and
the adapter ends its connections. The adapter also keeps the facts that the libraries do not report, such as the type
of an answer.
"""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar, cast
from urllib.request import parse_http_list
from weakref import WeakSet

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool

from avma.cancellation import Cancellation
from avma.deadline import RunIsOver, TimeIsOver, within

LARGEST_ANSWER = 8 * 512_000
"""Bytes after decompression. A WinRM envelope stays far below, even encrypted and in UTF-8 (MaxEnvelopeSizekb 500)."""

_SEALED_TYPES = ("multipart/encrypted", "multipart/x-multi-encrypted")
_WINRM_TYPES = ("application/soap+xml", "multipart/", "text/xml", "application/xml")
_WINRM_STATUSES = frozenset({200, 202, 204, 400, 401, 500})
"""The statuses of a WinRM service. The libraries get no other answers, because they would fail in their own ways."""
_HTTP_SYS = "microsoft-httpapi"
_SCHEME = re.compile(r"([\w!#$%&'*+.^`|~-]+)(?:\s+(?!=)|\Z)", re.ASCII)
"""The name of a scheme. It does not match a parameter of the scheme before it, such as `realm="x"`."""


class AnswerTooLarge(requests.exceptions.RequestException):
    """An answer is longer than any of WinRM's."""


class NothingAwaited(requests.exceptions.RequestException):
    """The time is over, and the call was not waiting for an HTTP answer."""


class HttpStatus(Exception):
    """The service returned a status without SOAP. `code` is the status."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


_T = TypeVar("_T")


class Adapter(HTTPAdapter):
    """An adapter for one connection to a machine. It sends one request at a time.

    It limits the size and duration of each answer, and keeps facts about the last one.
    """

    def __init__(self, context: ssl.SSLContext | None) -> None:
        self._context = context
        self._lock = threading.Lock()
        self._sockets: WeakSet[socket.socket] = WeakSet()
        self._response: requests.Response | None = None
        self._holds_message = False
        self._connecting = False
        self._awaiting = False
        self._expired = False
        self.connects = 0
        """The number of connections that the adapter began to open."""
        self.connected = False
        """Whether the adapter opened a connection."""
        self.carried = False
        """Whether a message went to the machine since `run` began, so that the machine may have acted on it."""
        self.status = 0
        """The HTTP status of the last answer, or 0 if the last request had none."""
        self.empty = False
        """Whether the last answer had no body."""
        self.offered = ""
        """The authentication schemes in the last 401 answer."""
        self.foreign_type = ""
        """The media type of the last answer, if it is not one of WinRM's."""
        self.sealed = False
        """Whether the last answer declares that it is encrypted. The libraries accept answers that do not."""
        self.accepted = False
        """Whether a request succeeded, so the sign-in did."""
        self.turned_away = False
        """Whether a message of the last `run` got 401 after the sign-in had succeeded."""
        self.from_windows = False
        """Whether the last answer declares that it is from http.sys, Windows' own HTTP service."""
        super().__init__()

    def run(self, call: Callable[[], _T], seconds: float, cancellation: Cancellation) -> _T:
        """Return the result of a call that sends with this adapter, within that many seconds.

        A late call cannot send anything more, and the adapter ends its connections. The same holds if the user stops
        the run.

        Raises:
            ConnectTimeout: the time is over, and no connection was opened.
            ReadTimeout: the time is over, and the answer was not complete.
            NothingAwaited: the time is over, and the call was waiting for something else.
            RunIsOver: the user stopped the run.
        """
        self.carried, self.turned_away = False, False
        try:
            return within(seconds, call, cancellation)
        except TimeIsOver:
            raise self._end() from None
        except RunIsOver:
            self._end()
            raise

    def init_poolmanager(self, *arguments: Any, **keywords: Any) -> None:
        """Create the pools, with the TLS context. The adapter can count and end their connections. Called by requests.

        Closing the adapter closes their idle connections. urllib3 leaves that to the garbage collector, which never
        does it: a pool is reachable from its own finalizer, through a connection and this adapter.
        """
        super().init_poolmanager(*arguments, ssl_context=self._context, **keywords)
        self.poolmanager.pools.dispose_func = HTTPConnectionPool.close
        pools = self.poolmanager.pool_classes_by_scheme
        self.poolmanager.pool_classes_by_scheme = {scheme: self._watching(pool) for scheme, pool in pools.items()}

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        """Leave trust to the context. requests would add certifi's authorities to the declared ones."""
        conn.cert_reqs = "CERT_REQUIRED" if verify else "CERT_NONE"

    def send(self, *arguments: Any, **keywords: Any) -> requests.Response:
        """Send a request. Called by requests.

        Raises:
            HttpStatus: WinRM never returns the status of the answer.
            RequestException: no answer came.
        """
        self.status, self.empty, self.foreign_type, self.sealed = 0, False, "", False
        self._check()
        request = arguments[0] if arguments else keywords["request"]
        self._awaiting, self._holds_message = True, bool(request.body)
        try:
            response = super().send(*arguments, **keywords)
        finally:
            self._awaiting = False
        self._response = response
        self._note(response)
        if self.status not in _WINRM_STATUSES:
            raise HttpStatus(self.status)
        return response

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

    def close(self) -> None:
        """Close the connections, including that of an unread answer."""
        if self._response is not None:
            self._response.close()
        super().close()

    def _note(self, response: requests.Response) -> None:
        """Keep the facts of an answer."""
        self.status = response.status_code
        self.empty = response.headers.get("Content-Length") == "0"
        self.from_windows = response.headers.get("Server", "").lower().startswith(_HTTP_SYS)
        media_type = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        self.sealed = media_type in _SEALED_TYPES
        self.foreign_type = "" if media_type.startswith(_WINRM_TYPES) else media_type
        self.accepted |= response.status_code < requests.codes.multiple_choices
        if response.status_code == requests.codes.unauthorized:
            self.offered = ", ".join(schemes(response.raw.headers.getlist("WWW-Authenticate")))
            # RFC 9110, 15.5.2: the request was not applied
            self.turned_away |= self.accepted and self.carried
            self.carried = False

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
        # urllib3 has no hook for this: it creates connections from the class, and closes them only between requests.
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


def adapt(session: requests.Session, adapter: Adapter, insecure: bool) -> None:
    """Make a session use the adapter, take nothing from the environment, and follow no redirects.

    The environment could provide proxies, trusted authorities, and accounts from `~/.netrc`.
    """
    session.trust_env = False
    session.proxies = {}
    session.max_redirects = 0
    session.verify = not insecure
    session.mount("https://", adapter)
    session.mount("http://", adapter)


def schemes(headers: Iterable[str]) -> tuple[str, ...]:
    """Return the authentication schemes in `WWW-Authenticate` in order, each once (RFC 9110, 11.3 and 11.6.1).

    A header can contain several challenges, and a realm can contain commas.
    """
    parts = (part for header in headers for part in parse_http_list(header))
    found = (_SCHEME.match(part) for part in parts)
    return tuple(dict.fromkeys(match[1] for match in found if match))
