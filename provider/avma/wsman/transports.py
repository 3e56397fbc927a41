"""The interface of the transports. Each carries bytes over one authenticated connection, with its own library."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import requests

from avma.connection import Connection
from avma.context import Context
from avma.wsman.http_adapter import Adapter, HttpStatus


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


@dataclass(frozen=True)
class HttpExchange:
    """One message and its answer: the connection, the adapter with the facts of the answer, and the operation."""

    connection: Connection
    adapter: Adapter
    context: Context


def answered(code: int, text: str | None) -> bytes:
    """Return the SOAP fault of a failure status. Windows sends faults with 500. Other services also use 400.

    Raises:
        HttpStatus: there is no fault.
    """
    server_error, bad_request = requests.codes.server_error, requests.codes.bad_request
    if text and (code == server_error or (code == bad_request and "Envelope" in text)):
        return text.encode()
    raise HttpStatus(code)
