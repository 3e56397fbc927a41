"""Authentication over HTTP.

Negotiate, Kerberos and CredSSP authenticate a connection. Basic and certificates authenticate each request.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from operator import attrgetter
from typing import Literal

import spnego
from spnego._ntlm_raw.messages import Authenticate  # pyspnego has no public name for NTLM messages
from spnego.channel_bindings import GssChannelBindings

from avma_simulator.state.accounts import Accounts, CredentialFiles

_NTLM_SIGNATURE = b"NTLMSSP\0"
_SPNEGO = bytes.fromhex("06062b0601050502")
"""The object identifier 1.3.6.1.5.5.2 (RFC 4178). SPNEGO's first token has it right after the length."""
_HEADER_LENGTH = 16
_BY_CERTIFICATE = "http://schemas.dmtf.org/wbem/wsman/1/wsman/secprofile/https/mutual"
_SCHEMES: dict[str, tuple[str, set[str]]] = {
    "negotiate": ("Negotiate", {"ntlm", "negotiate"}),
    "kerberos": ("Kerberos", {"kerberos", "negotiate"}),
    "credssp": ("CredSSP", {"credssp"}),
    "basic": ('Basic realm="WSMAN"', {"basic"}),
}
"""The values of WWW-Authenticate in Windows' order, each with the authentication methods that enable it."""
_MECHANISMS = {"ntlm": {"ntlm"}, "kerberos": {"kerberos"}, "negotiate": {"ntlm", "kerberos"}}
_BINDING_IN_NTLM = re.compile(rb"\x0a\x00\x10\x00(.{16})", re.DOTALL)
"""MsvAvChannelBindings (MS-NLMP 2.2.2.1) in an NTLM token: the hash of the client's channel bindings."""
_AUTHENTICATE = (3).to_bytes(4, "little")
_NO_BINDING = bytes(16)
_CHANNEL_BOUND = 0x800
"""GSS_C_CHANNEL_BOUND_FLAG: the initiator sent bindings, and they match the acceptor's."""

Hardening = Literal["none", "relaxed", "strict"]


@dataclass
class Connection:
    """The authentication state of a TCP connection: its context and the scheme of the context."""

    certified: bool = False
    """Whether the client presented the certificate that is mapped to the account."""
    context: spnego.ContextProxy | None = None
    scheme: str = ""
    bound: bool = False
    """Whether the client sent bindings for its TLS channel."""

    @property
    def complete(self) -> bool:
        """Whether the connection is authenticated."""
        return self.context is not None and self.context.complete


@dataclass(frozen=True)
class Outcome:
    """The result of authenticating a request: acceptance, the token to return, and the method."""

    accepted: bool
    token: str = ""
    method: str = ""


_REJECTED = Outcome(False)


@dataclass(frozen=True)
class Authenticator:
    """The authentication of one listener. `hardening` is Windows' CbtHardeningLevel."""

    accounts: Accounts
    files: CredentialFiles
    methods: tuple[str, ...]
    bindings: GssChannelBindings | None
    hardening: Hardening = "relaxed"

    @property
    def offers(self) -> list[str]:
        """The values of WWW-Authenticate. Basic appears only over TLS, certificates never."""
        return [offer for scheme, (offer, _) in _SCHEMES.items() if self._offered(scheme)]

    def authenticate(self, connection: Connection, authorization: str) -> Outcome:
        """Authenticate a request by its Authorization header and its connection."""
        scheme, _, credentials = authorization.partition(" ")
        if not scheme:
            return Outcome(connection.complete)
        if scheme.lower() == _BY_CERTIFICATE:
            return Outcome("certificate" in self.methods and connection.certified, method="certificate")
        if not self._offered("negotiate" if scheme.lower() == "ntlm" else scheme.lower()):
            return _REJECTED
        if scheme.lower() == "basic":
            return Outcome(self._accepts(credentials), method="basic")
        return self._step(connection, scheme, credentials)

    def _offered(self, scheme: str) -> bool:
        if scheme == "basic" and self.bindings is None:
            return False
        _, wanted = _SCHEMES.get(scheme, ("", set()))
        return not wanted.isdisjoint(self.methods)

    def _accepts(self, credentials: str) -> bool:
        try:
            username, _, password = base64.b64decode(credentials, validate=True).decode().partition(":")
        except (binascii.Error, ValueError):
            return False
        return self.accounts.accepts_local(username, password)

    def _step(self, connection: Connection, scheme: str, credentials: str) -> Outcome:
        try:
            answer = self._answer(connection, scheme.lower(), base64.b64decode(credentials, validate=True))
        # For a malformed token, pyspnego passes on any error of its parser: KeyError, IndexError, StopIteration.
        except Exception:
            self._count_sign_in(credentials, right=False)
            connection.context = None
            return _REJECTED
        if connection.complete and not (self._is_allowed(connection) and self._count_sign_in(credentials, right=True)):
            connection.context = None
            return _REJECTED
        token_back = f"{scheme} {base64.b64encode(answer).decode()}" if answer else ""
        return Outcome(connection.complete, token_back, _kind(connection.context) if connection.complete else "")

    def _count_sign_in(self, credentials: str, right: bool) -> bool:
        """Count the last message of an NTLM exchange as a sign-in. Return True unless the account is locked.

        CredSSP hides its NTLM exchange in TLS, so its failures are not counted.
        """
        username = _ntlm_user(credentials)
        return username is None or self.accounts.count_sign_in(username, right)

    def _answer(self, connection: Connection, scheme: str, token: bytes) -> bytes | None:
        with self.files.offered(kerberos="kerberos" in self._mechanisms):
            if connection.context is None or connection.complete:
                connection.context = spnego.server(protocol=_protocol(scheme, token))
                connection.scheme = scheme
            bindings = None if scheme == "credssp" or self.hardening == "none" else self.bindings
            binding = _BINDING_IN_NTLM.search(token)
            connection.bound = binding is not None and binding[1] != _NO_BINDING
            if _NTLM_SIGNATURE in token and not connection.bound:
                bindings = None
            return connection.context.step(token, channel_bindings=bindings)

    @property
    def _mechanisms(self) -> set[str]:
        return set().union(*(_MECHANISMS.get(method, ()) for method in self.methods))

    def _is_allowed(self, connection: Connection) -> bool:
        """Return True if a complete context is for this account, with an allowed mechanism and channel."""
        context = connection.context
        if context is None:
            return False
        if context.negotiated_protocol == "kerberos" and not self.accounts.is_principal(context.client_principal or ""):
            return False
        if connection.scheme == "credssp":
            delegated = context.get_extra_info("client_credential")
            domain = f"{delegated.domain_name}\\" if delegated.domain_name else ""
            return self.accounts.accepts(f"{domain}{delegated.username}", delegated.password)
        if context.negotiated_protocol not in self._mechanisms:
            return False
        bound = connection.bound or _kerberos_is_bound(context)
        return self.hardening != "strict" or self.bindings is None or bound


def _ntlm_user(credentials: str) -> str | None:
    """Return the user name in an AUTHENTICATE_MESSAGE (MS-NLMP 2.2.1.3), or None for any other token."""
    try:
        _, signature, message = base64.b64decode(credentials).partition(_NTLM_SIGNATURE)
        if not message.startswith(_AUTHENTICATE):
            return None
        user = Authenticate.unpack(signature + message)
    # For a malformed token, pyspnego passes on any error of its parser.
    except Exception:
        return None
    return f"{user.domain_name}\\{user.user_name}" if user.domain_name else user.user_name or ""


def _protocol(scheme: str, token: bytes) -> str:
    if scheme == "credssp":
        return scheme
    if token.startswith(_NTLM_SIGNATURE):
        return "ntlm"
    return "negotiate" if _SPNEGO in token[:_HEADER_LENGTH] else "kerberos"


def _kerberos_is_bound(context: spnego.ContextProxy) -> bool:
    if context.negotiated_protocol != "kerberos":
        return False
    # pyspnego has no public name for the context inside SPNEGO, or for flags beyond SSPI's.
    inner = attrgetter("_context")(context) if context.protocol == "negotiate" else context
    return bool(int(attrgetter("_context_attr")(inner)) & _CHANNEL_BOUND)


def _kind(context: spnego.ContextProxy | None) -> str:
    if context is None or context.protocol != "negotiate":
        return "" if context is None else str(context.protocol)
    return f"negotiate/{context.negotiated_protocol}"
