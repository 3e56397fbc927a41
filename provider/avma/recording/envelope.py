"""Rewriting a SOAP message for a recording: every value that is not known to tell nothing becomes a stand-in.

The text is changed in place, so prefixes, order and spelling stay those of the machine that sent it. What is kept: what
WS-Management itself needs, numbers, times and GUIDs, and the properties that are named here.
"""

from __future__ import annotations

import json
import re
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping
from html import unescape
from typing import Any
from xml.etree.ElementTree import ParseError
from xml.sax.saxutils import escape, quoteattr

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from avma.recording.sentences import Sentences
from avma.recording.standins import Standins, is_address
from avma.redaction import Redactor

NOT_XML = "[not XML]"
"""What stands for an answer that is no XML."""
NOT_JSON = "[not JSON]"
"""What stands for the input or output of a program that is none of this project's scripts."""

_LEAF = re.compile(r"<((?:[\w.-]+:)?([\w.-]+))((?:\s[^<>]*)?)>([^<]*(?:<!\[CDATA\[.*?\]\]>[^<]*)*)</\1\s*>", re.DOTALL)
_MIXED = re.compile(r"(<[^<>]*>)([^<>]*[^<>\s][^<>]*)(?=(</?))")
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_SELECTED = re.compile(r"""\sName=["'](\w+)["']""")
_TAG = re.compile(r"<[^<>]+>")
_ATTRIBUTE = re.compile(r"""(\s([\w.:-]+)=)(?:"([^"]*)"|'([^']*)')""")
_CDATA = re.compile(r"<!\[CDATA\[(.*?)\]\]>", re.DOTALL)
_LITERAL = re.compile(r"""'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)\"""")
_INSTALLATION_ID = re.compile(r"(?<!\d)(?:\d{48,}|\d{5,9}(?:[- ]\d{5,9}){6,})(?!\d)")
_GUID = r"(?:uuid:)?\{?[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}\}?"
_IDENTIFIER = re.compile(rf"\s*|{_GUID}|Microsoft:{_GUID}\\[\w\\-]+|http://schemas\.\S+", re.IGNORECASE)
_TELLS_NOTHING = re.compile(
    rf"{_IDENTIFIER.pattern}|[+-]?\d+|\d+(?:\.\d+){{1,3}}|true|false"
    r"|\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:\d\d)?|P[\dDTHMS.]+|Windows\(R\) Operating System, [\w()-]+ channel",
    re.IGNORECASE,
)


def _names(text: str) -> frozenset[str]:
    return frozenset(text.lower().split())


_KEPT = _names(
    # the protocol's own
    "Action MessageID RelatesTo ResourceURI EnumerationContext Value FaultDetail ShellId CommandId InputStreams "
    "OutputStreams State DesiredStream Command Arguments Code "
    "ProtocolVersion ProductVendor ProductVersion error_Type Operation ProviderName "
    # of Windows and its licence
    "Version LicenseFamily PartialProductKey ProductKeyChannel"
)
_SENTENCES = _names("Text Message error_Message error_WindowsErrorMessage ParameterInfo Description To")
"""What is written for people, or holds an address in its midst."""
_ACCOUNTS = _names("Owner UserName")
_NAMES = _names(
    "Name ElementName CSName DNSHostName HostName SystemName NodeName Node ClusterName Domain Workgroup Group Network "
    "FullyQualifiedDomainName Address MACAddress PermanentAddress SerialNumber IdentifyingNumber SMBIOSAssetTag "
    "Machine PSComputerName RegisteredUser Organization"
)
"""Properties in which even a number is a name; only the identifiers of Windows are kept of them."""
_ATTRIBUTES = _names(
    "mustUnderstand Name type nil lang Code Provider ProviderId Path End CommandId ShellId State Propagated Class "
    "ClassName Superclass NameSpace CIMVersion DTDVersion Frame"
)
"""Attributes of the protocols' own; those that declare prefixes are kept as well."""
_KEPT_ITEMS = _names(
    "OSName OSVersion OSMajorVersion OSMinorVersion OSBuildNumber OSEditionId OSPlatformId OSVendor OSSignature "
    "CSDVersion ProcessorArchitecture ProductType ServicePackMajor ServicePackMinor SuiteMask OSKernelVersion "
    "IntegrationServicesVersion OSDistributionName OSDistributionData"
)
"""What a guest tells through Data Exchange that says neither who nor where it is."""


class Rewriter:
    """Rewrites the messages of one recording."""

    def __init__(self, standins: Standins, secrets: Iterable[str]) -> None:
        self._standins = standins
        self._sentences = Sentences(standins)
        self._redact = Redactor()
        self._redact.learn(secrets)

    def learn(self, message: bytes) -> None:
        """Find out which names a message holds, so that sentences of others can be cleared of them."""
        self.message(message)

    def message(self, message: bytes) -> str:
        """Return a message as it may be handed on."""
        try:
            fromstring(message)
            text = self._rewritten(message.decode())
            fromstring(text)
        except (ParseError, DefusedXmlException, ValueError, LookupError):  # the last, of an encoding nobody knows
            return NOT_XML
        return text

    def text(self, text: str) -> str:
        """Return a sentence as it may be handed on."""
        return self._sentences.cleared(self._without_secrets(text))

    def _rewritten(self, text: str) -> str:
        text = _TAG.sub(lambda tag: _ATTRIBUTE.sub(self._attribute, tag[0]), _COMMENT.sub("", text))
        return self._without_secrets(_MIXED.sub(self._mixed, _LEAF.sub(self._leaf, text)))

    def _attribute(self, found: re.Match[str]) -> str:
        start, name, *values = found.groups()
        if name.startswith("xmlns") or name.rpartition(":")[2].lower() in _ATTRIBUTES:
            return found[0]
        return f"{start}{quoteattr(self._named(unescape(values[0] or values[1] or '')))}"

    def _leaf(self, found: re.Match[str]) -> str:
        tag, name, attributes, content = found.groups()
        before = unescape(_CDATA.sub(lambda part: escape(part[1]), content))
        after = self._value(_property(name, attributes), before)
        return found[0] if after == before else f"<{tag}{attributes}>{escape(after)}</{tag}>"

    def _mixed(self, found: re.Match[str]) -> str:
        """Rewrite text that stands beside elements, where only sentences do."""
        tag, content, following = found.groups()
        is_leaf = following == "</" and not tag.startswith("</") and not tag.endswith("/>")
        return found[0] if is_leaf else f"{tag}{escape(self.text(unescape(content)))}"

    def _value(self, name: str, value: str) -> str:
        if value.lstrip().startswith("<INSTANCE"):
            return self._embedded(value)
        if name == "stream":
            return self._stream(value)
        if name == "filter":
            return _LITERAL.sub(self._literal, value)
        if name in _SENTENCES and not _TELLS_NOTHING.fullmatch(value):
            return self.text(value)
        if name in _ACCOUNTS:
            return self._standins.account(value)
        if name in _NAMES:
            return self._named(value)
        if name in _KEPT and not is_address(value):
            return value
        return self._unless_plain(value)

    def _literal(self, found: re.Match[str]) -> str:
        """Rewrite a literal of WQL, whose escapes are those of a path: a backslash before a quote or a backslash."""
        quote, value = found[0][0], re.sub(r"\\(.)", r"\1", found[0][1:-1])
        after = self._named(value)
        return found[0] if after == value else f"{quote}{after}{quote}"

    def _stream(self, value: str) -> str:
        """Rewrite what a script was given or has written: lines of JSON, in Base64."""
        try:
            lines = [json.loads(line) for line in b64decode(value, validate=True).splitlines() if line.strip()]
        except ValueError:
            return b64encode(NOT_JSON.encode()).decode()
        # As `avma.windows.powershell` writes it, so that a replay knows the input again.
        return b64encode("\n".join(json.dumps(self._spoken(line)) for line in lines).encode()).decode()

    def _spoken(self, value: Any) -> Any:
        """Rewrite each text in a value of JSON, whose names of properties are what one wants to see."""
        if isinstance(value, Mapping):
            return {name: self._spoken(each) for name, each in value.items()}
        if isinstance(value, list):
            return [self._spoken(each) for each in value]
        return self.text(value) if isinstance(value, str) else value

    def _named(self, value: str) -> str:
        return value if _IDENTIFIER.fullmatch(value) else self._standins.name(value)

    def _unless_plain(self, value: str) -> str:
        if is_address(value):
            return self._standins.address(value)
        return value if _TELLS_NOTHING.fullmatch(value) else self._standins.name(value)

    def _embedded(self, instance: str) -> str:
        """Rewrite an item of Data Exchange: CIM-XML (DMTF DSP0201) with a Name and Data."""
        try:
            properties = {p.get("NAME"): p.findtext("VALUE") or "" for p in fromstring(instance).iter("PROPERTY")}
        except (ParseError, DefusedXmlException, ValueError):
            return NOT_XML
        if properties.get("Name", "").lower() in _KEPT_ITEMS:
            return instance
        data = ";".join(self._named(part) for part in properties.get("Data", "").split(";"))
        shown = (
            f'<PROPERTY NAME="{name}" TYPE="string"><VALUE>{escape(value)}</VALUE></PROPERTY>'
            for name, value in (("Data", data), ("Name", properties.get("Name", "")))
        )
        return f'<INSTANCE CLASSNAME="Msvm_KvpExchangeDataItem">{"".join(shown)}</INSTANCE>'

    def _without_secrets(self, text: str) -> str:
        return _INSTALLATION_ID.sub("[installation ID]", self._redact(text))


def _property(element: str, attributes: str) -> str:
    """Return the property whose value an element holds, in lower case: a selector names it in an attribute."""
    selected = _SELECTED.search(attributes) if element.lower() == "selector" else None
    return (selected[1] if selected else element).lower()
