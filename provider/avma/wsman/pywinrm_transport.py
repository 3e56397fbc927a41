"""The transport over pywinrm: NTLM, Basic and CredSSP."""

from __future__ import annotations

from typing import Any, cast

import certifi
import requests
from winrm import transport
from winrm.exceptions import InvalidCredentialsError, WinRMTransportError

from avma import errors
from avma.connection import Connection
from avma.settings import Auth
from avma.wording import install_extra
from avma.wsman.http_adapter import Adapter, adapt
from avma.wsman.transports import NotAuthenticated, answered

_REFUSALS: tuple[type[Exception], ...] = (InvalidCredentialsError,)
if transport.HAVE_CREDSSP:
    from requests_credssp import exceptions as credssp

    _REFUSALS += (credssp.AuthenticationException, credssp.NTStatusException)


class PywinrmTransport:
    """One connection through pywinrm.

    Raises:
        InvalidInput: a package for the authentication method is not installed.
    """

    def __init__(self, connection: Connection, adapter: Adapter) -> None:
        if connection.auth is Auth.CREDSSP and not transport.HAVE_CREDSSP:
            answer = "CredSSP needs the package requests-credssp, which is not installed"
            raise errors.InvalidInput("open a connection", connection.where, answer, install_extra("credssp"))
        self._transport = _SessionTransport(connection, adapter)

    def send(self, message: bytes, timeout: tuple[float, float]) -> bytes:
        """Send a message and return the answer. See `Transport.send`."""
        # pywinrm declares a number, but passes the pair (connect, read) to requests
        cast(Any, self._transport).read_timeout_sec = timeout
        try:
            return self._transport.send_message(message)
        except _REFUSALS as error:
            raise NotAuthenticated from error
        except WinRMTransportError as error:
            return answered(error.code, error.response_text)

    def close(self) -> None:
        """Close the connection."""
        self._transport.close_session()


class _SessionTransport(transport.Transport):
    """pywinrm's transport, with our adapter below it."""

    def __init__(self, connection: Connection, adapter: Adapter) -> None:
        username, password = connection.username, connection.password
        if connection.auth is Auth.BASIC:
            # requests would encode text as Latin-1, and not every password is Latin-1
            username, password = cast(str, username.encode()), cast(str, password.encode())
        super().__init__(
            endpoint=connection.endpoint,
            username=username,
            password=password,
            auth_method=connection.auth.value,
            server_cert_validation="ignore" if connection.insecure else "validate",
            ca_trust_path=certifi.where(),  # any path but the environment's: the adapter's context decides
            # With None, requests would set and remove an environment variable for a moment, which breaks other threads.
            proxy="",
            message_encryption=connection.message_encryption.value,
        )
        self._adapter = adapter
        self._insecure = connection.insecure
        self._adapted: requests.Session | None = None

    def _send_message_request(
        self, session: requests.Session, prepared_request: requests.PreparedRequest
    ) -> requests.Response:
        # pywinrm sends its first request while it builds the session, so there is no earlier point to adapt it
        if session is not self._adapted:
            adapt(session, self._adapter, self._insecure)
            self._adapted = session
        return super()._send_message_request(session, prepared_request)
