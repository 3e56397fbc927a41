"""HTTP requests to a WinRM service, below the libraries of the product: one TCP connection, with NTLM.

The product reads the status and the type of an answer, and whether it has a body. Its libraries hide most of that.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import ssl
import struct
from collections.abc import Callable, Iterator

import spnego
from spnego.exceptions import SpnegoError

from avma import errors
from avma.connection import Connection
from avma.context import Context
from avma.settings import AUTH_METHODS
from avma.wsman.envelope import CHECK_PORT
from avma_conformance.fact import NotHere
from avma_conformance.http_answer import HttpAnswer
from avma_conformance.subject import Subject

_PATH = "/wsman"
_SOAP = "application/soap+xml;charset=UTF-8"
_SEALED = "application/HTTP-SPNEGO-session-encrypted"
_MULTIPART = f'multipart/encrypted;protocol="{_SEALED}";boundary="Encrypted Boundary"'
_SECONDS = 30.0


class RawConnection:
    """One TCP connection to the service. `keep` receives each answer."""

    def __init__(self, connection: Connection, keep: Callable[[HttpAnswer], None] = lambda _: None) -> None:
        self._keep = keep
        self._account = connection.username, connection.password
        self._http = (
            http.client.HTTPSConnection(connection.address, connection.port, timeout=_SECONDS, context=_unverified())
            if connection.https
            else http.client.HTTPConnection(connection.address, connection.port, timeout=_SECONDS)
        )
        self._context: spnego.ContextProxy | None = None

    def post(self, body: bytes = b"", media_type: str = _SOAP, token: bytes = b"", path: str = _PATH) -> HttpAnswer:
        """Send one request. `token` is a part of a sign-in."""
        headers = {"Content-Type": media_type}
        if token:
            headers["Authorization"] = f"Negotiate {base64.b64encode(token).decode()}"
        self._http.request("POST", path, body, headers)
        received = self._http.getresponse()
        answer = HttpAnswer(received.status, tuple(received.headers.items()), received.read())
        self._keep(answer)
        return answer

    def sign_in(self) -> HttpAnswer:
        """Sign in with raw NTLM tokens, under the scheme Negotiate. Return the last answer."""
        self._context = spnego.client(*self._account, protocol="ntlm", options=spnego.NegotiateOptions.wrapping_winrm)
        challenged = self.post(token=self._context.step() or b"")
        offered = (each.partition(" ")[2] for each in challenged.challenges if each.startswith("Negotiate "))
        return self.post(token=self._context.step(base64.b64decode(next(offered, ""))) or b"")

    def post_encrypted(self, message: bytes, session: RawConnection | None = None) -> HttpAnswer:
        """Send a message, encrypted with the key of this sign-in, or of another connection."""
        context = (session or self)._context
        if context is None:
            raise ValueError("the session has no key")
        wrapped = context.wrap_winrm(message)
        length = len(message) + wrapped.padding_length
        body = (
            f"--Encrypted Boundary\r\n\tContent-Type: {_SEALED}\r\n"
            f"\tOriginalContent: type={_SOAP};Length={length}\r\n"
            "--Encrypted Boundary\r\n\tContent-Type: application/octet-stream\r\n"
        ).encode()
        sealed = struct.pack("<I", len(wrapped.header)) + wrapped.header + wrapped.data
        return self.post(body + sealed + b"--Encrypted Boundary--\r\n", _MULTIPART)

    def close(self) -> None:
        """Close the connection."""
        self._http.close()


def _unverified() -> ssl.SSLContext:
    """Return a context that accepts any certificate, because nothing secret goes over such a connection."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


@contextlib.contextmanager
def raw(subject: Subject, signs_in: bool = False) -> Iterator[RawConnection]:
    """Open a connection to the machine. With `signs_in`, it is one over http to which NTLM can sign in.

    Raises:
        NotHere: the settings do not allow such a sign-in.
        AvmaError: there is no connection, or no HTTP answer.
    """
    connection = subject.target.connection
    if signs_in and connection.https:
        raise NotHere("the connection uses https, where messages need no encryption")
    if signs_in and not (AUTH_METHODS[connection.auth].ntlm and connection.password):
        raise NotHere("the connection does not use NTLM with a password")
    opened = RawConnection(connection, subject.http_answers.append)
    try:
        yield opened
    except (OSError, http.client.HTTPException) as error:
        raise _broken(subject.context) from error
    except (SpnegoError, struct.error) as error:  # the library does not check the length of a token
        raise _refused(subject.context) from error
    finally:
        opened.close()


def _broken(context: Context) -> errors.Unreachable:
    return context.error(errors.Unreachable, "the connection broke", CHECK_PORT)


def _refused(context: Context) -> errors.LogonRefused:
    return context.error(errors.LogonRefused, "the machine does not accept NTLM", "use a connection with NTLM")
