"""Host names and IP addresses: their accepted spellings, and the canonical spelling for comparisons.

System resolvers accept far more than `ipaddress` does. `getaddrinfo` reads a leading zero as octal and `0x` as
hexadecimal, and it fills in missing numbers. So `10.0.0.011` reaches 10.0.0.9, and `127.1` reaches 127.0.0.1. If the
last label of a text is a number, `ipaddress` must accept the text, or it is invalid. The URL Standard has the same
rule.
"""

from __future__ import annotations

import functools
import ipaddress
import re
from collections.abc import Iterable

from avma import characters, topics
from avma.wording import setting

_Ip = ipaddress.IPv4Address | ipaddress.IPv6Address

_LABEL = r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_NUMBER = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*")
_FOREIGN = re.compile(r"[^A-Za-z0-9._-]")
_LONGEST_NAME = 253
_THIS_NETWORK = ipaddress.ip_network("0.0.0.0/8")
_BROADCAST = ipaddress.ip_address("255.255.255.255")
_BYTES = 4


@topics.explained_by(topics.INVALID_HOST)
def host_name_error(text: str) -> str | None:
    """Return why a text cannot be a host name or an IP address, or None if it can."""
    if not text:
        return "must not be empty"
    hidden = characters.hidden_error(text)
    if hidden:
        return hidden
    address = parse_ip(text)
    if address is not None:
        return _unusable(address, text)
    if not text.isascii():
        return _not_ascii(text)
    return _form_error(text) or _number_error(text) or _name_error(text)


def canonical(text: str) -> str:
    """Return the canonical spelling of a host.

    A name is in lower case without a final dot. An address is in its shortest form. An IPv4-mapped IPv6 address becomes
    the IPv4 address, because both reach the same machine.
    """
    address = parse_ip(text)
    return text.removesuffix(".").lower() if address is None else str(address)


def doubled_error(hosts: Iterable[str]) -> str | None:
    """Return an error if a list contains a host twice, or None."""
    seen: dict[str, str] = {}
    for host in hosts:
        first = seen.get(canonical(host))
        if first is not None:
            also = f" (`{first}` is the same host)" if first != host else ""
            return f"the list contains `{host}` twice{also}"
        seen[canonical(host)] = host
    return None


@functools.lru_cache(1024)
def parse_ip(text: str) -> _Ip | None:
    """Return the IP address in a text, or None if its spelling is not strict. IPv4-mapped addresses become IPv4."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def is_local(text: str) -> bool:
    """Return True for a loopback address or `localhost`."""
    address = parse_ip(text)
    return canonical(text) == "localhost" if address is None else address.is_loopback


def _unusable(address: _Ip, text: str) -> str | None:
    """Return why an address cannot belong to one machine, or None if it can."""
    if "%" in text:
        return f"`{text}` must not have a zone index, such as `%eth0`"
    if address == _BROADCAST or address.is_multicast:
        return f"`{text}` is the address of a group, not of one machine"
    if address.is_unspecified or (address.version == _BYTES and address in _THIS_NETWORK):
        return f"`{text}` is not the address of a machine: a connection to it would reach this computer"
    return None


def _not_ascii(text: str) -> str:
    position, foreign = next((place, each) for place, each in enumerate(text, 1) if not each.isascii())
    problem = f"contains {characters.describe(foreign)}, at position {position}"
    meant = characters.to_ascii(text)
    if meant.isascii() and host_name_error(meant) is None:
        return f"{problem}. Write `{meant}` if you mean that"
    return f"{problem}. Write an international name in its ASCII form, which begins with `xn--`"


def _form_error(text: str) -> str | None:
    """Return an error for a host with something around it: a scheme, a port, brackets or a path."""
    shown = characters.shown(text)
    bare = text.removeprefix("[").removesuffix("]")
    if bare != text and parse_ip(bare) is not None:
        return f"`{shown}` has brackets around the address. Write `{bare}`"
    if "://" in text or "/" in text or "@" in text:
        return f"`{shown}` is not a host name or an IP address. Write the host alone, without a scheme, account or path"
    host, colon, port = text.rpartition(":")
    if colon and port.isdigit() and (_NAME.fullmatch(host) or parse_ip(host.removeprefix("[").removesuffix("]"))):
        return f"`{shown}` has a port. Write the host alone, and set {setting('port', port)}"
    return None


def _number_error(text: str) -> str | None:
    """Return why a text that ends in a number is not an address, or None if it does not end in a number.

    `ipaddress` has already rejected the text. The error names the address that the user probably means, and the address
    that a resolver would reach.
    """
    name = text.removesuffix(".")
    if not _NUMBER.fullmatch(name.rpartition(".")[2]):
        return None
    shown, meant, reached = characters.shown(text), _meant(name), _reached(name)
    if meant is not None and reached is not None and meant != reached:
        reason = f"you probably mean `{meant}`, but system resolvers read a leading zero as octal and reach `{reached}`"
        return f"`{shown}` is not a valid IP address: {reason}. Write `{meant}`"
    if meant is not None:
        return f"`{shown}` is not a valid IP address: you probably mean `{meant}`. Write `{meant}`"
    if reached is not None:
        reason = f"a host name does not end in a number, and system resolvers would reach `{reached}`"
        return f"`{shown}` is not a valid IP address: {reason}. Write the address as four decimal numbers"
    reason = "an IP address has four numbers from 0 to 255, and a host name does not end in a number"
    return f"`{shown}` is not a host name or an IP address: {reason}"


def _name_error(text: str) -> str | None:
    shown = characters.shown(text)
    bare = text.removesuffix(".")
    if len(bare) > _LONGEST_NAME:
        return f"`{shown}` is longer than {_LONGEST_NAME} characters, the limit for a host name"
    if not _NAME.fullmatch(bare):
        foreign = _FOREIGN.search(text)
        reason = f" ({foreign[0]!r} at position {foreign.start() + 1} is not allowed)" if foreign else ""
        return f"`{shown}` is not a host name or an IP address{reason}"
    return f"`{shown}` ends with a dot. Write `{bare}`" if bare != text else None


def _meant(text: str) -> ipaddress.IPv4Address | None:
    """Return the address that a person means by four decimal numbers with leading zeros."""
    parts = text.split(".")
    if len(parts) != _BYTES or not all(part.isdigit() for part in parts):
        return None
    try:
        return ipaddress.IPv4Address(".".join(part.lstrip("0") or "0" for part in parts))
    except ValueError:
        return None


def _reached(text: str) -> ipaddress.IPv4Address | None:
    """Return the address that `inet_aton` reads: octal, hexadecimal, and a last number for several bytes."""
    parts = text.split(".")
    if len(parts) > _BYTES:
        return None
    try:
        *first, last = (_number(part) for part in parts)
    except ValueError:
        return None
    places = _BYTES - len(first)
    if any(part > 0xFF for part in first) or last >= 1 << (8 * places):
        return None
    value = last
    for place, part in enumerate(first):
        value |= part << (8 * (_BYTES - 1 - place))
    return ipaddress.IPv4Address(value)


def _number(part: str) -> int:
    """Return a number as `strtoul` reads it.

    Raises:
        ValueError: the text is not a number.
    """
    if not _NUMBER.fullmatch(part):
        raise ValueError(part)
    if part[:2].lower() == "0x":
        return int(part[2:] or "0", 16)
    return int(part, 8 if part.startswith("0") else 10)
