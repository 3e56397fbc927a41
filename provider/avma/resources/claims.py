"""The claims of one run: they prevent undoing a needed license, and two keys on one machine.

A resource claims its machine before the first change. A deletion checks the claims before it uninstalls a key. If two
resources want different keys on one machine, the first claim wins.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from avma import errors
from avma.windows.computer import may_be_same
from avma.wording import REFRESH, RUN_AGAIN, RUN_OTHERS

_UNKNOWN_REMEDY = f"{REFRESH} to record the identity of each machine, then {RUN_AGAIN}"
_DOWN_REMEDY = f"{_UNKNOWN_REMEDY}; if the machine is down, start it first, or {RUN_OTHERS}"


@dataclass(frozen=True)
class Claim:
    """The claim of a resource to license a machine.

    Args:
        resource: the name of the resource in errors: its URN.
        machine: the machine's identity. Empty if it is not known yet.
        key: the last five characters of the wanted key. None if any license will do.
        installs: whether the resource installs that key where it is missing.
        made: whether the resource was created or updated in this run.
        wants: whether the resource wants a license. False in a note about the resource's next action.
        coming: whether the resource is about to license the machine, which is a host.
        replaces: the resource that it replaces, by type and identifier. That one is deleted first. An alias can give
            the two different names.
        key_version: the release of the host's coming key, if it is declared.
        place: the name of the node, if the resource has several machines.
        spends: whether the resource is about to install or activate the key on a host.
        asking: whether the provider is still reading the machine's identity, because the stored state does not contain
            it.
    """

    resource: str
    machine: str = ""
    key: str | None = None
    installs: bool = False
    made: bool = False
    wants: bool = True
    coming: bool = False
    replaces: str = ""
    key_version: str | None = None
    place: str = ""
    spends: bool = False
    asking: bool = False


def _no_pause() -> None:
    """Do not wait."""


class MustWait(Exception):
    """The caller cannot wait, and another thread or process has the claims now."""


class Claims:
    """The claims of one run, in the order of their creation. Safe to use from several threads.

    Some of them may come from other processes. `add` and `update` read those.
    """

    patience = 0.0
    """Seconds to wait for another resource of the run that may license a host, before one has announced itself."""

    def __init__(self) -> None:
        self._claims: list[Claim] = []
        self._installing: dict[str, list[tuple[int, Claim]]] = {}
        """The claims that install a key, with their positions, by machine."""
        self._lock = threading.Lock()

    def add(self, claim: Claim, *, wait: bool = True) -> None:
        """Record a claim, and read all earlier ones.

        Raises:
            OSError: the claim could not be recorded, or the others could not be read.
            MustWait: the caller must wait for another thread or process, but `wait` is False.
        """
        self._append(claim)

    def update(self) -> None:
        """Read all claims.

        Raises:
            OSError: the claims could not be read.
        """

    def all(self) -> Sequence[Claim]:
        """Read all claims and return them, the oldest first.

        Raises:
            OSError: the claims could not be read.
        """
        self.update()
        return self.known()

    def known(self) -> Sequence[Claim]:
        """Return the claims that were read so far, the oldest first."""
        with self._lock:
            return tuple(self._claims)

    def installing(self, machine: str) -> list[Claim]:
        """Return the known claims that install a key on a machine, or on one without identity. The oldest first."""
        with self._lock:
            return [claim for _, claim in sorted(self._installing.get(machine, []) + self._installing.get("", []))]

    def _append(self, claim: Claim) -> None:
        with self._lock:
            if claim.installs:
                self._installing.setdefault(claim.machine, []).append((len(self._claims), claim))
            self._claims.append(claim)


def stake(
    claims: Claims,
    claim: Claim,
    where: str,
    tried: str,
    pause: Callable[[], None] = _no_pause,
    *,
    wait: bool = True,
) -> None:
    """Record a claim. Raise KeyConflict if an earlier claim of another resource wants another key on that machine.

    `pause` waits a moment while the machine of another resource is being identified, or raises.

    Raises:
        KeyConflict: an earlier claim wants another key on that machine.
        Refused: another claim may conflict, because the machine of one of the two is unknown, and a key would be spent.
        MustWait: the caller must wait for another thread or process, but `wait` is False.
    """
    with _usable(where, tried):
        claims.add(claim, wait=wait)
    while claim.installs and not claim.asking:
        _require_one_key(claims, claim, where, tried)
        rival = _possible_rival(claims, claim)
        if rival is None:
            return
        if not rival.asking:
            raise _not_known(claim, rival, where, tried)
        if not wait:
            raise MustWait
        pause()
        with _usable(where, tried):
            claims.update()


@contextlib.contextmanager
def _usable(where: str, tried: str) -> Iterator[None]:
    """Convert an OSError.

    Raises:
        Refused: the claims of the run cannot be used.
    """
    try:
        yield
    except OSError as error:
        raise unusable(error, where, tried) from error


def _require_one_key(claims: Claims, claim: Claim, where: str, tried: str) -> None:
    """Raise KeyConflict if the first claim of a machine comes from another resource, with another key."""
    if not claim.machine:
        return
    installing = claims.installing(claim.machine)
    # A claim counts from its creation, even if its machine was identified later.
    here = {(other.resource, other.place) for other in installing if other.machine}
    rivals = [other for other in installing if (other.resource, other.place) in here]
    first = rivals[0].resource if rivals else claim.resource
    latest = [other for other in rivals if other.resource == first]
    if first != claim.resource and latest[-1].key != claim.key:
        answer = (
            f"two resources require different product keys on one machine ({claim.machine}): {first} requires "
            f"…{latest[-1].key}, {claim.resource} requires …{claim.key}"
        )
        raise errors.KeyConflict(tried, where, answer, "remove one of the two resources, or set the same key in both")


def _possible_rival(claims: Claims, claim: Claim) -> Claim | None:
    """Return a claim of another key that may be for the same machine. One of the two must be about to spend its key."""
    if claim.machine and not claim.spends:
        return None
    others = [other for other in _current(claims.known()) if other.installs and other.resource != claim.resource]
    rivals = [other for other in others if other.key != claim.key]
    found = [other for other in rivals if _may_spend_there(claim, other) or _may_spend_there(other, claim)]
    return min(found, key=lambda other: other.asking, default=None)


def _may_spend_there(spender: Claim, other: Claim) -> bool:
    """Return True if one claim is about to spend its key, and the machine of the other is unknown."""
    return spender.spends and not other.machine


def _current(everything: Sequence[Claim]) -> list[Claim]:
    """Return the latest claim of each resource for each machine.

    A claim with a machine replaces the claim of the same resource without one.
    """
    latest = {(claim.resource, claim.machine, claim.place): claim for claim in everything}
    located = {(claim.resource, claim.place) for claim in everything if claim.machine}
    return [claim for claim in latest.values() if claim.machine or (claim.resource, claim.place) not in located]


def _not_known(claim: Claim, rival: Claim, where: str, tried: str) -> errors.Refused:
    answer = (
        f"{rival.resource} requires another key (…{rival.key}). The two resources may name the same machine, because "
        f"the state of {_named(claim if rival.machine else rival)} does not contain the identity of its machine yet"
    )
    return errors.Refused(tried, where, answer, _DOWN_REMEDY)


def _named(claim: Claim) -> str:
    return f"the node {claim.place} of {claim.resource}" if claim.place else claim.resource


def keeper(claims: Claims, resource: str, machine: str, key: str | None, where: str, tried: str) -> Claim | None:
    """Return the claim that forbids a resource to undo its changes to a machine, None without such a claim.

    Claims of other resources count. A claim of the resource itself counts if this run created it again.

    Raises:
        Refused: the claims do not show it.
    """
    with _usable(where, tried):
        everything = claims.all()
    others = [claim for claim in _current(everything) if claim.wants and (claim.resource != resource or claim.made)]
    wanted = [claim for claim in others if claim.key in (key, None)]
    found = next((claim for claim in wanted if claim.machine and may_be_same(claim.machine, machine)), None)
    if found is not None:
        return found
    unknown = next((claim for claim in wanted if not claim.machine), None)
    if unknown is not None:
        answer = (
            f"{unknown.resource} requires the same key, and its state does not contain the identity of its machine yet"
        )
        raise errors.Refused(tried, where, answer, _UNKNOWN_REMEDY)
    return None


def replaced(claims: Claims, what: str) -> bool:
    """Return True if a resource of the run replaces that one. `what` has the form of `Claim.replaces`."""
    return any(claim.replaces == what for claim in claims.all())


def coming(claims: Claims, machine: str) -> Claim | None:
    """Return the claim of a resource that is about to license the host. None without one."""
    latest = {claim.resource: claim for claim in claims.all() if claim.machine in (machine, "")}
    return next((claim for claim in latest.values() if claim.coming and claim.machine == machine), None)


def planned(claims: Claims) -> Claim | None:
    """Return the claim of a resource that will license a host, but the host is not identified yet. None without one."""
    latest = {claim.resource: claim for claim in claims.all()}
    return next((claim for claim in latest.values() if claim.coming and not claim.machine), None)


def unusable(error: OSError, where: str, tried: str) -> errors.Refused:
    """Return the error for unreadable or unwritable claims."""
    answer = (
        f"the provider cannot use its temporary file for this run ({error.strerror or error}), so it cannot check the "
        "keys of other resources"
    )
    owned = f"check {error.filename}: only you may have access to it, and its disk must have free space; "
    folder = f"to use another folder, set the environment variable TMPDIR (TEMP on Windows); then {RUN_AGAIN}"
    return errors.Refused(tried, where, answer, f"{owned if error.filename else ''}{folder}")
