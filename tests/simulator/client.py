"""A small WinRM client for these tests, on top of pywinrm's transport."""

from __future__ import annotations

import uuid
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from html import escape
from typing import Any

from defusedxml.ElementTree import fromstring
from winrm.protocol import Protocol

PASSWORD = "Pa55w.rd"
WMI = "http://schemas.microsoft.com/wbem/wsman/1/wmi"
CIMV2 = f"{WMI}/root/cimv2"
HYPERV = f"{WMI}/root/virtualization/v2"
SERVICE = f"{CIMV2}/SoftwareLicensingService"
PRODUCT = f"{CIMV2}/SoftwareLicensingProduct"
ENUMERATION = "http://schemas.xmlsoap.org/ws/2004/09/enumeration"
TRANSFER = "http://schemas.xmlsoap.org/ws/2004/09/transfer"
WQL = "http://schemas.microsoft.com/wbem/wsman/1/WQL"
NS = {
    "s": "http://www.w3.org/2003/05/soap-envelope",
    "a": "http://schemas.xmlsoap.org/ws/2004/08/addressing",
    "n": ENUMERATION,
    "w": "http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd",
    "f": "http://schemas.microsoft.com/wbem/wsman/1/wsmanfault",
    "e": "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/MSFT_WmiError",
}
Row = dict[str, list[Any]]
"""The properties of a row. Each has a list of texts, or of None for `xsi:nil`."""
OPTIMISED = "<w:OptimizeEnumeration/><w:MaxElements>32000</w:MaxElements>"


def envelope(
    action: str,
    resource: str,
    body: str = "",
    selectors: Mapping[str, str] | None = None,
    size: int = 512000,
    timeout: str = "PT20S",
    headers: str = "",
) -> str:
    declared = " ".join(f"xmlns:{prefix}='{uri}'" for prefix, uri in NS.items())
    chosen = "".join(
        f"<w:Selector Name='{escape(name)}'>{escape(value)}</w:Selector>" for name, value in (selectors or {}).items()
    )
    return (
        f"<s:Envelope {declared}><s:Header><a:To>http://windows-host:5985/wsman</a:To>"
        f"<w:ResourceURI s:mustUnderstand='true'>{escape(resource)}</w:ResourceURI>"
        f"<a:Action s:mustUnderstand='true'>{escape(action)}</a:Action>"
        f"<w:MaxEnvelopeSize s:mustUnderstand='true'>{size}</w:MaxEnvelopeSize>"
        f"<a:MessageID>uuid:{uuid.uuid4()}</a:MessageID><w:OperationTimeout>{timeout}</w:OperationTimeout>"
        f"{f'<w:SelectorSet>{chosen}</w:SelectorSet>' if chosen else ''}{headers}"
        f"</s:Header><s:Body>{body}</s:Body></s:Envelope>"
    )


class Client:
    """One connection to one machine."""

    def __init__(
        self,
        url: str,
        username: str = "Administrator",
        password: str = PASSWORD,
        auth: str = "ntlm",
        ca: str | None = None,
        **options: Any,
    ) -> None:
        self.received = 0
        given: dict[str, Any] = {"transport": auth, "ca_trust_path": ca, "proxy": None, **options}
        self.protocol = Protocol(url, username=username, password=password, **given)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *error: object) -> None:
        self.protocol.transport.close_session()

    def send(self, message: str) -> ET.Element:
        answer = self.protocol.send_message(message)
        self.received = len(answer)
        return fromstring(answer)

    def enumerate(self, query: str | None, resource: str = f"{CIMV2}/*", **options: Any) -> ET.Element:
        extra = str(options.pop("extra", OPTIMISED))
        dialect = str(options.pop("dialect", WQL))
        text = "" if query is None else f"<w:Filter Dialect='{dialect}'>{escape(query)}</w:Filter>"
        body = f"<n:Enumerate>{extra}{text}</n:Enumerate>"
        return self.send(envelope(f"{ENUMERATION}/Enumerate", resource, body, **options))

    def pull(self, context: str, elements: int | None = 32000, **options: Any) -> ET.Element:
        most = "" if elements is None else f"<n:MaxElements>{elements}</n:MaxElements>"
        body = f"<n:Pull><n:EnumerationContext>{context}</n:EnumerationContext>{most}</n:Pull>"
        return self.send(envelope(f"{ENUMERATION}/Pull", f"{CIMV2}/*", body, **options))

    def query(self, text: str, resource: str = f"{CIMV2}/*") -> list[Row]:
        """Return all rows of a query. Each property has a list of values."""
        answer = self.enumerate(text, resource)
        rows = items(answer)
        while (name := context(answer)) is not None:
            answer = self.pull(name)
            rows += items(answer)
        return [properties(row) for row in rows]

    def get(self, resource: str, selectors: Mapping[str, str]) -> Row:
        answer = self.send(envelope(f"{TRANSFER}/Get", resource, selectors=selectors))
        return properties(body_of(answer)[0])

    def invoke(
        self, resource: str, method: str, selectors: Mapping[str, str], timeout: str = "PT20S", **arguments: str
    ) -> ET.Element:
        given = "".join(f"<p:{name}>{escape(value)}</p:{name}>" for name, value in arguments.items())
        body = f"<p:{method}_INPUT xmlns:p='{resource}'>{given}</p:{method}_INPUT>"
        return self.send(envelope(f"{resource}/{method}", resource, body, selectors, timeout=timeout))

    def install(self, key: str) -> ET.Element:
        version = self.query("SELECT Version FROM SoftwareLicensingService")[0]["Version"][0]
        return self.invoke(SERVICE, "InstallProductKey", {"Version": str(version)}, ProductKey=key)

    def activate(self, timeout: str = "PT20S") -> ET.Element:
        return self.invoke(PRODUCT, "Activate", {"ID": str(self.installed()["ID"][0])}, timeout)

    def installed(self) -> Row:
        (row,) = self.query("SELECT * FROM SoftwareLicensingProduct WHERE PartialProductKey IS NOT NULL")
        return row


def body_of(answer: ET.Element) -> ET.Element:
    """Return the body of a SOAP message."""
    body = answer.find("s:Body", NS)
    assert body is not None
    return body


def items(answer: ET.Element) -> list[ET.Element]:
    found = [*answer.iter(f"{{{NS['w']}}}Items"), *answer.iter(f"{{{NS['n']}}}Items")]
    return [item for group in found for item in group]


def context(answer: ET.Element) -> str | None:
    return answer.findtext(f".//{{{NS['n']}}}EnumerationContext") or None


def properties(row: ET.Element) -> Row:
    read: Row = {}
    for child in row:
        nil = child.get("{http://www.w3.org/2001/XMLSchema-instance}nil") == "true"
        value = child[0].text if len(child) else (child.text or "")
        read.setdefault(child.tag.rpartition("}")[2], []).append(None if nil else value)
    return read
