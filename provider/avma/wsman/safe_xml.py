"""The parser of XML from other machines. It rejects document types, so no text can expand entities or read files."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element


class Rejected(ValueError):
    """The text is not XML, or uses unsafe features of XML."""


class NotWellFormed(Rejected):
    """The text is not well-formed XML."""


def parse(text: bytes | str) -> Element:
    """Return the root element of an XML text.

    Raises:
        NotWellFormed: the text is not well-formed.
        Rejected: the text has a document type, or its encoding is not known.
    """
    # The parser is slow to import, and nothing needs it before the first answer of a machine.
    from xml.etree.ElementTree import ParseError, fromstring
    from xml.parsers.expat import ExpatError, ParserCreate

    # defusedxml forbids document types with the same handler, but its parser is written in Python. Two parsers in C
    # take half of its time, and a report of many guests mostly parses. The encoding of bytes can hide a document type.
    guard = ParserCreate()
    guard.StartDoctypeDeclHandler = _reject
    try:
        if isinstance(text, bytes) or "<!DOCTYPE" in text:
            guard.Parse(text, True)
        return fromstring(text)  # noqa: S314 - a text with a document type does not get here
    except (ParseError, ExpatError) as error:
        raise NotWellFormed(str(error)) from error
    except (ValueError, LookupError) as error:
        raise Rejected(str(error)) from error


def _reject(*_: object) -> None:
    raise Rejected("the text has a document type")
