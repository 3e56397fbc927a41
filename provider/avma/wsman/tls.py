"""TLS to a WinRM service: the trusted authorities, the client certificate, and the certificate of the service.

Certificates and keys are paths of PEM files, or PEM text.
"""

from __future__ import annotations

import hashlib
import os
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import certifi

from avma import errors
from avma.connection import Connection
from avma.context import Context
from avma.deadline import within
from avma.settings import Auth

_PEM = "-----BEGIN "
_TIMEOUT, _LONGEST = 5.0, 10.0
"""Seconds for one step of a handshake, and for all of them."""
_HOLDS = 60.0
"""Seconds. The provider requests the certificate of an endpoint only once in this time."""


def context(connection: Connection) -> ssl.SSLContext | None:
    """Return the TLS context of a connection, None for http. Connections with the same settings share one.

    A context with the authorities of certifi takes 0.7 MB and 20 ms.

    Raises:
        InvalidInput: a declared certificate or key is unusable.
    """
    return _CONTEXTS.get(connection) if connection.https else None


class _Contexts:
    """The TLS contexts of the process, by their settings and the versions of their files."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._of: dict[tuple[object, ...], ssl.SSLContext] = {}

    def get(self, connection: Connection) -> ssl.SSLContext:
        given = connection.ca_cert, connection.client_cert, connection.client_key
        settings = (connection.insecure, connection.auth is Auth.CERTIFICATE, *given, *map(_version, given))
        with self._lock:
            if settings not in self._of:
                self._of[settings] = _new_context(connection)
            return self._of[settings]


_CONTEXTS = _Contexts()


def _version(given: str | None) -> tuple[int, int] | None:
    """Return a value that changes with the content of a file. None for a text, and for a file that cannot be read."""
    if not given or _is_text(given):
        return None
    try:
        found = os.stat(given)
    except (OSError, ValueError):
        return None
    return found.st_mtime_ns, found.st_size


def _new_context(connection: Connection) -> ssl.SSLContext:
    made = _trusting(connection)
    if connection.insecure:
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
    if connection.auth is Auth.CERTIFICATE:
        _log_on_with(connection, made)
    return made


def require_authorities(connection: Connection) -> None:
    """Raise InvalidInput unless the declared authorities are readable.

    Raises:
        InvalidInput: they are not.
    """
    _trusting(connection)


def _trusting(connection: Connection) -> ssl.SSLContext:
    given = connection.ca_cert
    # ssl.create_default_context would write the keys of all connections to the file in SSLKEYLOGFILE
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if not given or not connection.https:
        made.load_verify_locations(cafile=certifi.where())
        return made
    try:
        made.load_verify_locations(**{"cadata" if _is_text(given) else "cafile": given})
    except (OSError, ValueError, TypeError) as error:  # SSLError is an OSError. Odd characters raise the others
        unreadable = isinstance(error, OSError) and not isinstance(error, ssl.SSLError)
        reason = "cannot be read" if unreadable else "contains no PEM certificate"
        ca_cert = connection.setting("ca_cert")
        answer = f"{_named(given)} in {ca_cert} {reason}"
        remedy = f"set {ca_cert} to the PEM file of the authority that signed the machine's certificate"
        raise errors.InvalidInput("open a connection", connection.where, answer, remedy) from error
    return made


def _log_on_with(connection: Connection, made: ssl.SSLContext) -> None:
    try:
        with _file(connection.client_cert or "") as certificate, _file(connection.client_key or "") as key:
            # without a password, OpenSSL would prompt for one on the terminal
            made.load_cert_chain(certificate, key, password="")
    except (OSError, ValueError) as error:
        reason = "are not a matching PEM pair, or the key has a passphrase"
        if isinstance(error, OSError) and not isinstance(error, ssl.SSLError):
            reason = f"cannot be read ({error.strerror})"
        answer = f"{connection.setting('client_cert')} and {connection.setting('client_key')} {reason}"
        remedy = "set them to a PEM certificate and its private key, as paths or as text"
        raise errors.InvalidInput("open a connection", connection.where, answer, remedy) from error


def _is_text(given: str) -> bool:
    return _PEM in given


def _named(given: str) -> str:
    return "the text" if _is_text(given) else f"the file `{given}`"


@contextmanager
def _file(given: str) -> Iterator[str]:
    """Yield the path of a PEM file. Text is in a private file meanwhile, because OpenSSL reads only files."""
    if not _is_text(given):
        yield given
        return
    with TemporaryDirectory(prefix="avma-") as folder:
        path = Path(folder, "pem")
        path.touch(mode=0o600)
        path.write_text(given, encoding="ascii", errors="replace")
        yield os.fspath(path)


def thumbprint(context: Context, connection: Connection) -> str | None:
    """Return the SHA-1 thumbprint of an endpoint's certificate as Windows shows it.

    None if the endpoint does not use TLS, or if the operation ends before it has answered.
    """
    timeout = min(_TIMEOUT, connection.connect_timeout)
    try:
        return _PROBES.ask(context, (connection.address, connection.port), timeout)
    except (errors.TimedOut, errors.Cancelled, OSError):
        return None


@dataclass
class _Probe:
    """The certificate of one endpoint."""

    lock: threading.Lock
    expires: float = 0.0
    thumbprint: str | None = None


class _Probes:
    """The certificates of all endpoints. Only one thread at a time requests a certificate from the same endpoint."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._of: dict[tuple[str, int], _Probe] = {}

    def ask(self, context: Context, endpoint: tuple[str, int], timeout: float) -> str | None:
        """Return the thumbprint, or None if the endpoint does not use TLS.

        Raises:
            TimedOut, Cancelled, OSError: the operation ends before the endpoint has answered.
        """
        with self._lock:
            probe = self._of.setdefault(endpoint, _Probe(threading.Lock()))
        context.acquire(probe.lock)
        try:
            context.check()
            if time.monotonic() >= probe.expires:
                longest = min(_LONGEST, context.deadline.remaining())
                probe.thumbprint = within(longest, partial(_look, endpoint, timeout), context.deadline.cancellation)
                probe.expires = time.monotonic() + _HOLDS
            return probe.thumbprint
        finally:
            probe.lock.release()


_PROBES = _Probes()


def _look(endpoint: tuple[str, int], timeout: float) -> str | None:
    try:
        shown = ssl.get_server_certificate(endpoint, timeout=timeout)
        digest = hashlib.sha1(ssl.PEM_cert_to_DER_cert(shown), usedforsecurity=False)
    except (OSError, ValueError):
        return None
    return digest.hexdigest().upper()
