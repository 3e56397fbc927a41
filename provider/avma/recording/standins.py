"""Stand-ins for names, accounts and addresses: the same one for the same thing, whatever its spelling.

An address becomes one of the loopback network, so that a recording can be served on the computer that replays it.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable

_NETWORK = ipaddress.ip_address("127.77.0.0")
_NETWORK_6 = ipaddress.ip_address("2001:db8::")
"""Of RFC 3849, for documentation."""
_ADDRESS = "address"
_DNS_NAME = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)+")
_OTHER = "name0"
"""For a spelling that is found by ignoring case and is not the lower case of any name, as some letters make it."""
_LEADING_ZEROS = re.compile(r"(?<!\d)0+(?=\d)")


class Standins:
    """Gives stand-ins, and remembers for what."""

    def __init__(self) -> None:
        self._given: dict[tuple[str, str], str] = {}
        self._spelled: dict[str, str] = {}

    def name(self, name: str) -> str:
        """Return the stand-in of a machine's, a VM's, a cluster's or a network's name, or of an address."""
        if is_address(name):
            return self.address(name)
        if _DNS_NAME.fullmatch(name):
            label, _, domain = name.partition(".")
            return f"{self._one('name', label)}.{self._one('domain', domain)}.invalid"
        return self._one("name", name)

    def account(self, account: str) -> str:
        """Return the stand-in of a user name, its domain apart: `LAB\\svc` and `svc@lab.example` have one."""
        domain, separator, user = account.rpartition("\\")
        if separator:
            return f"{self.name(domain) if domain not in ('', '.') else domain}\\{self._one('user', user)}"
        user, separator, domain = account.partition("@")
        return f"{self._one('user', user)}@{self.name(domain)}" if separator else self._one("user", user)

    def address(self, address: str, reached: bool = False) -> str:
        """Return the stand-in of an IP address; `reached` says that a machine was reached there, and will be again."""
        address = _canonical(address)
        key = (_ADDRESS, address)
        if key not in self._given:
            network = _NETWORK_6 if ":" in address and not reached else _NETWORK
            given = (ipaddress.ip_address(standin) for (kind, _), standin in self._given.items() if kind == _ADDRESS)
            self._given[key] = str(network + 1 + sum(other.version == network.version for other in given))
        return self._given[key]

    def names(self) -> Iterable[str]:
        """Return every name that has a stand-in, no addresses, in each spelling that was met."""
        return self._spelled.keys()

    def known(self, name: str) -> str:
        """Return the stand-in of a name that was met, in whatever case."""
        return self._spelled.get(name) or self._spelled.get(name.lower(), _OTHER)

    def _one(self, kind: str, name: str) -> str:
        key = (kind, name.lower())
        if key not in self._given:
            number = 1 + sum(other == kind for other, _ in self._given)
            self._given[key] = f"{kind}{number}"
        self._spelled.update(dict.fromkeys((name, name.lower()), self._given[key]))
        return self._given[key]


def is_address(text: str) -> bool:
    """Say whether the text is an IP address, also with zeros before its numbers or with a zone behind it."""
    try:
        ipaddress.ip_address(_canonical(text))
    except ValueError:
        return False
    return True


def _canonical(address: str) -> str:
    """Return an address in its one form, as far as it is one."""
    text = address.partition("%")[0]
    try:
        return str(ipaddress.ip_address(text if ":" in text else _LEADING_ZEROS.sub("", text)))
    except ValueError:
        return text.lower()
