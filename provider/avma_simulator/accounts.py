"""The account of one machine, and how pyspnego is told of it.

pyspnego's NTLM acceptor reads accounts from the file that the environment variable NTLM_USER_FILE names. Each machine
has its own file in the estate's private directory, and the variable points to it only while a token is examined.
"""

from __future__ import annotations

import hmac
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_VARIABLE = "NTLM_USER_FILE"
_ENVIRONMENT = threading.Lock()


class Account:
    """A local account of a machine: known as `user`, `.\\user` and `MACHINE\\user`."""

    def __init__(self, directory: Path, machine: str, identifier: str, username: str, password: str) -> None:
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

    @contextmanager
    def offered(self) -> Iterator[None]:
        """Let pyspnego find the account, and nothing but it."""
        with _ENVIRONMENT:
            before = os.environ.get(_VARIABLE)
            os.environ[_VARIABLE] = str(self._store)
            try:
                yield
            finally:
                _restore(before)


def is_account(machine: str, own: tuple[str | None, str | None], given: tuple[str, str]) -> bool:
    """Say whether the given name and password are those of the machine's account."""
    username, password = own
    if username is None or password is None:
        return False
    domain, _, name = given[0].rpartition("\\")
    known = domain.lower() in ("", ".", machine.lower())
    named = known and name.lower() == username.lower()
    return hmac.compare_digest(given[1].encode(), password.encode()) and named


def _restore(before: str | None) -> None:
    if before is None:
        del os.environ[_VARIABLE]
    else:
        os.environ[_VARIABLE] = before
