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
from xml.sax.saxutils import escape

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from avma.recording.standins import Standins, is_address
from avma.redaction import Redactor

NOT_XML = "[not XML]"
"""What stands for an answer that is no XML."""
NOT_JSON = "[not JSON]"
"""What stands for the input or output of a program that is none of this project's scripts."""

_LEAF = re.compile(r"<((?:[\w.-]+:)?([\w.-]+))((?:\s[^<>]*)?)>([^<]*(?:<!\[CDATA\[.*?\]\]>[^<]*)*)</\1\s*>", re.DOTALL)
_MIXED = re.compile(r"(<[^<>]*>)([^<>]*[^<>\s][^<>]*)(?=(</?))")
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_MACHINE = re.compile(r'(\sMachine=")([^"]*)(")')
_CDATA = re.compile(r"<!\[CDATA\[(.*?)\]\]>", re.DOTALL)
_LITERAL = re.compile(r"'([^']*)'")
_IP_ADDRESS = re.compile(
    r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?!\w|\.\d)|(?<![\w:.])[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}(?![\w:])"
)
_INSTALLATION_ID = re.compile(r"(?<!\d)(?:\d{48,}|\d{5,9}(?:[- ]\d{5,9}){6,})(?!\d)")
_GUID = r"(?:uuid:)?\{?[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}\}?"
_TELLS_NOTHING = re.compile(
    rf"\s*|[+-]?\d+|\d+(?:\.\d+){{1,3}}|true|false|{_GUID}|Microsoft:{_GUID}\\[\w\\-]+|http://schemas\.\S+"
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
        self._redact = Redactor()
        self._redact.learn(secrets)

    def learn(self, message: bytes) -> None:
        """Find out which names a message holds, so that sentences of others can be cleared of them."""
        self.message(message)

    def message(self, message: bytes) -> str:
        """Return a message as it may be handed on."""
        try:
            fromstring(message)
            text = _COMMENT.sub("", message.decode())
        except (ParseError, DefusedXmlException, ValueError):
            return NOT_XML
        text = _MACHINE.sub(
            lambda found: f"{found[1]}{escape(self._standins.name(unescape(found[2])))}{found[3]}", text
        )
        text = _MIXED.sub(self._mixed, _LEAF.sub(self._leaf, text))
        return self._without_secrets(text)

    def text(self, text: str) -> str:
        """Return a sentence as it may be handed on."""
        text = _IP_ADDRESS.sub(lambda found: self._address(found[0]), text)
        return self._without_secrets(self._standins.spoken(text))

    def _leaf(self, found: re.Match[str]) -> str:
        tag, name, attributes, content = found.groups()
        before = unescape(_CDATA.sub(lambda part: escape(part[1]), content))
        after = self._value(name.lower(), before)
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
            return _LITERAL.sub(lambda found: f"'{self._unless_plain(found[1])}'", value)
        if name in _SENTENCES and not _TELLS_NOTHING.fullmatch(value):
            return self.text(value)
        if name in _ACCOUNTS:
            return self._standins.account(value)
        if name in _KEPT and not is_address(value):
            return value
        return self._unless_plain(value)

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
        data = ";".join(self._unless_plain(part) for part in properties.get("Data", "").split(";"))
        shown = (
            f'<PROPERTY NAME="{name}" TYPE="string"><VALUE>{escape(value)}</VALUE></PROPERTY>'
            for name, value in (("Data", data), ("Name", properties.get("Name", "")))
        )
        return f'<INSTANCE CLASSNAME="Msvm_KvpExchangeDataItem">{"".join(shown)}</INSTANCE>'

    def _address(self, text: str) -> str:
        return self._standins.address(text) if is_address(text) else text

    def _without_secrets(self, text: str) -> str:
        return _INSTALLATION_ID.sub("[installation ID]", self._redact(text))
