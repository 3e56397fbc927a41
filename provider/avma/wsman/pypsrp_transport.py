"""The transport over pypsrp: SPNEGO, Kerberos and client certificates.

pywinrm has no SPNEGO, takes Kerberos tickets only from the cache (no password, no keytab), and may use an account from
`~/.netrc` instead of the client certificate.
"""

from __future__ import annotations

import logging
from typing import Any, cast

import requests
import spnego
from pypsrp.exceptions import AuthenticationError, WinRMTransportError
from pypsrp.wsman import _TransportHTTP

from avma.connection import Connection
from avma.settings import Auth
from avma.wsman import kerberos
from avma.wsman.http_adapter import Adapter, adapt
from avma.wsman.transports import NotAuthenticated, answered

# pypsrp logs every exception with its traceback, and every message unencrypted
logging.getLogger("pypsrp").setLevel(logging.CRITICAL)

_BY_CERTIFICATE = "http://schemas.dmtf.org/wbem/wsman/1/wsman/secprofile/https/mutual"


class PypsrpTransport:
    """One connection through pypsrp.

    Raises:
        InvalidInput: a package for the authentication method is not installed.
    """

    def __init__(self, connection: Connection, adapter: Adapter) -> None:
        if connection.auth is Auth.KERBEROS:
            kerberos.require(connection)
        self._connection = connection
        self._transport = _Transport(connection, adapter)

    def send(self, message: bytes, timeout: tuple[float, float]) -> bytes:
        """Send a message and return the answer. See `Transport.send`."""
        try:
            with kerberos.explained(self._connection):
                return self._transport.send(message, timeout=timeout)
        except AuthenticationError as error:
            raise NotAuthenticated from error
        except WinRMTransportError as error:
            return answered(error.code, cast(str, error.response_text))

    def close(self) -> None:
        """Close the connection."""
        self._transport.close()


class _Transport(_TransportHTTP):
    """pypsrp's transport, with our adapter below it and any credential of pyspnego."""

    def __init__(self, connection: Connection, adapter: Adapter) -> None:
        super().__init__(
            connection.address,
            connection.port,
            # pypsrp declares text, but passes any credential to pyspnego
            username=cast(Any, _credential(connection)),
            ssl=connection.https,
            auth=connection.auth.value,
            cert_validation=not connection.insecure,
            # `auto` has the same meaning in pypsrp: over https, it does not encrypt
            encryption=connection.message_encryption.value,
            no_proxy=True,
            negotiate_hostname_override=connection.kerberos_hostname,
        )
        self._adapter = adapter

    def _build_session(self) -> requests.Session:
        session = super()._build_session()
        adapt(session, self._adapter, insecure=not self.cert_validation)
        return session

    def _build_auth_certificate(self, session: requests.Session) -> None:
        session.headers["Authorization"] = _BY_CERTIFICATE


def _credential(connection: Connection) -> spnego.Credential | None:
    if connection.auth is Auth.CERTIFICATE:
        return None
    if connection.auth is Auth.KERBEROS:
        return kerberos.credential(connection)
    return spnego.Password(connection.username, connection.password)
