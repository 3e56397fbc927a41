"""TLS to a WinRM service: the trusted authorities, and the client certificate.

Certificates and keys are paths of PEM files, or PEM text.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import certifi

from avma import errors
from avma.connection import Connection
from avma.settings import Auth

_PEM = "-----BEGIN "


def context(connection: Connection) -> ssl.SSLContext:
    """Return the TLS context of a connection.

    Raises:
        InvalidInput: a declared certificate or key is unusable.
    """
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
    given, prefix = connection.ca_cert, connection.prefix
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
        answer = f"{_named(given)} in `{prefix}caCert` {reason}"
        remedy = f"set `{prefix}caCert` to the PEM file of the authority that signed the machine's certificate"
        raise errors.InvalidInput("open a connection", connection.where, answer, remedy) from error
    return made


def _log_on_with(connection: Connection, made: ssl.SSLContext) -> None:
    prefix = connection.prefix
    try:
        with _file(connection.client_cert or "") as certificate, _file(connection.client_key or "") as key:
            # without a password, OpenSSL would prompt for one on the terminal
            made.load_cert_chain(certificate, key, password="")
    except (OSError, ValueError) as error:
        reason = "are not a matching PEM pair, or the key has a passphrase"
        if isinstance(error, OSError) and not isinstance(error, ssl.SSLError):
            reason = f"cannot be read ({error.strerror})"
        answer = f"`{prefix}clientCert` and `{prefix}clientKey` {reason}"
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
