"""Which accounts machines accepted and rejected in this process, so that no run locks an account.

Windows locks an account after some failed sign-ins, and a run signs in many times in parallel. So an account is tried
on a machine by one connection until the machine has accepted it, and a rejected one is not tried there again. A domain
counts the failures on all of its machines together. So until one of them has accepted a domain account, few are tried.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

from avma import errors
from avma.connection import Connection
from avma.deadline import Deadline
from avma.settings import Auth
from avma.wsman.pipe import Pipe

_MOST = 2
"""Machines on which a domain account may fail. The lowest lockout threshold in common use is three."""
_MOST_UNCERTAIN = 4
"""The same if guests rejected it that may have been starting, which then checked no password."""
_POLL = 0.1
_WITH_PASSWORD = (Auth.NTLM, Auth.NEGOTIATE, Auth.KERBEROS, Auth.CREDSSP, Auth.BASIC)
_WHY = "it is not tried again in this run, because Windows locks an account after some failed sign-ins"


@dataclass(frozen=True)
class Account:
    """An account as it signs in: what Windows checks, and whether a domain counts its failures."""

    kind: str
    username: str
    password: str = field(repr=False)
    of_domain: bool = False


@dataclass(frozen=True)
class Place:
    """A machine on which an account signs in: its key, and its name in settings and in errors."""

    key: str
    name: str
    where: str


@dataclass
class _Known:
    """What is known of one account, by the keys of machines."""

    accepted: set[str] = field(default_factory=set)
    rejected: dict[str, tuple[Place, errors.AvmaError]] = field(default_factory=dict)
    trying: set[str] = field(default_factory=set)

    @property
    def failures(self) -> int:
        """The number of machines that certainly checked the password and rejected it; a KDC speaks for all of them."""
        certain = [error for _, error in self.rejected.values() if isinstance(error, errors.LogonRefused)]
        return sum(_MOST if error.refusal is errors.Refusal.KDC else 1 for error in certain)

    @property
    def hopeless(self) -> bool:
        """Whether a domain account should be tried nowhere else."""
        return not self.accepted and (self.failures >= _MOST or len(self.rejected) >= _MOST_UNCERTAIN)


class SignIns:
    """The sign-ins of a process. Safe to use from several threads."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._known: dict[Account, _Known] = {}
        self._forgiven: set[str] = set()

    @contextlib.contextmanager
    def attempt(self, account: Account, place: Place, deadline: Deadline, tried: str) -> Iterator[None]:
        """Sign in within the block, once it is the turn of this connection.

        Raises:
            LogonRefused: the account was rejected before, there or on other machines of its domain.
            LogonUncertain: the same of a guest that may have been starting.
            TimedOut, Cancelled: before it was the turn of this connection.
        """
        self._begin(account, place, deadline, tried)
        try:
            yield
        except (errors.LogonRefused, errors.LogonUncertain) as error:
            self._end(account, place, error if counts(error) else None, accepted=False)
            raise
        except BaseException:
            self._end(account, place, None, accepted=False)
            raise
        self._end(account, place, None, accepted=True)

    def forgive(self, name: str) -> None:
        """Let an account be tried once more on the machine of that name, as the wait for a guest does now and then."""
        with self._changed:
            self._forgiven.add(name)
            for known in self._known.values():
                kept = {key: value for key, value in known.rejected.items() if value[0].name != name}
                known.rejected = kept

    def _begin(self, account: Account, place: Place, deadline: Deadline, tried: str) -> None:
        with self._changed:
            known = self._known.setdefault(account, _Known())
            while True:
                forgiven = place.name in self._forgiven
                _require_hope(account, place, known, tried, forgiven)
                if place.key in known.accepted:
                    return
                if place.key not in known.trying and (forgiven or _is_free(account, known)):
                    known.trying.add(place.key)
                    self._forgiven.discard(place.name)
                    return
                self._changed.wait(_POLL)
                deadline.check(tried, place.where)

    def _end(self, account: Account, place: Place, rejection: errors.AvmaError | None, accepted: bool) -> None:
        with self._changed:
            known = self._known[account]
            known.trying.discard(place.key)
            if rejection is not None:
                known.rejected[place.key] = place, rejection
                known.accepted.discard(place.key)
            elif accepted:
                known.accepted.add(place.key)
                known.rejected.pop(place.key, None)
            self._changed.notify_all()


class GuardedPipe:
    """A pipe whose sign-in is one of `SignIns`."""

    def __init__(self, connection: Connection, inner: Pipe, sign_ins: SignIns) -> None:
        self._inner = inner
        self._sign_ins = sign_ins
        self._account = _account(connection)
        self._place = Place(connection.address.lower(), connection.name, connection.where)

    def send(self, message: bytes, deadline: Deadline, tried: str) -> bytes:
        """See `Pipe.send`."""
        if self._account is None:
            return self._inner.send(message, deadline, tried)
        with self._sign_ins.attempt(self._account, self._place, deadline, tried):
            return self._inner.send(message, deadline, tried)

    def close(self) -> None:
        """See `Pipe.close`."""
        self._inner.close()


def counts(error: errors.AvmaError) -> bool:
    """Return True if Windows may count the error as a failed sign-in of the account."""
    return not isinstance(error, errors.LogonRefused) or error.refusal in (
        errors.Refusal.ACCOUNT,
        errors.Refusal.KDC,
    )


def is_of_domain(username: str, machine: str) -> bool:
    """Return True unless a user name is that of a local account of the machine."""
    domain, separator, _ = username.rpartition("\\")
    if separator:
        return domain.lower() not in ("", ".", machine.partition(".")[0].lower())
    return "@" in username


def _account(connection: Connection) -> Account | None:
    """Return the account of a connection, None where no password is checked."""
    if connection.auth not in _WITH_PASSWORD or not connection.password or connection.kerberos_keytab:
        return None
    of_domain = connection.auth is Auth.KERBEROS or is_of_domain(connection.username, connection.name)
    return Account(connection.auth.value, connection.username.lower(), connection.password, of_domain)


def _is_free(account: Account, known: _Known) -> bool:
    """Return True if one more failure of the account, beside those that may be under way, is not too many."""
    if not account.of_domain or known.accepted:
        return True
    under_way = len(known.trying)
    return under_way + known.failures < _MOST and under_way + len(known.rejected) < _MOST_UNCERTAIN


def _require_hope(account: Account, place: Place, known: _Known, tried: str, forgiven: bool) -> None:
    """Raise unless the account may still be accepted there."""
    if place.key in known.rejected:
        _, error = known.rejected[place.key]
        raise _again(error, tried, place.where, f"{error.answer}; {_WHY}")
    if account.of_domain and known.hopeless and not forgiven:
        machines = " and ".join(sorted(rejecting.name for rejecting, _ in known.rejected.values()))
        _, error = next(iter(known.rejected.values()))
        answer = f"{account.username} was rejected by {machines}, so {_WHY}"
        raise _again(error, tried, place.where, answer)


def _again(error: errors.AvmaError, tried: str, where: str, answer: str) -> errors.AvmaError:
    """Return a rejection for another operation."""
    if isinstance(error, errors.LogonRefused):
        return errors.LogonRefused(tried, where, answer, error.remedy, error.refusal)
    return type(error)(tried, where, answer, error.remedy)
