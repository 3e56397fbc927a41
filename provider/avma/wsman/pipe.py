"""One authenticated, sealed connection to a WinRM service: SOAP bytes in, SOAP bytes out.

This is the only module that knows pywinrm, and with it requests. It covers what pywinrm leaves open: a sealed
connection that the server dropped is made anew (pywinrm would send the body sealed with the old key), every exception
of the libraries becomes one of `avma.errors`, and nothing is taken from the environment. A pipe belongs to one thread
at a time.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
from typing import Any, Protocol, cast

import certifi
import requests
from winrm.exceptions import InvalidCredentialsError, WinRMTransportError
from winrm.transport import Transport

from avma import errors
from avma.connection import Connection
from avma.deadline import Deadline
from avma.wsman.bounded import LARGEST_ANSWER, AnswerTooLarge, BoundedAdapter

_ANSWER_MARGIN = 10.0
"""Seconds that an answer may come after the operation's own timeout, for the way there and back."""
_LAST_CHANCE = 1.0
"""Seconds that an answer may come after the deadline."""
_SEALING_FAILED = 400
_SOAP_FAULT = 500


class Pipe(Protocol):
    """What carries SOAP messages to one machine."""

    def send(self, message: bytes, deadline: Deadline, tried: str) -> bytes:
        """Send a message and return the answer, which may be a SOAP fault.

        Raises:
            AvmaError: there is no such answer.
        """

    def close(self) -> None:
        """End the connection."""


class WinrmPipe:
    """A pipe over pywinrm's transport: NTLM with sealing or channel binding, Basic over TLS."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._transport: _Transport | None = None

    def send(self, message: bytes, deadline: Deadline, tried: str) -> bytes:
        """Send a message; see `Pipe.send`. After `AnswerLost` it is not known whether it acted."""
        deadline.check(tried, self._connection.where)
        fresh = self._transport is None
        try:
            return self._exchange(message, deadline)
        except WinRMTransportError as error:
            self.close()
            if error.code != _SEALING_FAILED or fresh:
                raise self._http_error(error.code, tried) from error
        except Exception as error:
            # pywinrm, requests-ntlm, pyspnego and urllib3 each leak exceptions of their own kind
            self.close()
            raise self._to_error(error, tried, deadline) from error
        # The machine could not read the message, so it did not act: it had dropped the sealed connection.
        return self.send(message, deadline, tried)

    def close(self) -> None:
        """End the connection; the next message makes a new one."""
        transport, self._transport = self._transport, None
        if transport is not None:
            with contextlib.suppress(Exception):
                transport.close_session()

    def _exchange(self, message: bytes, deadline: Deadline) -> bytes:
        transport = self._transport or self._connect()
        self._transport = transport
        left = deadline.remaining()
        connect = max(0.1, min(self._connection.connect_timeout, left))
        read = min(self._connection.operation_timeout + _ANSWER_MARGIN, left + _LAST_CHANCE)
        # requests takes a pair, connect and read; pywinrm hands it through, and declares a number
        cast(Any, transport).read_timeout_sec = (connect, read)
        try:
            with transport.adapter.within(left + _LAST_CHANCE):
                return transport.send_message(message)
        except WinRMTransportError as error:
            text = error.response_text
            if text and (error.code == _SOAP_FAULT or (error.code == _SEALING_FAILED and "Envelope" in text)):
                return text.encode()
            raise

    def _connect(self) -> _Transport:
        connection = self._connection
        username, password = connection.username, connection.password
        if connection.auth.value == "basic":
            # requests would encode text as Latin-1, which not every password is
            username, password = cast(str, username.encode()), cast(str, password.encode())
        return _Transport(
            endpoint=connection.endpoint,
            username=username,
            password=password,
            auth_method=connection.auth.value,
            server_cert_validation="ignore" if connection.insecure else "validate",
            ca_trust_path=self._authorities(),
            proxy=None,
            message_encryption="auto",
        )

    def _authorities(self) -> str:
        """Return the file of the certificate authorities to trust.

        Raises:
            InvalidInput: the file that is declared cannot be used.
        """
        path, prefix = self._connection.ca_cert, self._connection.prefix
        if path is None or not self._connection.https:
            return certifi.where()
        try:
            ssl.create_default_context(cafile=path)
        except OSError as error:  # an SSLError is one
            reason = "holds no certificate in PEM form" if isinstance(error, ssl.SSLError) else "cannot be read"
            answer = f"the file `{path}` in `{prefix}caCert` {reason}"
            remedy = f"set `{prefix}caCert` to the PEM file of the authority that signed the machine's certificate"
            raise errors.InvalidInput("open a connection", self._connection.where, answer, remedy) from error
        return path

    def _http_error(self, code: int, tried: str) -> errors.AvmaError:
        where = self._connection.where
        if code == _SOAP_FAULT:
            answer = "HTTP 500 without a message"
            remedy = "the WinRM service there refuses unencrypted messages: set `{}auth: ntlm` or `{}https: true`"
            remedy = remedy.format(self._connection.prefix, self._connection.prefix)
            return errors.UnexpectedAnswer(tried, where, answer, remedy)
        remedy = "check that address and port are those of the WinRM service (wsman)"
        return errors.UnexpectedAnswer(tried, where, f"HTTP {code} instead of a WinRM answer", remedy)

    def _to_error(self, error: Exception, tried: str, deadline: Deadline) -> errors.AvmaError:
        if isinstance(error, errors.AvmaError):
            return error
        if isinstance(error, (InvalidCredentialsError, PermissionError)):
            return self._logon_error(error, tried)
        if isinstance(error, AnswerTooLarge):
            remedy = "check that address and port are those of the WinRM service (wsman)"
            answer = f"an answer of more than {LARGEST_ANSWER // 1_000_000} MB"
            return errors.UnexpectedAnswer(tried, self._connection.where, answer, remedy)
        if isinstance(error, requests.exceptions.SSLError):
            return self._tls_error(error, tried)
        if isinstance(error, requests.exceptions.RequestException):
            return self._network_error(error, tried)
        answer = f"an answer that is not WinRM's ({type(error).__name__})"
        remedy = "check that address and port are those of the WinRM service (wsman)"
        return errors.UnexpectedAnswer(tried, self._connection.where, answer, remedy)

    def _logon_error(self, error: Exception, tried: str) -> errors.LogonRefused:
        connection = self._connection
        offered = _offered(error)
        scheme = "Basic" if connection.auth.value == "basic" else "Negotiate"
        if offered and scheme.lower() not in offered.lower():
            answer = f"the service does not offer `{connection.auth.value}`, only {offered}"
            remedy = f"set `{connection.prefix}auth` to a way to log on that it offers"
            return errors.LogonRefused(tried, connection.where, answer, remedy)
        answer = f"the logon of {connection.username} was refused (401)"
        remedy = "check user name and password, and that the account may log on over the network"
        if connection.https:
            remedy += "; a TLS-inspecting proxy in between looks the same"
        return errors.LogonRefused(tried, connection.where, answer, remedy)

    def _tls_error(self, error: Exception, tried: str) -> errors.AvmaError:
        text = str(error)
        where, prefix = self._connection.where, self._connection.prefix
        reasons = (
            (
                "Hostname mismatch",
                "its certificate is for another name",
                "connect by a name in the certificate",
            ),
            (
                "IP address mismatch",
                "its certificate is for another name",
                "connect by a name in the certificate",
            ),
            ("has expired", "its certificate has expired", "renew the certificate of the WinRM listener"),
            (
                "CERTIFICATE_VERIFY_FAILED",
                "its certificate is from an authority that is not trusted here",
                f"set `{prefix}caCert` to the authority's PEM file (or, in a lab only, `{prefix}insecure: true`)",
            ),
        )
        for mark, answer, remedy in reasons:
            if mark in text:
                return errors.CertificateNotTrusted(tried, where, answer, remedy)
        remedy = f"check that the port is that of a WinRM https listener, or set `{prefix}https: false`"
        return errors.Unreachable(tried, where, "the service there does not speak TLS", remedy)

    def _network_error(self, error: Exception, tried: str) -> errors.Unreachable:
        where, address = self._connection.where, self._connection.address
        cause = _root(error)
        if isinstance(error, requests.exceptions.TooManyRedirects):
            remedy = "check that address and port are those of the WinRM service (wsman)"
            return errors.Unreachable(tried, where, "the service there answers with a redirect", remedy)
        if isinstance(error, requests.exceptions.ConnectTimeout):
            answer = f"no connection within {self._connection.connect_timeout:.0f} s"
            return errors.Unreachable(
                tried, where, answer, "check the address, the firewall, and that the machine is on"
            )
        if isinstance(cause, socket.gaierror):
            answer = f"the name {address} cannot be resolved"
            return errors.Unreachable(
                tried,
                where,
                answer,
                f"check the name, or give the address in `{self._connection.prefix or 'connection.'}address`",
            )
        if isinstance(cause, ConnectionRefusedError):
            answer = "the connection was refused: nothing listens on that port"
            remedy = "check the port, and run `winrm quickconfig` on the machine if WinRM is not set up there"
            return errors.Unreachable(tried, where, answer, remedy)
        if isinstance(error, requests.exceptions.ReadTimeout):
            answer = "the connection was made, but no answer came in time"
            remedy = "check that the machine is not overloaded or restarting, then run again"
            return errors.AnswerLost(tried, where, answer, remedy)
        remedy = "check that the machine is not restarting and that the port is WinRM's, then run again"
        return errors.AnswerLost(tried, where, "the connection broke off", remedy)


class _Transport(Transport):
    """pywinrm's transport, which would follow a redirect and log on wherever it leads, and read for ever."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.adapter = BoundedAdapter()

    def _send_message_request(
        self, session: requests.Session, prepared_request: requests.PreparedRequest
    ) -> requests.Response:
        session.max_redirects = 0
        session.mount(self.endpoint, self.adapter)
        return super()._send_message_request(session, prepared_request)


def _root(error: BaseException) -> BaseException:
    """Return the system's own exception below those that the libraries wrapped around it."""
    seen: list[BaseException] = []
    queue: list[BaseException] = [error]
    while queue:
        current = queue.pop(0)
        if isinstance(current, OSError) and not isinstance(current, requests.exceptions.RequestException):
            return current
        seen.append(current)
        inner = [current.__cause__, current.__context__, getattr(current, "reason", None), *current.args]
        queue += [e for e in inner if isinstance(e, BaseException) and e not in seen]
    return error


def _offered(error: BaseException) -> str:
    """Return the ways to log on that the service named in its 401 answer."""
    context = error.__context__
    if not isinstance(context, requests.exceptions.HTTPError) or context.response is None:
        return ""
    header = context.response.headers.get("WWW-Authenticate", "")
    return ", ".join(part.split()[0] for part in header.split(",") if part.split())
