"""The accounts of a machine, and the files from which pyspnego reads them.

A machine has a local account. As a member of a domain it also accepts the accounts of that domain.

pyspnego's NTLM acceptor reads accounts from the file in the environment variable NTLM_USER_FILE. Kerberos reads the
machine's key from the keytab in KRB5_KTNAME. Each machine has its own files. The variables point to them only while the
machine examines a token.
"""

from __future__ import annotations

import hmac
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from spnego._ntlm_raw.crypto import ntowfv1  # no public name exists for this hash of the account file

from avma_simulator.state.lockout import Lockout

_ACCOUNTS = "NTLM_USER_FILE"
_KEYTAB = "KRB5_KTNAME"
_ENVIRONMENT = threading.Lock()
_SAME_AS_UNSET = {_ACCOUNTS: "", _KEYTAB: "FILE:/etc/krb5.keytab"}
"""Values that mean the same as no variable. The second is the default of MIT Kerberos (krb5.conf, default_keytab_name).

A variable must never go away: another thread that lists the environment at that moment would fail with a KeyError.
"""
_NO_LM_HASH = "0" * 32


@dataclass(frozen=True)
class Domain:
    """A domain: its NetBIOS name and its DNS name.

    The DNS name is also the realm and the suffix of user principal names.
    """

    name: str
    dns_name: str

    @property
    def names(self) -> tuple[str, str]:
        """The names of the domain in lower case."""
        return self.name.lower(), self.dns_name.lower()


@dataclass(frozen=True)
class Account:
    """An account of a domain, or of one machine if `domain` is not set."""

    username: str
    password: str = field(repr=False)
    domain: Domain | None = None


class Accounts:
    """The accounts of one machine, by every spelling of their names.

    The local account is `user`, `.\\user` and `MACHINE\\user`. An account of the domain is `DOMAIN\\user`,
    `user@dns.name` and `user@DOMAIN`. Inferred (bare-account-name-is-local-first): `user` alone means the
    local account of that name or, if it does not exist, the account of the domain.
    """

    def __init__(self, machine: str, accounts: Sequence[Account], lockout: Lockout) -> None:
        self._machine = machine
        self._accounts = accounts
        self._lockout = lockout
        self.named: dict[tuple[str, str], Account] = {}
        for account in sorted(accounts, key=lambda account: account.domain is not None):
            for name in _names(machine.lower(), account):
                self.named.setdefault(name, account)

    def find(self, username: str, password: str) -> Account | None:
        """Sign in and return the account, or None for wrong credentials or a locked account."""
        account = self._named(username)
        right = hmac.compare_digest(password.encode(), account.password.encode() if account else b"")
        return account if self.count_sign_in(username, right) else None

    def count_sign_in(self, username: str, right: bool) -> bool:
        """Count a sign-in attempt and return True if it succeeds.

        `right` is True if the password is correct.
        """
        label = self._label(username)
        if not right:
            self._lockout.failed(label)
        elif not self._lockout.is_locked(label):
            self._lockout.succeeded(label)
            return True
        return False

    def same(self, first: str, second: str) -> bool:
        """Return True if two names are those of one account."""
        account = self._named(first)
        return account is not None and account is self._named(second)

    def _named(self, username: str) -> Account | None:
        domain, _, name = username.rpartition("\\")
        return self.named.get((domain.lower(), name.lower()))

    def _label(self, username: str) -> str:
        """Return the unique name of an account within the estate."""
        account = self._named(username)
        if account is None:
            return username if "\\" in username or "@" in username else f"{self._machine}\\{username}"
        return f"{account.domain.name if account.domain else self._machine}\\{account.username}"

    def accepts(self, username: str, password: str) -> bool:
        """Return True if these are the name and the password of an account."""
        return self.find(username, password) is not None

    def accepts_local(self, username: str, password: str) -> bool:
        """Return True if these are the name and the password of the local account.

        Basic does not accept domain accounts. Source: the table of authentication methods in Ansible's "Windows Remote
        Management".
        """
        account = self.find(username, password)
        return account is not None and account.domain is None

    def is_principal(self, principal: str) -> bool:
        """Return True if a Kerberos principal, such as `user@REALM`, is one of the accounts.

        A local account matches the principal of that name in any realm, so an estate can use Kerberos without a domain.
        """
        username, _, realm = principal.lower().partition("@")
        return any(
            account.username.lower() == username and (account.domain is None or realm in account.domain.names)
            for account in self._accounts
        )


def _names(machine: str, account: Account) -> list[tuple[str, str]]:
    """Return the names of an account as pairs of domain and user."""
    username = account.username.lower()
    if account.domain is None:
        return [("", username), (".", username), (machine, username)]
    names = account.domain.names
    return [("", username), *((name, username) for name in names), *(("", f"{username}@{name}") for name in names)]


class CredentialFiles:
    """The files with a machine's accounts and Kerberos key, for pyspnego."""

    def __init__(self, directory: Path, identifier: str, accounts: Accounts, keytab: str | None = None) -> None:
        self._keytab = keytab
        self._no_keytab = directory / "no.keytab"
        self._store = directory / f"{identifier}.accounts"
        self._store.touch(mode=0o600)
        lines = (_line(domain, name, account) for (domain, name), account in accounts.named.items())
        self._store.write_text("".join(lines), encoding="utf-8")

    @contextmanager
    def offered(self, kerberos: bool) -> Iterator[None]:
        """Offer pyspnego only this machine's accounts and, if `kerberos` is True, its Kerberos key."""
        with _ENVIRONMENT:
            keytab = (self._keytab or os.environ.get(_KEYTAB)) if kerberos else str(self._no_keytab)
            before = {name: os.environ.get(name, unset) for name, unset in _SAME_AS_UNSET.items()}
            os.environ.update({_ACCOUNTS: str(self._store), _KEYTAB: keytab or _SAME_AS_UNSET[_KEYTAB]})
            try:
                yield
            finally:
                os.environ.update(before)


def _line(domain: str, name: str, account: Account) -> str:
    """Return an account as a line of smbpasswd. The hash allows every character in the password."""
    qualified = f"{domain}\\{name}" if domain else name
    return f"{qualified}:0:{_NO_LM_HASH}:{ntowfv1(account.password).hex()}:[U]:LCT-00000000\n"
