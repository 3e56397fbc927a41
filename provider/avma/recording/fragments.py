"""Anonymous PowerShell remoting for a recording: fragments of messages with CLIXML ([MS-PSRP])."""

from __future__ import annotations

import struct
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from xml.etree.ElementTree import ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from avma.wsman import clixml

_FRAGMENT = struct.Struct(">QQBI")
_WHOLE = 3
"""The flags of a fragment that contains a whole message."""
_HEADER = 40
"""The number of bytes before a message's data: destination, type, pool and pipeline."""
_BOM = b"\xef\xbb\xbf"
_NUMBERS = frozenset({"B", "By", "SB", "I16", "U16", "I32", "U32", "I64", "U64", "Sg", "Db", "D", "Version", "C"})
_TEXTS = frozenset({"S", "ToString"})
_TYPE, _OF_MICROSOFT = "T", ("System.", "Microsoft.", "Deserialized.")


class NotFragments(ValueError):
    """The bytes are not whole fragments of whole messages."""


def rewritten(data: bytes, rewrite: Callable[[str], str]) -> bytes:
    """Return the fragments with each text rewritten, and without secrets, bytes and values of other types.

    Raises:
        NotFragments: the fragments are unreadable.
    """
    return b"".join(_fragment(*parts, rewrite) for parts in _fragments(data))


def _fragments(data: bytes) -> Iterator[tuple[int, bytes]]:
    position = 0
    while position < len(data):
        if position + _FRAGMENT.size > len(data):
            raise NotFragments("a part of a fragment")
        identifier, _, flags, length = _FRAGMENT.unpack_from(data, position)
        position += _FRAGMENT.size + length
        message = data[position - length : position]
        if flags != _WHOLE or len(message) != length or length < _HEADER:
            raise NotFragments("a part of a message")
        yield identifier, message


def _fragment(identifier: int, message: bytes, rewrite: Callable[[str], str]) -> bytes:
    body = message[_HEADER:].removeprefix(_BOM)
    kept = message[:_HEADER] + (_BOM + _document(body, rewrite) if body else b"")
    return _FRAGMENT.pack(identifier, 0, _WHOLE, len(kept)) + kept


def _document(body: bytes, rewrite: Callable[[str], str]) -> bytes:
    try:
        root = fromstring(body, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError, LookupError) as error:
        raise NotFragments(str(error)) from error
    for element in root.iter():
        element.tail = None
        if element.text is not None:
            element.text = _value(element, rewrite)
    return bytes(ET.tostring(root, encoding="utf-8"))


def _value(element: ET.Element, rewrite: Callable[[str], str]) -> str | None:
    text = element.text or ""
    if element.tag in _NUMBERS or (element.tag == _TYPE and text.startswith(_OF_MICROSOFT)):
        return text
    return clixml.encoded(rewrite(clixml.decoded(text))) if element.tag in _TEXTS else None
