"""The domains of an estate: their members and their accounts.

`domains` in the estate file declares them. In a file without it, user names imply the domains.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from avma_simulator.state.accounts import Account, Domain

if TYPE_CHECKING:
    from avma_simulator.estate import Estate, Machine
    from avma_simulator.fields import Location


@dataclass(frozen=True)
class UserName:
    """A user name in its parts. `domain` is empty for a local account."""

    user: str
    domain: str = ""


def split(username: str, machine: str) -> UserName:
    """Return the parts of `user`, `.\\user`, `MACHINE\\user`, `DOMAIN\\user` or `user@domain`."""
    domain, backslash, user = username.rpartition("\\")
    if backslash:
        return UserName(user) if domain.lower() in (".", machine.lower()) else UserName(user, domain)
    user, _, suffix = username.partition("@")
    return UserName(user, suffix)


class Domains:
    """The domains of an estate and their accounts."""

    def __init__(self, declared: Estate) -> None:
        self._declared = [Domain(one.name, one.dns_name or one.name.lower()) for one in declared.domains]
        self._known = self._declared or _mentioned(declared)
        self._accounts = [
            Account(account.username, account.password, domain)
            for domain, one in zip(self._declared, declared.domains, strict=True)
            for account in one.accounts
        ]
        for _, machine in declared.machines():
            account = self.own_account(machine)
            if account is not None and account.domain is not None and account not in self._accounts:
                self._accounts.append(account)

    def find(self, name: str) -> Domain | None:
        """Return the domain with that NetBIOS or DNS name, or None."""
        return next((domain for domain in self._known if name.lower() in domain.names), None)

    def own_account(self, machine: Machine) -> Account | None:
        """Return the declared account of a machine. Return None without one, or if its domain does not exist."""
        if machine.username is None or machine.password is None:
            return None
        name = split(machine.username, machine.computer_name)
        domain = self.find(name.domain) if name.domain else None
        if name.domain and domain is None:
            return None
        return Account(name.user, machine.password, domain)

    def domain_of(self, machine: Machine) -> Domain | None:
        """Return the domain of a machine: the declared one, or else that of its account."""
        if machine.domain is not None:
            return self.find(machine.domain)
        account = self.own_account(machine)
        return account.domain if account else None

    def accounts_of(self, machine: Machine) -> list[Account]:
        """Return the accounts of a machine: its own, and all of its domain."""
        own, domain = self.own_account(machine), self.domain_of(machine)
        of_domain = [account for account in self._accounts if domain is not None and account.domain == domain]
        return of_domain if own is None or own in of_domain else [own, *of_domain]

    def mistakes(self, declared: Estate) -> Iterator[tuple[Location, str]]:
        """Yield each contradiction with its location in the file."""
        passwords = {_key(account): account.password for account in reversed(self._accounts)}
        for location, machine in declared.machines():
            yield from self._mistakes_of(location, machine)
            own = self.own_account(machine)
            if own is not None and own.domain is not None and own.password != passwords[_key(own)]:
                yield (*location, "password"), "differs from another password of this domain account in the file"

    def _mistakes_of(self, location: Location, machine: Machine) -> Iterator[tuple[Location, str]]:
        if machine.domain is not None and self.find(machine.domain) is None:
            yield (*location, "domain"), "is not one of `domains`"
        name = split(machine.username or "", machine.computer_name)
        if not name.domain:
            return
        found = self.find(name.domain)
        if found is None:
            yield (*location, "username"), f"{name.domain} is not one of `domains`"
        elif machine.domain is not None and self.find(machine.domain) not in (None, found):
            yield (*location, "username"), "is an account of a different domain than the machine"


def _key(account: Account) -> tuple[str, Domain | None]:
    return account.username.lower(), account.domain


def _mentioned(declared: Estate) -> list[Domain]:
    """Return the domains in the user names and machines. The first label of a DNS name is the NetBIOS name."""
    names = [one for _, machine in declared.machines() for one in _names_of(machine)]
    found: dict[str, str] = {}
    # DNS names come first because they carry both names.
    for name in sorted(names, key=lambda name: "." not in name):
        found.setdefault(name.partition(".")[0].upper(), name.lower())
    return [Domain(name, dns_name) for name, dns_name in found.items()]


def _names_of(machine: Machine) -> list[str]:
    account = split(machine.username or "", machine.computer_name).domain
    return [name for name in (account, machine.domain) if name]
