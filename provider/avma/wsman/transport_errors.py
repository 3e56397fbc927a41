"""Conversion of the libraries' exceptions to the errors of `avma.errors`, each with its remedy.

pywinrm, pypsrp, requests-ntlm, pyspnego, gssapi and urllib3 each have exceptions of their own. This module
distinguishes them, once for all transports.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from http.client import BadStatusLine, HTTPException, LineTooLong, RemoteDisconnected, UnknownProtocol

import requests

from avma import errors
from avma.connection import Connection, account_settings
from avma.deadline import CANCELED, RunIsOver, text_of
from avma.errors import Distrust
from avma.settings import AUTH_METHODS, HTTP_PORT, Auth, offered_methods
from avma.wording import CONTINUE, RUN_AGAIN
from avma.wsman import http_answers, kerberos, tls
from avma.wsman.envelope import CHECK_PORT
from avma.wsman.http_adapter import LARGEST_ANSWER, Adapter, AnswerTooLarge, HttpStatus, NothingAwaited
from avma.wsman.transports import HttpExchange, NotAuthenticated

_FIRST_FAILURE, _UNAUTHORIZED = 400, 401
_WITH_PAGES = (200, 400, 403, 500)
"""The statuses with which proxies and web servers send their pages."""
_CERTIFICATE_PROBLEMS = (
    ("mismatch", Distrust.NAME, "its certificate is for another name", ""),
    ("has expired", Distrust.EXPIRED, "its certificate has expired", "renew the certificate of the WinRM listener"),
    (
        "not yet valid",
        Distrust.NOT_YET_VALID,
        "its certificate is not valid yet",
        "check the clocks of this computer and of the machine",
    ),
    (
        "CERTIFICATE_VERIFY_FAILED",
        Distrust.ISSUER,
        "its certificate is from an untrusted authority",
        "",
    ),
)
_NO_TLS = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST", "UNKNOWN_PROTOCOL", "PACKET_LENGTH_TOO_LONG")
"""OpenSSL's reasons for an answer to its hello that is not TLS."""


def to_error(error: Exception, exchange: HttpExchange) -> errors.AvmaError:
    """Return the error of `avma.errors` for an exception of a transport.

    Raises:
        Exception: the exception itself, if it came before a connection was opened. No machine can be its cause.
    """
    if isinstance(error, errors.AvmaError):
        return error
    if isinstance(error, RunIsOver):
        return _canceled(exchange)
    if isinstance(error, (NotAuthenticated, PermissionError)) and not _failed(exchange.adapter):
        lost = exchange.adapter.accepted and exchange.adapter.turned_away
        return http_answers.session_lost(exchange) if lost else _logon(exchange)
    if isinstance(error, requests.exceptions.RequestException):
        return _of_requests(error, exchange)
    return _of_answer(error, exchange)


def _canceled(exchange: HttpExchange) -> errors.AvmaError:
    """Return the error for a message whose answer nobody awaits any more."""
    if exchange.adapter.carried:
        answer = f"{CANCELED} before the machine answered"
        return exchange.context.error(errors.AnswerLost, answer, CONTINUE)
    return exchange.context.error(errors.Cancelled, CANCELED, CONTINUE)


def _of_requests(error: requests.exceptions.RequestException, exchange: HttpExchange) -> errors.AvmaError:
    """Return the error for an exception of requests, or of our adapter below it."""
    if isinstance(error, AnswerTooLarge):
        answer = f"the answer is larger than {LARGEST_ANSWER // 1_000_000} MB"
        return exchange.context.error(errors.UnexpectedAnswer, answer, CHECK_PORT)
    by_ticket = AUTH_METHODS[exchange.connection.auth].kdc
    if isinstance(error, NothingAwaited) and by_ticket and not exchange.adapter.carried:
        return exchange.context.error(errors.LogonRefused, *kerberos.silent(exchange.connection), errors.Refusal.TICKET)
    if isinstance(error, requests.exceptions.SSLError):
        return _tls(error, exchange)
    if any(map(_is_no_http, _chain(error))):
        return http_answers.not_http(exchange)
    return _network(error, exchange)


def _of_answer(error: Exception, exchange: HttpExchange) -> errors.AvmaError:
    """Return the error for an answer that the libraries rejected: by its status, its type, or its encryption."""
    adapter = exchange.adapter
    if isinstance(error, HttpStatus) and error.code == requests.codes.bad_request and adapter.turned_away:
        return http_answers.session_lost(exchange)
    if adapter.foreign_type and adapter.status in _WITH_PAGES:
        return http_answers.foreign(exchange)
    if isinstance(error, HttpStatus):
        return http_answers.status_error(error.code, exchange)
    if adapter.carried and adapter.status and (adapter.sealed or isinstance(error, kerberos.KerberosError)):
        return http_answers.changed(exchange)
    if isinstance(error, kerberos.KerberosError):
        refusal = errors.Refusal.KDC if error.rejected else errors.Refusal.TICKET
        return exchange.context.error(errors.LogonRefused, error.answer, error.remedy, refusal)
    if _failed(adapter):
        return http_answers.status_error(adapter.status, exchange)
    if not adapter.connects:
        raise error
    return http_answers.unreadable(exchange)


def set_up(connection: Connection) -> str:
    """Return the remedy for a machine without a WinRM listener. `winrm quickconfig` alone opens only http."""
    if not connection.https:
        return "if WinRM is not set up, run `winrm quickconfig` on the machine"
    return (
        "if WinRM is not set up, run `winrm quickconfig` on the machine; it opens only http (port "
        f"{HTTP_PORT}), so set {connection.setting('https', False)} after it, or create an https listener with "
        "`winrm quickconfig -transport:https`, which needs a certificate"
    )


def uses_tls(connection: Connection) -> tuple[str, str]:
    """Return the answer and the remedy for a service that uses TLS, contrary to the settings."""
    https, port = connection.setting("https", True), connection.setting("port")
    answer = f"the service uses TLS, but {connection.setting('https', False)} is set"
    return answer, f"set {https}, or set {port} to that of an http listener"


def _failed(adapter: Adapter) -> bool:
    """Return True if the last status is a failure other than 401, which requests a sign-in."""
    return adapter.status >= _FIRST_FAILURE and adapter.status != _UNAUTHORIZED


def _logon(exchange: HttpExchange) -> errors.LogonRefused:
    connection = exchange.connection
    auth, method = connection.auth, AUTH_METHODS[connection.auth]
    offered = exchange.adapter.offered.lower().split(", ")
    if method.schemes and not any(scheme.lower() in offered for scheme in method.schemes):
        return _not_offered(exchange)
    if auth is Auth.CERTIFICATE:
        answer = "the service rejected the client certificate (401)"
        remedy = (
            "map the certificate to an account on the machine (`winrm enumerate winrm/config/service/certmapping` "
            f"lists the mappings); enable certificate authentication on the machine with {_switch(auth)}"
        )
        return exchange.context.error(errors.LogonRefused, answer, remedy)
    who = connection.username or "the Kerberos account"
    account = account_settings(connection.prefix, connection.sources)
    remedy = f"check {account}; check that the account may sign in over the network"
    if auth is Auth.KERBEROS:
        remedy = "check that the account may sign in over the network, and that the machine is still in its domain"
    if connection.https and method.binds:
        remedy += _about_the_channel(exchange)
    return exchange.context.error(errors.LogonRefused, f"the service rejected the sign-in of {who} (401)", remedy)


def _not_offered(exchange: HttpExchange) -> errors.LogonRefused:
    connection, offered = exchange.connection, exchange.adapter.offered
    auth = connection.auth
    if not offered:
        answer = "the service rejected the sign-in (401) and offers no authentication method (no WWW-Authenticate)"
        remedy = f"{CHECK_PORT}; enable `{auth.value}` on the machine with {_switch(auth)}"
        return exchange.context.error(errors.LogonRefused, answer, remedy, errors.Refusal.KIND)
    answer = f"the service does not offer `{auth.value}`, only {offered} (WWW-Authenticate)"
    others = " or ".join(f"`{other.value}`" for other in offered_methods(offered, connection.https))
    remedy = f"set {connection.setting('auth')} to {others or 'an authentication method that the service offers'}, "
    remedy += f"or enable `{auth.value}` on the machine with {_switch(auth)}"
    return exchange.context.error(errors.LogonRefused, answer, remedy, errors.Refusal.KIND)


def _switch(auth: Auth) -> str:
    """Return the PowerShell command that enables an authentication method on the machine."""
    return rf"`Set-Item WSMan:\localhost\Service\Auth\{AUTH_METHODS[auth].switch} $true` in PowerShell"


def _about_the_channel(exchange: HttpExchange) -> str:
    """Return the remedy for a sign-in that may have failed because TLS ends before the machine.

    A sign-in is bound to the TLS channel. If a proxy decrypts the traffic, it fails with the same 401 (MS-NLMP
    3.1.5.1.2, RFC 5929). Only a comparison of the two certificates shows the difference.
    """
    thumbprint = tls.thumbprint(exchange.context, exchange.connection)
    value = f", {thumbprint}" if thumbprint else ""
    return (
        "; if these checks pass, look for a proxy that decrypts TLS; compare the thumbprint from `winrm enumerate "
        "winrm/config/listener` on the machine with that of the certificate on port "
        f"{exchange.connection.port}{value}"
    )


def _tls(error: Exception, exchange: HttpExchange) -> errors.Unreachable:
    text, connection = str(error), exchange.connection
    for mark, distrust, answer, remedy in _CERTIFICATE_PROBLEMS:
        if mark in text:
            remedy = remedy or _trust(connection, distrust)
            return exchange.context.error(errors.CertificateNotTrusted, answer, remedy, distrust)
    if any(mark in text for mark in _NO_TLS) and not exchange.adapter.connected:
        remedy = _not_https(connection)
        return exchange.context.error(errors.Unreachable, "the service on that port does not use TLS", remedy)
    # the connection may have broken after the request was sent
    return _broken_off(exchange, "the TLS connection broke")


def _not_https(connection: Connection) -> str:
    return f"check that the port belongs to a WinRM https listener, or set {connection.setting('https', False)}"


def _trust(connection: Connection, distrust: Distrust) -> str:
    if distrust is Distrust.NAME:
        return f"set {connection.setting('address')} to a name from the certificate"
    return (
        f"set {connection.setting('ca_cert')} to the authority's PEM file; in a lab only, you can set "
        f"{connection.setting('insecure', True)} instead"
    )


def _network(error: Exception, exchange: HttpExchange) -> errors.Unreachable:
    connection = exchange.connection
    cause = next((part for part in _chain(error) if _is_system(part)), error)
    if isinstance(error, (requests.exceptions.Timeout, NothingAwaited)):
        return _timeout(error, exchange)
    if isinstance(cause, socket.gaierror):
        answer = f"the name {connection.address} cannot be resolved"
        remedy = f"check the name, or set {connection.setting('address')} to the IP address"
        return exchange.context.error(errors.Unreachable, answer, remedy)
    if isinstance(cause, ConnectionRefusedError):
        answer = "the connection was refused, because nothing listens on that port"
        return exchange.context.error(errors.Unreachable, answer, f"check the port; {set_up(connection)}")
    if not connection.https and not exchange.adapter.accepted and tls.thumbprint(exchange.context, connection):
        return exchange.context.error(errors.Unreachable, *uses_tls(connection))
    return _broken_off(exchange, "the connection broke")


def _timeout(error: Exception, exchange: HttpExchange) -> errors.Unreachable:
    connection = exchange.connection
    if exchange.adapter.carried:
        answer = "the machine accepted the connection but did not answer in time"
        remedy = f"check that the machine is not overloaded or restarting; then {RUN_AGAIN}"
        return exchange.context.error(errors.AnswerLost, answer, remedy)
    if isinstance(error, requests.exceptions.ReadTimeout) and connection.https and not exchange.adapter.connected:
        answer = "the machine accepted the connection but did not start TLS"
        remedy = _not_https(connection)
        return exchange.context.error(errors.Unreachable, answer, remedy)
    if isinstance(error, requests.exceptions.ReadTimeout):
        answer = "the machine accepted the connection but did not answer the sign-in in time"
        remedy = (
            "check that the machine is not overloaded or restarting, and that the port belongs to WinRM; "
            f"then {RUN_AGAIN}"
        )
        return exchange.context.error(errors.Unreachable, answer, remedy)
    deadline = exchange.context.deadline
    over = deadline.remaining() <= 0
    limit = f"before the time limit of {text_of(deadline.timeout)} expired"
    answer = f"no connection {limit}" if over else f"no connection within {text_of(connection.connect_timeout)}"
    return exchange.context.error(
        errors.Unreachable, answer, "check the address and the firewall, and check that the machine is on"
    )


def _broken_off(exchange: HttpExchange, answer: str) -> errors.Unreachable:
    remedy = f"check that the machine is not restarting, and that the port belongs to WinRM; then {RUN_AGAIN}"
    if exchange.connection.auth is Auth.CERTIFICATE:
        certificate = exchange.connection.setting("client_cert")
        remedy = f"check the dates of {certificate}, and that the machine trusts its issuer; {remedy}"
    if exchange.adapter.carried:
        return exchange.context.error(errors.AnswerLost, answer, remedy)
    return exchange.context.error(errors.Unreachable, f"{answer} before the provider sent a message", remedy)


def _is_no_http(error: BaseException) -> bool:
    malformed = isinstance(error, (BadStatusLine, LineTooLong, UnknownProtocol)) or type(error) is HTTPException
    return malformed and not isinstance(error, RemoteDisconnected)


def _is_system(error: BaseException) -> bool:
    return isinstance(error, OSError) and not isinstance(error, requests.exceptions.RequestException)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception and all exceptions that it wraps, the nearest first."""
    seen: list[BaseException] = []
    queue: list[BaseException] = [error]
    while queue:
        current = queue.pop(0)
        seen.append(current)
        yield current
        inner = [current.__cause__, current.__context__, getattr(current, "reason", None), *current.args]
        queue += [e for e in inner if isinstance(e, BaseException) and e not in seen and e not in queue]
