"""Facts about a WinRM endpoint without a sign-in: addresses, port, certificate, authentication methods.

They help a person to find a fault. Only the pipe decides whether a connection may be used, so this module verifies
nothing and sends no credentials. Each question has a time limit, even if the service never answers.
"""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from cryptography import x509
from cryptography.x509.oid import NameOID

from avma.connection import Connection
from avma.deadline import within
from avma.wsman.http_adapter import schemes

_T = TypeVar("_T")

_PATH = "/wsman"
_TIMES = 2
"""The time limit of a question, as a multiple of the time limit for opening a connection."""


@dataclass(frozen=True)
class Certificate:
    """A TLS certificate: its names, its issuer, and the end of its validity (UTC)."""

    names: tuple[str, ...]
    issuer: str
    ends: datetime


def addresses(connection: Connection) -> tuple[str, ...]:
    """Return the IP addresses of the machine.

    Raises:
        OSError: the name cannot be resolved in time.
    """
    found = _in_time(
        connection, lambda: socket.getaddrinfo(connection.address, connection.port, type=socket.SOCK_STREAM)
    )
    return tuple(dict.fromkeys(str(entry[4][0]) for entry in found))


def open_port(connection: Connection) -> None:
    """Raise OSError unless the port accepts a connection.

    Raises:
        OSError: it does not.
    """
    address = connection.address, connection.port
    _in_time(connection, lambda: socket.create_connection(address, connection.connect_timeout).close())


def certificate(connection: Connection) -> Certificate:
    """Return the certificate of the service.

    Raises:
        OSError: the service does not use TLS.
        ValueError: the certificate cannot be read.
    """
    shown = _in_time(connection, lambda: _shown(connection))
    try:
        read = x509.load_der_x509_certificate(shown)
        return Certificate(_names(read), _common_name(read.issuer), read.not_valid_after_utc)
    except Exception as error:  # anyone can put anything into a certificate, so the library can raise anything
        raise ValueError("the certificate cannot be read") from error


def offered_logons(connection: Connection) -> tuple[str, ...]:
    """Return the authentication methods that the service offers, such as "Negotiate" and "Basic".

    Raises:
        OSError: there was no connection.
        HTTPException: the service does not use HTTP.
    """
    return schemes(_in_time(connection, lambda: _offers(connection)))


def _in_time(connection: Connection, question: Callable[[], _T]) -> _T:
    return within(connection.connect_timeout * _TIMES, question)


def _shown(connection: Connection) -> bytes:
    with (
        socket.create_connection((connection.address, connection.port), connection.connect_timeout) as plain,
        _unverified().wrap_socket(plain, server_hostname=connection.address) as secured,
    ):
        return secured.getpeercert(binary_form=True) or b""


def _offers(connection: Connection) -> list[str]:
    arguments = (connection.address, connection.port)
    timeout = connection.connect_timeout
    door = (
        http.client.HTTPSConnection(*arguments, timeout=timeout, context=_unverified())
        if connection.https
        else http.client.HTTPConnection(*arguments, timeout=timeout)
    )
    try:
        door.request("POST", _PATH, body=b"", headers={"Content-Type": "application/soap+xml;charset=UTF-8"})
        return door.getresponse().headers.get_all("WWW-Authenticate") or []
    finally:
        door.close()


def _unverified() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _names(read: x509.Certificate) -> tuple[str, ...]:
    """Return the alternative names of a certificate, or the common name of its subject if it has no others."""
    try:
        names = read.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return (_common_name(read.subject),)
    ips = (str(address) for address in names.get_values_for_type(x509.IPAddress))
    return (*names.get_values_for_type(x509.DNSName), *ips)


def _common_name(name: x509.Name) -> str:
    found = name.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(found[0].value) if found else name.rfc4514_string()
