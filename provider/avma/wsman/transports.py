"""What a transport is to the pipe, and what all of them have in common: HTTP that takes nothing from the environment.

A transport carries bytes over one authenticated connection. Which library does it is known to the module of each.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

import requests

from avma.wsman.bounded import BoundedAdapter
from avma.wsman.challenges import schemes

_T = TypeVar("_T")

_SEALED_TYPES = ("multipart/encrypted", "multipart/x-multi-encrypted")
_WINRM_TYPES = ("application/soap+xml", "multipart/", "text/xml", "application/xml")


_WINRM_STATUSES = frozenset({200, 202, 204, 400, 401, 500})
"""What a WinRM service answers with. Nothing else is shown to the libraries, which would fail in their own ways."""
_HTTP_SYS = "microsoft-httpapi"


class HttpStatus(Exception):
    """The service answered with a status that carries no SOAP; `code` is it."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


def answered(code: int, text: str | None) -> bytes:
    """Return the SOAP fault that came with a status of failure; Windows sends faults with 500, others with 400 too.

    Raises:
        HttpStatus: there is none.
    """
    server_error, bad_request = requests.codes.server_error, requests.codes.bad_request
    if text and (code == server_error or (code == bad_request and "Envelope" in text)):
        return text.encode()
    raise HttpStatus(code)


class NotAuthenticated(Exception):
    """The service answered 401 to a logon, or offered no way of logging on that goes with it."""


class Transport(Protocol):
    """One authenticated connection to a WinRM service."""

    def send(self, message: bytes, timeout: tuple[float, float]) -> bytes:
        """Send a message and return the answer; `timeout` is seconds to connect and seconds between bytes.

        Raises:
            HttpStatus: the answer is not SOAP; 400 says that the message could not be unsealed.
            NotAuthenticated: the logon was refused.
            Exception: whatever else the library makes of a failure.
        """

    def close(self) -> None:
        """End the connection."""


class Adapter(BoundedAdapter):
    """Carries the requests of one connection by its own TLS context, and notes what the last answer said of itself."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        self.status = 0
        """The HTTP status of the last answer; 0 when there was none to the last request."""
        self.empty = False
        """Whether the last answer had nothing but its head."""
        self.offered = ""
        """The ways to log on that the last answer with 401 named."""
        self.foreign_type = ""
        """The media type of the last answer, where it is not one of WinRM's."""
        self.sealed = False
        """Whether the last answer says that it is sealed; a library takes one that does not as it is."""
        self.accepted = False
        """Whether a request was answered with success, so that the sign-in went well."""
        self.turned_away = False
        """Whether a message of the last `run` was answered with 401 although the sign-in had gone well."""
        self.from_windows = False
        """Whether the last answer says that it comes from http.sys, Windows' own HTTP service."""
        self._response: requests.Response | None = None
        super().__init__()

    def init_poolmanager(self, *arguments: Any, **keywords: Any) -> None:
        """Make the pool of connections, with the TLS context."""
        super().init_poolmanager(*arguments, ssl_context=self._context, **keywords)

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        """Leave trust to the context; requests would add the authorities of certifi to those that are declared."""
        conn.cert_reqs = "CERT_REQUIRED" if verify else "CERT_NONE"

    def run(self, call: Callable[[], _T], seconds: float) -> _T:
        """Return what a call returns that sends by this adapter; see `BoundedAdapter.run`."""
        self.turned_away = False
        return super().run(call, seconds)

    def send(self, *arguments: Any, **keywords: Any) -> requests.Response:
        """Send one request.

        Raises:
            HttpStatus: the answer has a status that WinRM does not use.
        """
        self.status, self.empty, self.foreign_type, self.sealed = 0, False, "", False
        response = super().send(*arguments, **keywords)
        self._response = response
        self._note(response)
        if self.status not in _WINRM_STATUSES:
            raise HttpStatus(self.status)
        return response

    def _note(self, response: requests.Response) -> None:
        """Keep what an answer says of itself."""
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
        """Close the connections, that of an answer which nobody has read included."""
        if self._response is not None:
            self._response.close()
        super().close()


def adapt(session: requests.Session, adapter: Adapter, insecure: bool) -> None:
    """Let a session use the adapter, take nothing from the environment, and follow no redirect.

    The environment would give proxies, authorities to trust, and accounts from `~/.netrc`.
    """
    session.trust_env = False
    session.proxies = {}
    session.max_redirects = 0
    session.verify = not insecure
    session.mount("https://", adapter)
    session.mount("http://", adapter)
