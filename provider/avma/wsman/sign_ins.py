"""The accounts that machines accepted and rejected in this process, so that no run locks an account.

Windows locks an account after some failed sign-ins, and a run signs in many times in parallel. So only one connection
tries an account on a machine until the machine has accepted it. A rejected account is not tried there again. A domain
adds up the failures on all of its machines. So only few machines try a domain account until one has accepted it.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from avma import errors
from avma.connection import Connection
from avma.context import Context
from avma.deadline import POLL
from avma.settings import Auth
from avma.wsman.pipe import LoggedPipe, Pipe

_MOST = 2
"""The maximum number of machines on which a domain account may fail. The lowest common lockout threshold is three."""
_MOST_UNCERTAIN = 4
"""The same, including guests that may still be starting. Such a guest rejects without checking the password."""
_WHY = "the provider does not try it again in this run, because Windows locks an account after some failed sign-ins"


@dataclass(frozen=True)
class Account:
    """An account for signing in: the values that Windows checks, and whether a domain counts its failures."""

    kind: str
    username: str
    password: str = field(repr=False)
    of_domain: bool = False


@dataclass(frozen=True)
class Place:
    """A machine to sign in to: its key, and its name in settings."""

    key: str
    name: str


@dataclass
class _Known:
    """The results for one account, by the keys of machines."""

    accepted: set[str] = field(default_factory=set)
    rejected: dict[str, tuple[Place, errors.AvmaError]] = field(default_factory=dict)
    trying: set[str] = field(default_factory=set)

    @property
    def failures(self) -> int:
        """The number of machines that certainly checked and rejected the password. A KDC counts for all of them."""
        certain = [error for _, error in self.rejected.values() if isinstance(error, errors.LogonRefused)]
        return sum(_MOST if error.refusal is errors.Refusal.KDC else 1 for error in certain)

    @property
    def hopeless(self) -> bool:
        """Whether to try a domain account on no further machine."""
        return not self.accepted and (self.failures >= _MOST or len(self.rejected) >= _MOST_UNCERTAIN)


class SignIns:
    """The sign-ins of a process. Safe to use from several threads."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._known: dict[Account, _Known] = {}
        self._forgiven: set[str] = set()

    @contextlib.contextmanager
    def attempt(self, context: Context, account: Account, place: Place) -> Iterator[None]:
        """Sign in within the block, when it is this connection's turn.

        Raises:
            LogonRefused: the account was rejected before, on this machine or on others of its domain.
            LogonUncertain: the same, but by a guest that may have been starting.
            TimedOut, Cancelled: the wait for this connection's turn ended.
        """
        self._begin(context, account, place)
        with self.noting(account, place):
            yield

    def begin_if_free(self, account: Account, place: Place) -> bool:
        """Begin a sign-in for `noting`, and return True. Return False if it would have to wait or to fail."""
        with self._changed:
            known = self._known.setdefault(account, _Known())
            hopeless = place.key in known.rejected or (account.of_domain and known.hopeless)
            if hopeless or place.key in known.trying or not _is_free(account, known):
                return False
            known.trying.add(place.key)
            return True

    @contextlib.contextmanager
    def noting(self, account: Account, place: Place) -> Iterator[None]:
        """Note the result of a sign-in: the block."""
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
        """Allow one more attempt on the machine of that name. The wait for a guest does this now and then."""
        with self._changed:
            self._forgiven.add(name)
            for known in self._known.values():
                kept = {key: value for key, value in known.rejected.items() if value[0].name != name}
                known.rejected = kept

    def _begin(self, context: Context, account: Account, place: Place) -> None:
        with self._changed:
            known = self._known.setdefault(account, _Known())
            while True:
                forgiven = place.name in self._forgiven
                _require_hope(context, account, place, known, forgiven)
                if place.key in known.accepted:
                    return
                if place.key not in known.trying and (forgiven or _is_free(account, known)):
                    known.trying.add(place.key)
                    self._forgiven.discard(place.name)
                    return
                self._changed.wait(POLL)
                context.check()

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
    """A pipe that signs in by the rules of `SignIns`."""

    def __init__(self, connection: Connection, inner: Pipe, sign_ins: SignIns) -> None:
        self._inner = inner
        self._sign_ins = sign_ins
        self._account = _account(connection)
        self._place = Place(connection.address.lower(), connection.name)

    def send(self, context: Context, message: bytes) -> bytes:
        """See `Pipe.send`."""
        if self._account is None:
            return self._inner.send(context, message)
        with self._sign_ins.attempt(context, self._account, self._place):
            return self._inner.send(context, message)

    def close(self) -> None:
        """See `Pipe.close`."""
        self._inner.close()


def guarded_pipe(sign_ins: SignIns, new_pipe: Callable[[Connection], Pipe], connection: Connection) -> Pipe:
    """Return a new pipe to a machine that logs each request and signs in by the rules of `SignIns`."""
    return GuardedPipe(connection, LoggedPipe(connection, new_pipe(connection)), sign_ins)


def counts(error: errors.AvmaError) -> bool:
    """Return True if Windows may count the error as a failed sign-in of the account."""
    return not isinstance(error, errors.LogonRefused) or error.refusal in (
        errors.Refusal.ACCOUNT,
        errors.Refusal.KDC,
    )


def is_of_domain(username: str, machine: str) -> bool:
    """Return True unless a user name belongs to a local account of the machine."""
    domain, separator, _ = username.rpartition("\\")
    if separator:
        return domain.lower() not in ("", ".", machine.partition(".")[0].lower())
    return "@" in username


def _account(connection: Connection) -> Account | None:
    """Return the account of a connection, or None if no machine checks a password."""
    if connection.auth is Auth.CERTIFICATE or not connection.password or connection.kerberos_keytab:
        return None
    of_domain = connection.auth is Auth.KERBEROS or is_of_domain(connection.username, connection.name)
    return Account(connection.auth.value, connection.username.lower(), connection.password, of_domain)


def _is_free(account: Account, known: _Known) -> bool:
    """Return True if one more failure of the account is acceptable, even if all sign-ins under way fail."""
    if not account.of_domain or known.accepted:
        return True
    under_way = len(known.trying)
    return under_way + known.failures < _MOST and under_way + len(known.rejected) < _MOST_UNCERTAIN


def _require_hope(context: Context, account: Account, place: Place, known: _Known, forgiven: bool) -> None:
    """Raise the earlier rejection unless the machine may still accept the account."""
    if place.key in known.rejected:
        _, error = known.rejected[place.key]
        raise _again(context, error, f"{error.answer}, and {_WHY}")
    if account.of_domain and known.hopeless and not forgiven:
        machines = " and ".join(sorted(rejecting.name for rejecting, _ in known.rejected.values()))
        _, error = next(iter(known.rejected.values()))
        answer = f"{machines} rejected {account.username}, so {_WHY}"
        raise _again(context, error, answer)


def _again(context: Context, error: errors.AvmaError, answer: str) -> errors.AvmaError:
    """Return an earlier rejection as the error of another operation."""
    if isinstance(error, errors.LogonRefused):
        return context.error(errors.LogonRefused, answer, error.remedy, error.refusal)
    return context.error(type(error), answer, error.remedy)
