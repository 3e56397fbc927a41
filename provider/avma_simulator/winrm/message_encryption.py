"""Message encryption: the `multipart/encrypted` forms of MS-WSMV 2.2.9.1, for one security context.

CredSSP encrypts in TLS records. A message of more than 16 KB therefore consists of several encrypted parts
(`multipart/x-multi-encrypted`).
"""

from __future__ import annotations

import re
import struct

from spnego import ContextProxy
from spnego.exceptions import SpnegoError

_PROTOCOLS = {
    "kerberos": "application/HTTP-Kerberos-session-encrypted",
    "credssp": "application/HTTP-CredSSP-session-encrypted",
}
_SPNEGO = "application/HTTP-SPNEGO-session-encrypted"
_BOUNDARY = b"--Encrypted Boundary"
_BETWEEN = re.compile(_BOUNDARY + rb"\r\n(?=\s*Content-Type:\s*application/HTTP-)", re.IGNORECASE)
_END = re.compile(_BOUNDARY + rb"(?:--)?(?:\r\n)?\Z")
_SEALED = re.compile(
    rb"\s*Content-Type:\s*application/HTTP-\w+-session-encrypted\r\n"
    rb"\s*OriginalContent:[^\r\n]*;Length=(\d+)\r\n"
    rb"--Encrypted Boundary\r\n"
    rb"\s*Content-Type:\s*application/octet-stream\r\n"
    rb"(.*)",
    re.DOTALL | re.IGNORECASE,
)
_ORIGINAL = re.compile(rb"OriginalContent:\s*type=([^\r\n]*)", re.IGNORECASE)
_SIGNATURE_LENGTH = 4
_LARGEST_PIECE = 16384


class CannotDecrypt(Exception):
    """An encrypted body is malformed or belongs to another context."""


def is_encrypted(content_type: str) -> bool:
    """Return True if a body of that content type is encrypted."""
    return content_type.lower().startswith(("multipart/encrypted", "multipart/x-multi-encrypted"))


def decrypt(context: ContextProxy, body: bytes) -> bytes:
    """Return the decrypted body.

    Raises:
        CannotDecrypt: the body is malformed, or the context cannot decrypt it.
    """
    end = _END.search(body, max(0, len(body) - len(_BOUNDARY) - len("--\r\n")))
    nothing, *parts = _BETWEEN.split(body[: end.start()] if end else body)
    if end is None or nothing or not parts:
        raise CannotDecrypt
    return b"".join(_decrypt_part(context, part) for part in parts)


def original_type(body: bytes) -> str:
    """Return the content type of the message in an encrypted body, or "" if the body does not declare one."""
    found = _ORIGINAL.search(body)
    return found[1].decode("ascii", "replace") if found else ""


def _decrypt_part(context: ContextProxy, part: bytes) -> bytes:
    found = _SEALED.fullmatch(part)
    if found is None or len(found[2]) < _SIGNATURE_LENGTH:
        raise CannotDecrypt
    (length,) = struct.unpack("<I", found[2][:_SIGNATURE_LENGTH])
    header, data = found[2][_SIGNATURE_LENGTH:][:length], found[2][_SIGNATURE_LENGTH + length :]
    try:
        message = context.unwrap_winrm(header, data)
    except (SpnegoError, ValueError, struct.error):
        raise CannotDecrypt from None
    if len(message) != int(found[1]):
        raise CannotDecrypt
    return message


def encrypt(context: ContextProxy, scheme: str, message: bytes) -> tuple[str, bytes]:
    """Return the content type and the encrypted body of a message. `scheme` is that of the connection."""
    protocol = _PROTOCOLS.get(scheme, _SPNEGO)
    pieces = [message]
    if scheme == "credssp" and len(message) > _LARGEST_PIECE:
        pieces = [message[start : start + _LARGEST_PIECE] for start in range(0, len(message), _LARGEST_PIECE)]
    form = "multipart/encrypted" if len(pieces) == 1 else "multipart/x-multi-encrypted"
    parts = [_encrypt_part(context, protocol, piece) for piece in pieces]
    content_type = f'{form};protocol="{protocol}";boundary="Encrypted Boundary"'
    return content_type, b"".join(parts) + _BOUNDARY + b"--\r\n"


def _encrypt_part(context: ContextProxy, protocol: str, message: bytes) -> bytes:
    wrapped = context.wrap_winrm(message)
    original = f"type=application/soap+xml;charset=UTF-8;Length={len(message) + wrapped.padding_length}"
    lines = (
        _BOUNDARY,
        f"\tContent-Type: {protocol}".encode(),
        f"\tOriginalContent: {original}".encode(),
        _BOUNDARY,
        b"\tContent-Type: application/octet-stream",
        struct.pack("<I", len(wrapped.header)) + wrapped.header + wrapped.data,
    )
    return b"\r\n".join(lines)
