"""SOAP messages of WS-Management: functions to write requests and to find the body of an answer.

The forms are those of MS-WSMV and DMTF DSP0226.
"""

from __future__ import annotations

import re
import sys
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from avma.characters import xml_text
from avma.wsman import safe_xml

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

SOAP = "http://www.w3.org/2003/05/soap-envelope"
ADDRESSING = "http://schemas.xmlsoap.org/ws/2004/08/addressing"
ENUMERATION = "http://schemas.xmlsoap.org/ws/2004/09/enumeration"
TRANSFER = "http://schemas.xmlsoap.org/ws/2004/09/transfer"
WSMAN = "http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd"
WMI = "http://schemas.microsoft.com/wbem/wsman/1/wmi"
WQL_DIALECT = "http://schemas.microsoft.com/wbem/wsman/1/WQL"
XSI = "http://www.w3.org/2001/XMLSchema-instance"

MAX_ENVELOPE_SIZE = 512_000
"""Bytes. The default of Windows Server 2012 and later (MaxEnvelopeSizekb 500)."""
MAX_ELEMENTS = 32_000
"""The maximum number of items in the answer to one Pull (MaxBatchItems)."""

_ENVELOPE = """\
<s:Envelope xmlns:s="{soap}" xmlns:a="{addressing}" xmlns:w="{wsman}" xmlns:n="{enumeration}" \
xmlns:p="http://schemas.microsoft.com/wbem/wsman/1/wsman.xsd">\
<s:Header>\
<a:To>{to}</a:To>\
<w:ResourceURI s:mustUnderstand="true">{resource_uri}</w:ResourceURI>\
<a:ReplyTo><a:Address s:mustUnderstand="true">{addressing}/role/anonymous</a:Address></a:ReplyTo>\
<a:Action s:mustUnderstand="true">{action}</a:Action>\
<w:MaxEnvelopeSize s:mustUnderstand="true">{size}</w:MaxEnvelopeSize>\
<a:MessageID>uuid:{message_id}</a:MessageID>\
<w:Locale xml:lang="en-US" s:mustUnderstand="false"/>\
<p:DataLocale xml:lang="en-US" s:mustUnderstand="false"/>\
{selectors}{options}\
<w:OperationTimeout>PT{timeout:.3f}S</w:OperationTimeout>\
</s:Header>\
<s:Body>{body}</s:Body>\
</s:Envelope>"""


REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
"""The replacement for a character that XML forbids."""
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
"""It lists the characters, because the list of all others takes ten times as long to compile."""
_REFERENCE = re.compile(r"&#([0-9]{1,99}|[xX][0-9A-Fa-f]{1,99});")
_DECLARES_UTF_16 = re.compile(r"""\A<\?xml\s[^>]*encoding=["']utf-?16["'][^>]*\?>""", re.IGNORECASE)

CHECK_PORT = "check that the address and port belong to the WinRM service"
"""The remedy for an answer that is not WS-Management."""


class NotSoap(ValueError):
    """The answer is not a SOAP envelope."""


@dataclass(frozen=True)
class Message:
    """A request: its action, resource, selectors, body as XML text, and options."""

    action: str
    resource_uri: str
    body: str = ""
    selectors: tuple[tuple[str, str], ...] = ()
    options: tuple[tuple[str, str], ...] = ()

    def render(self, to: str, timeout: float) -> bytes:
        """Return the message for that endpoint. `timeout` limits the operation in seconds."""
        text = _ENVELOPE.format(
            soap=SOAP,
            addressing=ADDRESSING,
            wsman=WSMAN,
            enumeration=ENUMERATION,
            to=xml_text(to),
            resource_uri=xml_text(self.resource_uri),
            action=xml_text(self.action),
            size=MAX_ENVELOPE_SIZE,
            message_id=str(uuid.uuid4()).upper(),
            selectors=_selector_set(self.selectors),
            options=_option_set(self.options),
            timeout=timeout,
            body=self.body,
        )
        return text.encode()


@dataclass(frozen=True)
class CimMethod:
    """A method of a WMI class."""

    namespace: str
    cim_class: str
    name: str


def class_uri(namespace: str, cim_class: str) -> str:
    """Return the resource URI of a WMI class, or of all classes with `*`."""
    return f"{WMI}/{namespace.replace(chr(92), '/')}/{cim_class}"


def enumerate_query(namespace: str, wql: str, optimized: bool = True) -> Message:
    """Return a request for the result of a WQL query. If `optimized`, the first answer may contain items."""
    first = f"<w:OptimizeEnumeration/><w:MaxElements>{MAX_ELEMENTS}</w:MaxElements>" if optimized else ""
    body = f'<n:Enumerate>{first}<w:Filter Dialect="{WQL_DIALECT}">{xml_text(wql)}</w:Filter></n:Enumerate>'
    return Message(f"{ENUMERATION}/Enumerate", class_uri(namespace, "*"), body)


def pull(namespace: str, context: str) -> Message:
    """Return a request for the next page of an enumeration."""
    body = (
        f"<n:Pull><n:EnumerationContext>{xml_text(context)}</n:EnumerationContext>"
        f"<n:MaxElements>{MAX_ELEMENTS}</n:MaxElements></n:Pull>"
    )
    return Message(f"{ENUMERATION}/Pull", class_uri(namespace, "*"), body)


def release(namespace: str, context: str) -> Message:
    """Return a request to end an unfinished enumeration."""
    body = f"<n:Release><n:EnumerationContext>{xml_text(context)}</n:EnumerationContext></n:Release>"
    return Message(f"{ENUMERATION}/Release", class_uri(namespace, "*"), body)


def get(namespace: str, cim_class: str, keys: Mapping[str, str]) -> Message:
    """Return a request for one instance, by its key properties."""
    return Message(f"{TRANSFER}/Get", class_uri(namespace, cim_class), selectors=tuple(keys.items()))


def invoke(method: CimMethod, keys: Mapping[str, str], parameters: Mapping[str, str]) -> Message:
    """Return a request to call a method of one instance."""
    uri = class_uri(method.namespace, method.cim_class)
    arguments = "".join(f"<c:{name}>{xml_text(value)}</c:{name}>" for name, value in parameters.items())
    body = f'<c:{method.name}_INPUT xmlns:c="{xml_text(uri)}">{arguments}</c:{method.name}_INPUT>'
    return Message(f"{uri}/{method.name}", uri, body, tuple(keys.items()))


def body_of(answer: bytes) -> Element:
    """Return the Body element of an answer.

    Raises:
        NotSoap: the answer is not an XML SOAP envelope with a body, or uses unsafe XML features.
    """
    try:
        envelope = _parsed(answer)
    except ValueError as error:
        raise NotSoap(str(error)) from error
    body = envelope.find(f"{{{SOAP}}}Body") if envelope.tag == f"{{{SOAP}}}Envelope" else None
    if body is None:
        raise NotSoap("the answer is not a SOAP envelope")
    return body


def local_name(element: Element) -> str:
    """Return an element's name without its namespace."""
    return element.tag.rpartition("}")[2]


def _parsed(answer: bytes) -> Element:
    try:
        return safe_xml.parse(answer)
    except safe_xml.NotWellFormed:
        return safe_xml.parse(_mended(answer))


def _mended(answer: bytes) -> str:
    """Return an answer without the characters that XML 1.0 forbids and Windows writes nevertheless.

    WMI copies any character of a value into its answer, as `&#1;` or literally. If text in UTF-8 declares UTF-16, the
    declaration is wrong: the HTTP header decides (RFC 7303, 3.2, and recorded by WinRMSharp).
    """
    wide = answer.startswith((b"\xff\xfe", b"\xfe\xff", b"<\x00", b"\x00<"))
    text = answer.decode("utf-16" if wide else "utf-8-sig")
    text = _DECLARES_UTF_16.sub("", text)
    return _FORBIDDEN.sub(REPLACEMENT, _REFERENCE.sub(_allowed, text))


def _allowed(reference: re.Match[str]) -> str:
    """Return a character reference, or the replacement if XML forbids the character."""
    digits = reference[1]
    code = int(digits[1:], 16) if digits[0] in "xX" else int(digits)
    forbidden = code > sys.maxunicode or bool(_FORBIDDEN.fullmatch(chr(code)))
    return REPLACEMENT if forbidden else reference[0]


def _attribute(text: str) -> str:
    """Return a text as the value of an XML attribute, in quotes."""
    return f'"{xml_text(text).replace(chr(34), "&quot;")}"'


def _selector_set(selectors: tuple[tuple[str, str], ...]) -> str:
    if not selectors:
        return ""
    items = (f"<w:Selector Name={_attribute(name)}>{xml_text(value)}</w:Selector>" for name, value in selectors)
    return f"<w:SelectorSet>{''.join(items)}</w:SelectorSet>"


def _option_set(options: tuple[tuple[str, str], ...]) -> str:
    if not options:
        return ""
    items = (f"<w:Option Name={_attribute(name)}>{xml_text(value)}</w:Option>" for name, value in options)
    return f'<w:OptionSet s:mustUnderstand="true">{"".join(items)}</w:OptionSet>'
