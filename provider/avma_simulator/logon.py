"""Logon over HTTP: NTLM under the schemes Negotiate and NTLM, bound to the connection, and Basic for each request.

The module knows the account of a machine and one connection's state. It reads no body.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass

import spnego
from spnego.channel_bindings import GssChannelBindings

from avma_simulator.accounts import Account

_NTLM_SIGNATURE = b"NTLMSSP\0"


@dataclass
class Connection:
    """What a TCP connection has reached: a context begun, and whether it is complete."""

    context: spnego.ContextProxy | None = None

    @property
    def complete(self) -> bool:
        """Whether the connection is logged on."""
        return self.context is not None and self.context.complete


@dataclass(frozen=True)
class Outcome:
    """What a request's logon came to: whether it may go on, and the token to answer with, if any."""

    accepted: bool
    token: str = ""


_REFUSED = Outcome(False)


@dataclass(frozen=True)
class Door:
    """One listener's way to log on."""

    account: Account
    logons: tuple[str, ...]
    bindings: GssChannelBindings | None

    @property
    def offers(self) -> list[str]:
        """The values of WWW-Authenticate; Basic only over TLS."""
        offers = ["Negotiate"] if "ntlm" in self.logons else []
        return [*offers, 'Basic realm="WSMAN"'] if self._basic else offers

    def admit(self, connection: Connection, authorization: str) -> Outcome:
        """Judge a request by its Authorization header and its connection."""
        scheme, _, credentials = authorization.partition(" ")
        if not scheme:
            return Outcome(connection.complete)
        if scheme.lower() == "basic":
            return Outcome(self._basic and self._accepts(credentials))
        if scheme.lower() in ("negotiate", "ntlm") and "ntlm" in self.logons:
            return self._step(connection, scheme, credentials)
        return _REFUSED

    @property
    def _basic(self) -> bool:
        return "basic" in self.logons and self.bindings is not None

    def _accepts(self, credentials: str) -> bool:
        try:
            username, _, password = base64.b64decode(credentials, validate=True).decode().partition(":")
        except (binascii.Error, ValueError):
            return False
        return self.account.accepts(username, password)

    def _step(self, connection: Connection, scheme: str, credentials: str) -> Outcome:
        try:
            answer = self._answer(connection, base64.b64decode(credentials, validate=True))
        # A malformed token makes pyspnego raise whatever its parser meets: KeyError, IndexError, StopIteration.
        except Exception:
            connection.context = None
            return _REFUSED
        token_back = f"{scheme} {base64.b64encode(answer).decode()}" if answer else ""
        return Outcome(connection.complete, token_back)

    def _answer(self, connection: Connection, token: bytes) -> bytes | None:
        with self.account.offered():
            if connection.context is None or connection.complete:
                protocol = "ntlm" if token.startswith(_NTLM_SIGNATURE) else "negotiate"
                connection.context = spnego.server(channel_bindings=self.bindings, protocol=protocol)
            return connection.context.step(token)
