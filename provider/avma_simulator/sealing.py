"""Sealed bodies: the `multipart/encrypted` form of MS-WSMV 2.2.9.1, for one security context.

The module knows the form and asks the context to seal. It knows nothing of accounts.
"""

from __future__ import annotations

import re
import struct

from spnego import ContextProxy
from spnego.exceptions import SpnegoError

_PROTOCOL = "application/HTTP-SPNEGO-session-encrypted"
_BOUNDARY = b"--Encrypted Boundary"
_SEALED = re.compile(
    rb"--Encrypted Boundary\r\n"
    rb"\s*Content-Type:\s*application/HTTP-\w+-session-encrypted\r\n"
    rb"\s*OriginalContent:[^\r\n]*;Length=(\d+)\r\n"
    rb"--Encrypted Boundary\r\n"
    rb"\s*Content-Type:\s*application/octet-stream\r\n"
    rb"(.*)--Encrypted Boundary(?:--)?(?:\r\n)?",
    re.DOTALL | re.IGNORECASE,
)
_SIGNATURE_LENGTH = 4
CONTENT_TYPE = f'multipart/encrypted;protocol="{_PROTOCOL}";boundary="Encrypted Boundary"'


class Unreadable(Exception):
    """A sealed body is malformed, or was sealed for another context."""


def is_sealed(content_type: str) -> bool:
    """Say whether a body of that content type is sealed."""
    return content_type.lower().startswith("multipart/encrypted")


def unseal(context: ContextProxy, body: bytes) -> bytes:
    """Return what a sealed body says.

    Raises:
        Unreadable: the body is malformed, or the context cannot open it.
    """
    found = _SEALED.fullmatch(body)
    if found is None or len(found[2]) < _SIGNATURE_LENGTH:
        raise Unreadable
    (length,) = struct.unpack("<I", found[2][:_SIGNATURE_LENGTH])
    header, data = found[2][_SIGNATURE_LENGTH:][:length], found[2][_SIGNATURE_LENGTH + length :]
    try:
        message = context.unwrap_winrm(header, data)
    except (SpnegoError, ValueError, struct.error):
        raise Unreadable from None
    if len(message) != int(found[1]):
        raise Unreadable
    return message


def seal(context: ContextProxy, message: bytes) -> bytes:
    """Return a message as a sealed body."""
    wrapped = context.wrap_winrm(message)
    original = f"type=application/soap+xml;charset=UTF-8;Length={len(message) + wrapped.padding_length}"
    lines = (
        _BOUNDARY,
        f"\tContent-Type: {_PROTOCOL}".encode(),
        f"\tOriginalContent: {original}".encode(),
        _BOUNDARY,
        b"\tContent-Type: application/octet-stream",
        struct.pack("<I", len(wrapped.header)) + wrapped.header + wrapped.data + _BOUNDARY + b"--",
        b"",
    )
    return b"\r\n".join(lines)
