"""The interface of the transports, and their common part: HTTP without any influence of the environment.

A transport carries bytes over one authenticated connection. Each has its own module, with its own library.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import requests

from avma.connection import Connection
from avma.context import Context
from avma.wsman.bounded import BoundedAdapter
from avma.wsman.challenges import schemes

_T = TypeVar("_T")

_SEALED_TYPES = ("multipart/encrypted", "multipart/x-multi-encrypted")
_WINRM_TYPES = ("application/soap+xml", "multipart/", "text/xml", "application/xml")


_WINRM_STATUSES = frozenset({200, 202, 204, 400, 401, 500})
"""The statuses of a WinRM service. The libraries get no other answers, because they would fail in their own ways."""
_HTTP_SYS = "microsoft-httpapi"


class HttpStatus(Exception):
    """The service returned a status without SOAP. `code` is the status."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


def answered(code: int, text: str | None) -> bytes:
    """Return the SOAP fault of a failure status. Windows sends faults with 500. Other services also use 400.

    Raises:
        HttpStatus: there is no fault.
    """
    server_error, bad_request = requests.codes.server_error, requests.codes.bad_request
    if text and (code == server_error or (code == bad_request and "Envelope" in text)):
        return text.encode()
    raise HttpStatus(code)


class NotAuthenticated(Exception):
    """The service returned 401 to a sign-in, or offers no matching authentication method."""


class HttpTransport(Protocol):
    """One authenticated connection to a WinRM service."""

    def send(self, message: bytes, timeout: tuple[float, float]) -> bytes:
        """Send a message and return the answer. `timeout` is the seconds to connect and the seconds between bytes.

        Raises:
            HttpStatus: the answer is not SOAP. 400 means that the machine could not decrypt the message.
            NotAuthenticated: the sign-in failed.
            Exception: any other failure, as the library raises it.
        """

    def close(self) -> None:
        """Close the connection."""


class Adapter(BoundedAdapter):
    """An adapter for the requests of one connection, with its own TLS context and the facts of the last answer."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
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
        self._response: requests.Response | None = None
        super().__init__()

    def init_poolmanager(self, *arguments: Any, **keywords: Any) -> None:
        """Create the pool of connections, with the TLS context."""
        super().init_poolmanager(*arguments, ssl_context=self._context, **keywords)

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        """Leave trust to the context. requests would add certifi's authorities to the declared ones."""
        conn.cert_reqs = "CERT_REQUIRED" if verify else "CERT_NONE"

    def run(self, call: Callable[[], _T], seconds: float) -> _T:
        """Return the result of a call that sends with this adapter. See `BoundedAdapter.run`."""
        self.turned_away = False
        return super().run(call, seconds)

    def send(self, *arguments: Any, **keywords: Any) -> requests.Response:
        """Send one request.

        Raises:
            HttpStatus: WinRM never returns the status of the answer.
        """
        self.status, self.empty, self.foreign_type, self.sealed = 0, False, "", False
        response = super().send(*arguments, **keywords)
        self._response = response
        self._note(response)
        if self.status not in _WINRM_STATUSES:
            raise HttpStatus(self.status)
        return response

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

    def close(self) -> None:
        """Close the connections, including that of an unread answer."""
        if self._response is not None:
            self._response.close()
        super().close()


@dataclass(frozen=True)
class HttpExchange:
    """One message and its answer: the connection, the adapter with the facts of the answer, and the operation."""

    connection: Connection
    adapter: Adapter
    context: Context


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
