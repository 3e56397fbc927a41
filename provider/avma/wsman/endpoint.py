"""What anyone can see of a WinRM endpoint without logging on: addresses, port, certificate, ways to log on.

These are facts for a person who looks for a fault. Whether a connection may be used is for the pipe alone to decide,
so nothing here is verified, and no credential is sent.
"""

from __future__ import annotations

import http.client
import socket
import ssl
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.x509.oid import NameOID

from avma.connection import Connection
from avma.wsman.challenges import schemes

_PATH = "/wsman"


@dataclass(frozen=True)
class Certificate:
    """A TLS certificate: whom it names, who issued it, until when it holds (UTC)."""

    names: tuple[str, ...]
    issuer: str
    ends: datetime


def addresses(connection: Connection) -> tuple[str, ...]:
    """Return the IP addresses of the machine's address.

    Raises:
        OSError: the name cannot be resolved.
    """
    found = socket.getaddrinfo(connection.address, connection.port, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(str(entry[4][0]) for entry in found))


def open_port(connection: Connection) -> None:
    """Open the port and close it again.

    Raises:
        OSError: it cannot be opened.
    """
    socket.create_connection((connection.address, connection.port), connection.connect_timeout).close()


def certificate(connection: Connection) -> Certificate:
    """Return the certificate that the service shows.

    Raises:
        OSError: the service does not speak TLS.
        ValueError: the certificate cannot be read.
    """
    with (
        socket.create_connection((connection.address, connection.port), connection.connect_timeout) as plain,
        _unverified().wrap_socket(plain, server_hostname=connection.address) as secured,
    ):
        shown = secured.getpeercert(binary_form=True) or b""
    try:
        read = x509.load_der_x509_certificate(shown)
        return Certificate(_names(read), _common_name(read.issuer), read.not_valid_after_utc)
    except Exception as error:  # whatever the library makes of what anyone may put into a certificate
        raise ValueError("the certificate cannot be read") from error


def offered_logons(connection: Connection) -> tuple[str, ...]:
    """Return the ways to log on that the service offers, such as "Negotiate" and "Basic".

    Raises:
        OSError: there was no conversation.
        HTTPException: the service does not speak HTTP.
    """
    arguments = (connection.address, connection.port)
    timeout = connection.connect_timeout
    door = (
        http.client.HTTPSConnection(*arguments, timeout=timeout, context=_unverified())
        if connection.https
        else http.client.HTTPConnection(*arguments, timeout=timeout)
    )
    try:
        door.request("POST", _PATH, body=b"", headers={"Content-Type": "application/soap+xml;charset=UTF-8"})
        offers = door.getresponse().headers.get_all("WWW-Authenticate") or []
    finally:
        door.close()
    return schemes(offers)


def _unverified() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _names(read: x509.Certificate) -> tuple[str, ...]:
    """Return the names that count: the alternative ones, or the subject's where there are none."""
    try:
        names = read.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return (_common_name(read.subject),)
    ips = (str(address) for address in names.get_values_for_type(x509.IPAddress))
    return (*names.get_values_for_type(x509.DNSName), *ips)


def _common_name(name: x509.Name) -> str:
    found = name.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(found[0].value) if found else name.rfc4514_string()
