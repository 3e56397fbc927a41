"""The account of one machine, and how pyspnego is told of it.

pyspnego's NTLM acceptor reads accounts from the file that the environment variable NTLM_USER_FILE names, and Kerberos
reads the machine's key from the keytab that KRB5_KTNAME names. Each machine has its own files, and the variables point
to them only while a token is examined.
"""

from __future__ import annotations

import hmac
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_ACCOUNTS = "NTLM_USER_FILE"
_KEYTAB = "KRB5_KTNAME"
_ENVIRONMENT = threading.Lock()


class Account:
    """A local account of a machine: known as `user`, `.\\user` and `MACHINE\\user`.

    To Kerberos it is the principal `user` of the realm that the machine's `keytab` is for; without one, that keytab is
    what the environment names.
    """

    def __init__(
        self,
        directory: Path,
        machine: str,
        identifier: str,
        username: str,
        password: str,
        keytab: str | None = None,
    ) -> None:
        self._keytab = keytab
        self._no_keytab = directory / "no.keytab"
        self._domains = ("", ".", machine)
        self._username = username
        self._password = password
        self._store = directory / f"{identifier}.accounts"
        self._store.touch(mode=0o600)
        lines = (f"{domain}:{username}:{password}\n" for domain in self._domains)
        self._store.write_text("".join(lines), encoding="utf-8")

    def accepts(self, username: str, password: str) -> bool:
        """Say whether these are the account's name and password."""
        return is_account(self._domains[-1], (self._username, self._password), (username, password))

    def is_principal(self, principal: str) -> bool:
        """Say whether a Kerberos principal, such as `user@REALM`, is the account."""
        return principal.partition("@")[0].lower() == self._username.lower()

    @contextmanager
    def offered(self, kerberos: bool) -> Iterator[None]:
        """Let pyspnego find the account, and the machine's Kerberos key if that is wanted, and nothing but them."""
        with _ENVIRONMENT:
            keytab = (self._keytab or os.environ.get(_KEYTAB)) if kerberos else str(self._no_keytab)
            before = {name: os.environ.get(name) for name in (_ACCOUNTS, _KEYTAB)}
            _set({_ACCOUNTS: str(self._store), _KEYTAB: keytab})
            try:
                yield
            finally:
                _set(before)


def is_account(machine: str, own: tuple[str | None, str | None], given: tuple[str, str]) -> bool:
    """Say whether the given name and password are those of the machine's account."""
    username, password = own
    if username is None or password is None:
        return False
    domain, _, name = given[0].rpartition("\\")
    known = domain.lower() in ("", ".", machine.lower())
    named = known and name.lower() == username.lower()
    return hmac.compare_digest(given[1].encode(), password.encode()) and named


def _set(variables: dict[str, str | None]) -> None:
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
