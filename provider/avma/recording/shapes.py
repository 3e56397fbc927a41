"""Regular expressions for the forms of values: addresses, identifiers, numbers."""

from __future__ import annotations

import ipaddress
import re

GUID = r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"
NIL_GUID = "00000000-0000-0000-0000-000000000000"
SID = r"[Ss]-1-\d+(?:-\d+)+"
WELL_KNOWN_SID = r"[Ss]-1-\d{1,2}(?:-\d{1,3}){1,2}"
"""SIDs that every Windows has, such as S-1-5-18 and S-1-5-32-544. SIDs of machines and domains have longer numbers."""
_HEX = "[0-9A-Fa-f]"
MAC = rf"(?:{_HEX}{{2}}[-:. ]){{5}}{_HEX}{{2}}|(?:{_HEX}{{4}}[-:.]){{2}}{_HEX}{{4}}|{_HEX}{{12}}"
NUMBER = r"[+-]?\d+"
VERSION = r"\d+(?:\.\d+){1,3}"
_INTERVAL = r"P(?=\d|T\d)(?:\d+D)?(?:T(?:\d+(?:\.\d+)?[HMS])+)?"
TIME = rf"\d{{4}}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:\d\d)?|\d{{14}}\.\d{{6}}[+-]\d{{3}}|{_INTERVAL}"
"""A datetime in the form of WS-Management (MS-WSMV 2.2.4) or WMI, or an interval."""
SCHEMA_URI = (
    r"(?:https?://(?:schemas\.(?:microsoft\.com|xmlsoap\.org|dmtf\.org)|www\.w3\.org)(?:/[\w./*#-]*)?"
    r"|https?://go\.microsoft\.com/fwlink/\?LinkI[dD]=\d+)"
)
CIM_CLASS = (
    r"(?:Win32|CIM|Msvm|MSFT|MSCluster)_[A-Za-z0-9]+|SoftwareLicensing(?:Service|Product)|__ExtendedStatus"
    r"|AvmaHasNoSuchClass"
)
DNS_NAME = r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)+\.?"

_BYTES = re.compile(r"\d{1,3}(?:\.\d{1,3}){3}")
_LARGEST_BYTE = 255


def address_in(text: str) -> str | None:
    """Return the IP address in a text in its canonical form, or None if the text is not an address.

    Leading zeros of a number and the zone of an IPv6 address (`%eth0`) are lost.
    """
    if _BYTES.fullmatch(text):
        parts = [int(part) for part in text.split(".")]
        return ".".join(map(str, parts)) if max(parts) <= _LARGEST_BYTE else None
    try:
        return str(ipaddress.ip_address(text.partition("%")[0]))
    except ValueError:
        return None
