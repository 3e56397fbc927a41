"""SOAP envelopes of WS-Management: parsing of requests, and answers with the prefixes of Windows.

See MS-WSMV and DSP0226.
"""

from __future__ import annotations

import re
import uuid
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from dataclasses import dataclass, field
from io import BytesIO, StringIO
from urllib.parse import urlsplit

import defusedxml
from defusedxml.ElementTree import fromstring, iterparse

from avma_simulator.wsman import wsman_faults
from avma_simulator.wsman.xmltree import element, serialised

NAMESPACES = {
    "s": "http://www.w3.org/2003/05/soap-envelope",
    "a": "http://schemas.xmlsoap.org/ws/2004/08/addressing",
    "n": "http://schemas.xmlsoap.org/ws/2004/09/enumeration",
    "w": "http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd",
    "x": "http://schemas.xmlsoap.org/ws/2004/09/transfer",
    "p": "http://schemas.microsoft.com/wbem/wsman/1/wsman.xsd",
}
ANONYMOUS = f"{NAMESPACES['a']}/role/anonymous"
XSI = "http://www.w3.org/2001/XMLSchema-instance"
CIM_COMMON = "http://schemas.dmtf.org/wbem/wscim/1/common"
IDENTITY = "http://schemas.dmtf.org/wbem/wsman/identity/1/wsmanidentity.xsd"
DEFAULT_ENVELOPE_SIZE = 512000
SMALLEST_ENVELOPE_SIZE = 8192
LONGEST_OPERATION = 60.0
"""Seconds (MaxTimeoutms). Windows silently reduces a longer OperationTimeout to this value."""
_CHARSET = re.compile(r'charset="?([A-Za-z0-9._-]+)', re.IGNORECASE)
_NUMBER = re.compile(r"[0-9]{1,18}")
_DURATION = re.compile(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?")


def qualified(name: str) -> str:
    """Return `prefix:name` in ElementTree's notation."""
    prefix, local = name.split(":")
    return f"{{{NAMESPACES[prefix]}}}{local}"


_KNOWN_HEADERS = {
    "a": ("To", "Action", "MessageID", "ReplyTo", "FaultTo", "From", "RelatesTo"),
    "w": ("ResourceURI", "SelectorSet", "OptionSet", "MaxEnvelopeSize", "OperationTimeout", "Locale"),
    "p": ("DataLocale", "SessionId", "OperationID", "SequenceId", "ActivityId"),
}
_UNDERSTOOD = {qualified(f"{prefix}:{name}") for prefix, names in _KNOWN_HEADERS.items() for name in names}


@dataclass(frozen=True)
class Request:
    """A request: the values of its headers, and the child of its Body, if there is one."""

    action: str
    resource: str
    message_id: str
    selectors: Mapping[str, str]
    envelope_size: int
    timeout: float
    body: ET.Element | None
    options: Mapping[str, str] = field(default_factory=dict)
    to: str = ""

    @property
    def operation(self) -> str:
        """The last part of the action, such as `Enumerate` or a method's name."""
        return self.action.rsplit("/", 1)[-1]

    def text(self, path: str) -> str | None:
        """Return the text of an element below the Body's child, or None if it is absent."""
        found = None if self.body is None else self.body.find(path, NAMESPACES)
        return None if found is None else (found.text or "").strip()


def decoded(message: bytes, content_type: str) -> str | bytes:
    """Decode a message with the charset of its Content-Type. Without a charset, return it unchanged.

    Recorded by WinRMSharp: the header overrides the XML declaration. UTF-8 that declares itself as UTF-16 is therefore
    readable.
    """
    charset = _CHARSET.search(content_type)
    if charset is None:
        return message
    try:
        return message.decode(charset[1]).removeprefix("\ufeff")
    except (LookupError, ValueError):
        return message


def parse(message: str | bytes) -> Request:
    """Parse a request.

    Raises:
        Fault: the message is not an envelope, or has headers that Windows rejects.
    """
    root = _root(message)
    header, body = root.find("s:Header", NAMESPACES), root.find("s:Body", NAMESPACES)
    if header is None:
        header = ET.Element("none")
    content = next(iter(body), None) if body is not None else None
    if content is not None and content.tag == f"{{{IDENTITY}}}Identify":
        return Request(f"{IDENTITY}/Identify", "", "", {}, DEFAULT_ENVELOPE_SIZE, LONGEST_OPERATION, content)
    _check_understood(header, message)
    options = header.iterfind("w:OptionSet/w:Option", NAMESPACES)
    return Request(
        action=_required(header, "a:Action"),
        resource=_text(header, "w:ResourceURI"),
        message_id=_text(header, "a:MessageID"),
        selectors=_selectors(header),
        envelope_size=_envelope_size(_text(header, "w:MaxEnvelopeSize")),
        timeout=min(seconds(_text(header, "w:OperationTimeout"), LONGEST_OPERATION), LONGEST_OPERATION),
        body=content,
        options={option.get("Name", ""): (option.text or "").strip() for option in options},
        to=_text(header, "a:To"),
    )


def addressing(message: str | bytes) -> tuple[str, str]:
    """Return the MessageID of a request and the host of its To. Unreadable values are empty."""
    try:
        root = _root(message)
        to = urlsplit((root.findtext("s:Header/a:To", "", NAMESPACES) or "").strip())
        return (root.findtext("s:Header/a:MessageID", "", NAMESPACES) or "").strip(), to.hostname or ""
    except (wsman_faults.Fault, ValueError):
        return "", ""


def envelope(
    action: str, relates_to: str, body: list[ET.Element], *headers: ET.Element, locale: str = "en-US"
) -> bytes:
    """Return an answer. Recorded by go-wsman: the Envelope names the language of the machine."""
    header = element(
        "s:Header",
        element("a:Action", action),
        element("a:MessageID", f"uuid:{str(uuid.uuid4()).upper()}"),
        element("a:To", ANONYMOUS),
        *headers,
    )
    if relates_to:
        header.append(element("a:RelatesTo", relates_to))
    declared = {f"xmlns__{prefix}": uri for prefix, uri in NAMESPACES.items()}
    return serialised(element("s:Envelope", header, element("s:Body", *body), xml__lang=locale, **declared))


def number(text: str) -> int:
    """Parse an unsigned number.

    Raises:
        Fault: the text is not a number.
    """
    if not _NUMBER.fullmatch(text):
        raise wsman_faults.schema_validation()
    return int(text)


def seconds(duration: str, otherwise: float) -> float:
    """Return the seconds of a duration such as `PT60.000S`, or `otherwise` for an empty text.

    Raises:
        Fault: the text is not a duration.
    """
    if not duration:
        return otherwise
    found = _DURATION.fullmatch(duration)
    if found is None:
        raise wsman_faults.schema_validation()
    days, hours, minutes, rest = (float(part or 0) for part in found.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + rest


def _root(message: str | bytes) -> ET.Element:
    try:
        root: ET.Element = fromstring(message, forbid_dtd=True)
    except (ET.ParseError, defusedxml.DefusedXmlException, ValueError, LookupError):
        raise wsman_faults.schema_validation() from None
    if root.tag != qualified("s:Envelope"):
        raise wsman_faults.schema_validation()
    return root


def _check_understood(header: ET.Element, message: str | bytes) -> None:
    for child in header:
        must = child.get(qualified("s:mustUnderstand"), "").lower() in ("true", "1")
        if must and child.tag not in _UNDERSTOOD:
            raise wsman_faults.not_understood(child.tag, _prefix(message, child.tag))
        if must and child.tag in (qualified("w:Locale"), qualified("p:DataLocale")):
            raise wsman_faults.locale_must_be_understood()


def _prefix(message: str | bytes, tag: str) -> str:
    """Return the last declared prefix for the namespace of an element. It is empty for the default namespace."""
    prefix = ""
    source = StringIO(message) if isinstance(message, str) else BytesIO(message)
    for event, found in iterparse(source, events=("start-ns", "start"), forbid_dtd=True):
        if event == "start-ns" and tag.startswith(f"{{{found[1]}}}"):
            prefix = found[0] or ""
        if event == "start" and found.tag == tag:
            break
    return prefix


def _text(header: ET.Element, name: str) -> str:
    return (header.findtext(name, "", NAMESPACES) or "").strip()


def _required(header: ET.Element, name: str) -> str:
    text = _text(header, name)
    if not text:
        raise wsman_faults.header_required(name)
    return text


def _selectors(header: ET.Element) -> dict[str, str]:
    found = header.iterfind("w:SelectorSet/w:Selector", NAMESPACES)
    return {selector.get("Name", ""): (selector.text or "").strip() for selector in found}


def _envelope_size(text: str) -> int:
    if not text:
        return DEFAULT_ENVELOPE_SIZE
    size = number(text)
    if size < SMALLEST_ENVELOPE_SIZE:
        raise wsman_faults.envelope_limit()
    return min(size, DEFAULT_ENVELOPE_SIZE)
