"""One authenticated, encrypted connection to a WinRM service. It sends SOAP bytes and returns SOAP bytes.

A pipe fills three gaps of the transports. If the server dropped an encrypted connection, the pipe opens a new one,
where the libraries would send the body encrypted with the old key. It converts their exceptions to errors of
`avma.errors`. It ends each wait at the deadline. A pipe belongs to one thread at a time.
"""

from __future__ import annotations

import contextlib
import os
from functools import partial

import requests

from avma import errors
from avma.connection import Connection
from avma.context import Context
from avma.deadline import Deadline
from avma.settings import AUTH_METHODS, MessageEncryption
from avma.wsman import http_answers, tls, transport_errors
from avma.wsman.http_adapter import Adapter
from avma.wsman.transports import HttpExchange, HttpTransport

_ANSWER_MARGIN = 10.0
"""Seconds. An answer may arrive this long after the operation's own timeout, because of the network."""
_LAST_CHANCE = 1.0
"""Seconds. An answer may arrive this long after the deadline."""
_NTLM_LEVEL = "LM_COMPAT_LEVEL"
"""The variable from which pyspnego, like gss-ntlmssp, reads Windows' LmCompatibilityLevel. The default is 3."""
_NTLM_2 = ("3", "4", "5")
"""The levels at which a client sends only NTLMv2 (MS-NLMP 3.1.1.1)."""


class WinrmPipe:
    """A pipe to a WinRM service, over the transport for its authentication method."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._open: tuple[HttpTransport, Adapter] | None = None

    def send(self, context: Context, message: bytes) -> bytes:
        """Send a message. See `Pipe.send`. After `AnswerLost`, the machine may have acted on it."""
        return self._send(context, message, again=True)

    def _send(self, context: Context, message: bytes, again: bool) -> bytes:
        """Send a message. If the machine did not recognize the session, send it again after a new sign-in."""
        context.check()
        transport, adapter = self._open = self._open or _connect(self._connection)
        connects = max(adapter.connects, 1)
        try:
            connect, read = self._timeout(context.deadline)
            # limit the whole call too: `read` restarts with each byte, and a sign-in takes several requests
            longest = min(context.deadline.remaining() + _LAST_CHANCE, connect + read + _ANSWER_MARGIN)
            send = partial(transport.send, message, (connect, read))
            answer = adapter.run(send, longest, context.deadline.cancellation)
        except Exception as error:
            self.close()
            if not again or not self._was_not_read(adapter, connects):
                raise transport_errors.to_error(error, HttpExchange(self._connection, adapter, context)) from error
        else:
            self._require_genuine(HttpExchange(self._connection, adapter, context))
            return answer
        return self._send(context, message, again=False)

    def _was_not_read(self, adapter: Adapter, connects: int) -> bool:
        """Return True if the machine did not recognize the session of a message, and so did not act on it.

        Either it returned 401 after it had accepted the sign-in. Or it could not decrypt the message: the first
        connection was dropped, and over a new one, the libraries sent the message encrypted for the first.
        """
        if adapter.turned_away and adapter.status == requests.codes.unauthorized:
            return True
        unread = _seals(self._connection) and adapter.status == requests.codes.bad_request and adapter.empty
        return unread and (adapter.turned_away or adapter.connects > connects)

    def _require_genuine(self, exchange: HttpExchange) -> None:
        """Raise an error unless the answer is WinRM's, and encrypted if messages are.

        Anyone on the way could write another answer.

        Raises:
            UnexpectedAnswer: the answer is of another kind.
            AnswerLost: the answer is not encrypted, so the machine's own answer is not known.
        """
        if exchange.adapter.foreign_type:
            self.close()
            raise http_answers.foreign(exchange)
        if _seals(self._connection) and not exchange.adapter.sealed:
            self.close()
            raise http_answers.unsealed(exchange)

    def close(self) -> None:
        """Close the connection. The next message opens a new one."""
        opened, self._open = self._open, None
        if opened is not None:
            with contextlib.suppress(Exception):
                opened[0].close()

    def _timeout(self, deadline: Deadline) -> tuple[float, float]:
        left = deadline.remaining()
        connect = max(0.1, min(self._connection.connect_timeout, left))
        return connect, max(0.1, min(self._connection.operation_timeout + _ANSWER_MARGIN, left + _LAST_CHANCE))


def _seals(connection: Connection) -> bool:
    always = connection.message_encryption is MessageEncryption.ALWAYS
    return AUTH_METHODS[connection.auth].encrypts and (always or not connection.https)


def _connect(connection: Connection) -> tuple[HttpTransport, Adapter]:
    _require_ntlm_2(connection)
    adapter = Adapter(tls.context(connection))
    if AUTH_METHODS[connection.auth].pywinrm:
        from avma.wsman.pywinrm_transport import PywinrmTransport

        return PywinrmTransport(connection, adapter), adapter
    from avma.wsman.pypsrp_transport import PypsrpTransport

    return PypsrpTransport(connection, adapter), adapter


def _require_ntlm_2(connection: Connection) -> None:
    """Raise InvalidInput if the environment allows an older version of NTLM, whose answers reveal passwords.

    Raises:
        InvalidInput: the environment allows one.
    """
    level = os.environ.get(_NTLM_LEVEL)
    if AUTH_METHODS[connection.auth].ntlm and level is not None and level not in _NTLM_2:
        answer = f"the environment variable {_NTLM_LEVEL} is `{level}`, which allows NTLM before version 2"
        remedy = f"unset {_NTLM_LEVEL}, or set it to 3"
        raise errors.InvalidInput("open a connection", connection.where, answer, remedy)
