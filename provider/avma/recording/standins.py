"""Stand-ins for identifying values. All spellings of a value have the same stand-in, in the shape of the value.

IPv4 addresses and the addresses of recorded machines become loopback addresses, so that the computer that replays a
recording can serve it.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator

from avma.recording import shapes

_NETWORK = ipaddress.ip_address("127.77.0.0")
_NETWORK_6 = ipaddress.ip_address("2001:db8::")
"""For documentation (RFC 3849)."""
_NETBIOS = 15
"""The maximum length of a NetBIOS name."""
_SHORTEST, _SHORTEST_NUMBER = 2, 4
"""The minimum lengths of names and numbers to replace in sentences. Shorter ones are frequent there and identify
nobody."""
_IDENTIFIERS = re.compile(
    rf"(?:uuid:|Microsoft:(?:Definition\\)?)?\{{?{shapes.GUID}\}}?(?:\\(?:{shapes.GUID}|Default|[DL]|\d{{1,3}}))*",
    re.IGNORECASE,
)
_GUID, _SID, _MAC = re.compile(shapes.GUID), re.compile(shapes.SID), re.compile(shapes.MAC)
_NUMBER, _VERSION, _DNS_NAME = re.compile(shapes.NUMBER), re.compile(shapes.VERSION), re.compile(shapes.DNS_NAME)
_PLAIN_WORD = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.$\\@-]*[A-Za-z0-9_])?")
_FORMS: dict[str, Callable[[int], str]] = {
    "name": "name{}".format,
    "user": "user{}".format,
    "domain": "domain{}".format,
    "guid": "00000000-0000-4000-8000-{:012}".format,
    "sid": "S-1-5-21-0-0-0-{}".format,
    # for documentation (RFC 7042)
    "mac": "00-00-5E-00-53-{:02X}".format,
    "version": "0.0.{}".format,
    "IPv4": lambda number: str(_NETWORK + number),
    "IPv6": lambda number: str(_NETWORK_6 + number),
}
STANDIN = r"(?:name|user)\d+|(?:name\d+\.)?domain\d+(?:\.invalid)?"


class Standins:
    """Assigns stand-ins to values, and remembers them."""

    def __init__(self) -> None:
        self._given: dict[tuple[str, str], str] = {}
        self._counts: Counter[str] = Counter()
        self._spoken: dict[str, str] = {}
        self._phrases: dict[str, str] = {}

    def of(self, value: str) -> str:
        """Return the stand-in of a value, in its shape."""
        if not value.strip() or _folded(value) in ("true", "false"):
            return value
        if ("name", _folded(value)) in self._given:
            return self.name(value)
        if _IDENTIFIERS.fullmatch(value):
            return _GUID.sub(lambda found: self.guid(found[0]), value)
        if shapes.address_in(value):
            return self.address(value)
        if _NUMBER.fullmatch(value):
            return self._number(value)
        for shape, kind in ((_SID, "sid"), (_MAC, "mac"), (_VERSION, "version")):
            if shape.fullmatch(value):
                return self._one(kind, value)
        if "\\" in value.strip("\\") or re.fullmatch(r"[^@\s]+@[^@\s]+", value):
            return self.account(value)
        return self.name(value)

    def name(self, name: str, from_field: bool = True) -> str:
        """Return the stand-in of an address, or of the name of a machine, a VM, a cluster or a network.

        `from_field` is False if the name came from a sentence. Then it stays in other sentences.
        """
        if shapes.address_in(name):
            return self.address(name)
        if ("domain", _folded(name)) in self._given:
            return self._one("domain", name)
        if _DNS_NAME.fullmatch(name):
            label, _, domain = name.rstrip(".").partition(".")
            given = f"{self._one('name', label, from_field)}.{self._one('domain', domain, from_field)}.invalid"
            for part in domain.split(".")[:-1] if from_field else ():
                self._one("name", part)
            return given
        return self._one("name", name, from_field)

    def account(self, account: str, from_field: bool = True) -> str:
        """Return the stand-in of a user name without its domain: `LAB\\svc` and `svc@lab.example` share one."""
        domain, separator, user = account.rpartition("\\")
        if separator:
            known = self.name(domain, from_field) if domain.strip(".\\") else domain
            return f"{known}\\{self._one('user', user, from_field)}"
        user, separator, domain = account.rpartition("@")
        if separator:
            return f"{self._one('user', user, from_field)}@{self.name(domain, from_field)}"
        return self._one("user", account, from_field)

    def address(self, address: str, reached: bool = False) -> str:
        """Return the stand-in of an IP address. If `reached` is True, it is the address of a recorded machine."""
        canonical = shapes.address_in(address) or address
        taken = self._given.get(("IPv4", canonical))
        return taken or self._one("IPv6" if ":" in canonical and not reached else "IPv4", canonical, False)

    def guid(self, guid: str) -> str:
        """Return the stand-in of a GUID. The nil GUID stays."""
        return guid if guid == shapes.NIL_GUID else self._one("guid", guid, False)

    def identifier(self, text: str) -> str:
        """Return the stand-in of a SID or a MAC address."""
        return self._one("sid" if _SID.fullmatch(text) else "mac", text, False)

    def known(self, word: str) -> str | None:
        """Return the stand-in of a word in a sentence, or None if the word is not a known name yet."""
        return self._spoken.get(word) or self._spoken.get(_folded(word))

    def phrases(self, sentence: str) -> list[str]:
        """Return the known names in a sentence that are not one plain word, the longest first."""
        folded = sentence.casefold()
        return sorted((name for name, key in self._phrases.items() if key in folded), key=len, reverse=True)

    def _number(self, number: str) -> str:
        sign = number[:1] if number[:1] in "+-" else ""
        digits = number[len(sign) :]
        if len(digits) == 1:
            return number
        first = 10 ** (len(digits) - 1)
        return sign + self._one(f"number of {len(digits)}", digits, len(digits) >= _SHORTEST_NUMBER, first)

    def _one(self, kind: str, text: str, from_field: bool = True, first: int = 0) -> str:
        key = (kind, _folded(text))
        if key not in self._given:
            self._counts[kind] += 1
            self._given[key] = _FORMS.get(kind, str)(first + self._counts[kind])
        if from_field and len(text) >= _SHORTEST:
            for spelling in _spellings(text):
                self._spoken.setdefault(spelling, self._given[key])
                if not _PLAIN_WORD.fullmatch(spelling):
                    self._phrases[spelling] = spelling.casefold()
        return self._given[key]


def _folded(text: str) -> str:
    return unicodedata.normalize("NFC", text.casefold())


def _spellings(text: str) -> Iterator[str]:
    """Yield the forms of a name in sentences. The upper and lower case of some names differ in length."""
    for cased in (text, text.lower(), text.upper(), text.casefold()):
        yield from (cased, unicodedata.normalize("NFC", cased), unicodedata.normalize("NFD", cased))
    if len(text) > _NETBIOS:
        yield from _spellings(text[:_NETBIOS])
