"""Kerberos for a connection: its credential, the packages that it needs, and the meaning of its errors.

The error codes are those of MIT Kerberos (krb5.h). Most of them are RFC 4120's with an offset.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

import spnego

from avma import errors
from avma.connection import Connection
from avma.settings import Auth
from avma.wording import install_extra

_PACKAGES = ("gssapi", "krb5")
_SERVER_UNKNOWN = -1765328377
_REVOKED = -1765328366
_PREAUTHENTICATION_FAILED = -1765328360
_KEY_EXPIRED = -1765328361
_TICKET_EXPIRED = -1765328352
_SKEW = -1765328347
_NO_CACHE = -1765328243
_REALM_UNKNOWN = -1765328230
_KDC_UNREACHABLE = -1765328228
_NOT_IN_KEYTAB = -1765328203
_NO_CACHE_FILE = -1765328189
_NO_DEFAULT_REALM = -1765328160
_KDC = "check the realm and its `kdc` in krb5.conf or in DNS, and that this computer can reach port 88 of the KDC"


class KerberosError(Exception):
    """A Kerberos error and its remedy. `rejected` is True if the KDC rejected the account."""

    def __init__(self, answer: str, remedy: str, rejected: bool = False) -> None:
        super().__init__(answer)
        self.rejected = rejected
        self.answer = answer
        self.remedy = remedy


def require(connection: Connection) -> None:
    """Raise InvalidInput unless the packages for Kerberos are installed. Windows needs none.

    Raises:
        InvalidInput: a package is missing.
    """
    missing = [name for name in _PACKAGES if find_spec(name) is None]
    if missing and sys.platform != "win32":
        answer = f"Kerberos needs the Python packages {' and '.join(_PACKAGES)}, but not all of them are installed"
        remedy = install_extra("kerberos")
        raise errors.InvalidInput("open a connection", connection.where, answer, remedy)


def credential(connection: Connection) -> spnego.Credential:
    """Return the keytab, else the password, else the ticket cache of the environment.

    Raises:
        InvalidInput: the keytab cannot be read.
    """
    if connection.kerberos_keytab:
        _require_readable(connection)
        return spnego.KerberosKeytab(f"FILE:{connection.kerberos_keytab}", connection.username or None)
    if connection.password:
        return spnego.Password(connection.username, connection.password)
    return spnego.CredentialCache(connection.username or None)


@contextmanager
def explained(connection: Connection) -> Iterator[None]:
    """Convert the errors of the Kerberos libraries in a block to `KerberosError`.

    Only the thread that saw them can read their texts.

    Raises:
        KerberosError: a Kerberos library failed.
    """
    try:
        yield
    except Exception as error:
        code, text = _code(error)
        if code is None:
            raise
        rejected = code in (_PREAUTHENTICATION_FAILED, _REVOKED)
        raise KerberosError(f"Kerberos: {text} ({code})", _remedy(code, connection), rejected) from error


def silent(connection: Connection) -> tuple[str, str]:
    """Return the answer and the remedy for a deadline that passed while the provider waited for a ticket."""
    _, _, realm = connection.username.partition("@")
    answer = f"Kerberos: no KDC{f' of {realm}' if realm else ''} answered in time"
    if connection.auth is Auth.KERBEROS:
        return answer, _KDC
    return answer, f"{_KDC}; to sign in without a KDC, set {connection.setting('auth', 'ntlm')}"


def _require_readable(connection: Connection) -> None:
    path = connection.kerberos_keytab or ""
    if not os.access(path, os.R_OK):
        keytab = connection.setting("kerberos_keytab")
        answer = f"the file `{path}` in {keytab} cannot be read"
        remedy = f"set {keytab} to the path of a keytab that the current user can read"
        raise errors.InvalidInput("open a connection", connection.where, answer, remedy)


def _code(error: BaseException) -> tuple[int | None, str]:
    """Return the code and the text of the Kerberos error in an exception or its causes."""
    current: BaseException | None = error
    while current is not None:
        code = getattr(current, "min_code", None) or getattr(current, "err_code", None)
        if isinstance(code, int):
            return _signed(code), _text(current, code)
        current = getattr(current, "base_error", None) or current.__cause__ or current.__context__
    return None, ""


def _text(error: BaseException, code: int) -> str:
    statuses = getattr(error, "get_all_statuses", None)
    if statuses is not None:  # gssapi has one text for the kind of failure, and one for the code
        return str(statuses(getattr(error, "min_code", 0), is_maj=False)[-1])
    return str(error).removesuffix(str(code)).strip()


def _signed(code: int) -> int:
    return code - (1 << 32) if code >= 1 << 31 else code


def _remedy(code: int, connection: Connection) -> str:
    name = connection.kerberos_hostname or connection.address
    username, keytab = connection.setting("username"), connection.setting("kerberos_keytab")
    address, password = connection.setting("address"), connection.setting("password")
    account = f"check {username} (NAME@REALM, with the realm in capital letters) and {password} or {keytab}"
    tickets = f"run `kinit`, or set {username} and {password}, or {keytab}"
    remedies = {
        _SERVER_UNKNOWN: f"the domain has no service principal `host/{name}`; set {address} to the machine's DNS "
        f"name, or set {connection.setting('kerberos_hostname')} to a name in the output of `setspn -L`",
        _REVOKED: "the account is disabled, locked or expired; enable or unlock it in the domain",
        _KEY_EXPIRED: f"the password has expired; change it, and set {password} to the new one",
        _SKEW: "correct the clocks of this computer and of the domain, because they differ by more than five minutes",
        _TICKET_EXPIRED: tickets,
        _NO_CACHE: tickets,
        _NO_CACHE_FILE: tickets,
        _NOT_IN_KEYTAB: f"the keytab has no key for the account in {username}; run `klist -k` to list its entries",
        _REALM_UNKNOWN: _KDC,
        _KDC_UNREACHABLE: _KDC,
        _NO_DEFAULT_REALM: _KDC,
    }
    # any other code is an error of the operating system, from the connection to the KDC
    return remedies.get(code, account if code < 0 else _KDC)
