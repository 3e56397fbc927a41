"""What the resources of one run want on which machine: the guard against undoing, and against two keys.

Each resource that wants a machine licensed claims it before the first change. A deletion looks for claims before it
uninstalls a key. Of two resources that want different keys on one machine, the one that claimed first goes on.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from avma import errors
from avma.windows.identity import may_be_same

_UNKNOWN_REMEDY = "run `pulumi refresh`, which records the identity of each machine, and then run again"
_DOWN_REMEDY = f"{_UNKNOWN_REMEDY}. If the machine is down, start it first, or leave it out with `--target`"


@dataclass(frozen=True)
class Claim:
    """A machine that a resource wants licensed.

    Args:
        resource: the resource, as errors name it: its URN.
        machine: the machine's identity; empty if it is not known yet.
        key: the last five characters of the key that the resource wants; None if any license will do.
        installs: whether the resource installs that key where it is missing.
        made: whether the resource was created or updated in this run.
        wants: whether the resource wants a license. A note of what a resource is about to do wants none.
        coming: whether the resource is about to license the machine, which is a host.
        replaces: the resource in whose place it comes, by type and identifier, which is deleted first. An alias can
            give the two different names.
        key_version: the release of the key by which a host is about to be licensed, if it is declared.
        place: which machine of the resource it is, where the resource has several: the name of the node.
        spends: whether the resource is about to install or activate the key on a host.
        asking: whether the machine is being asked who it is, as the stored state does not show it.
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
    """Wait for nobody."""


class Claims:
    """The claims of one run, in the order in which they were made. Safe to use from several threads."""

    patience = 0.0
    """Seconds to wait for another resource of the run that may license a host, before any is seen."""

    def __init__(self) -> None:
        self._claims: list[Claim] = []
        self._lock = threading.Lock()

    def add(self, claim: Claim) -> None:
        """Record a claim.

        Raises:
            OSError: it could not be recorded.
        """
        with self._lock:
            self._claims.append(claim)

    def all(self) -> Sequence[Claim]:
        """Return all claims, the oldest first.

        Raises:
            OSError: they could not be read.
        """
        with self._lock:
            return tuple(self._claims)


def stake(claims: Claims, claim: Claim, where: str, tried: str, pause: Callable[[], None] = _no_pause) -> None:
    """Record a claim, unless an earlier one of another resource wants another key on that machine.

    `pause` waits a moment while another resource asks its machine who it is, or raises.

    Raises:
        KeyConflict: it does.
        Refused: it may do so, as the machine of one of the two is not known, and a key would be spent.
    """
    everything = _recorded(claims, claim, where, tried)
    while claim.installs and not claim.asking:
        _require_one_key(everything, claim, where, tried)
        rival = _possible_rival(everything, claim)
        if rival is None:
            return
        if not rival.asking:
            raise _not_known(claim, rival, where, tried)
        pause()
        everything = _recorded(claims, None, where, tried)


def _recorded(claims: Claims, claim: Claim | None, where: str, tried: str) -> Sequence[Claim]:
    """Record a claim, if one is given, and return all.

    Raises:
        Refused: the claims of the run cannot be used.
    """
    try:
        if claim is not None:
            claims.add(claim)
        return claims.all()
    except OSError as error:
        raise unusable(error, where, tried) from error


def _require_one_key(everything: Sequence[Claim], claim: Claim, where: str, tried: str) -> None:
    """Raise KeyConflict if the resource that claimed a machine first wants another key there."""
    if not claim.machine:
        return
    installing = [other for other in everything if other.installs and other.machine in (claim.machine, "")]
    # A claim counts from when it was made, even if the machine was asked later who it is.
    here = {(other.resource, other.place) for other in installing if other.machine}
    rivals = [other for other in installing if (other.resource, other.place) in here]
    first = rivals[0].resource if rivals else claim.resource
    latest = [other for other in rivals if other.resource == first]
    if first != claim.resource and latest[-1].key != claim.key:
        answer = (
            f"two resources want different product keys on one machine ({claim.machine}): {first} wants "
            f"…{latest[-1].key}, {claim.resource} wants …{claim.key}"
        )
        raise errors.KeyConflict(tried, where, answer, "remove one of the two, or declare the same key in both")


def _possible_rival(everything: Sequence[Claim], claim: Claim) -> Claim | None:
    """Return a claim of another key that may be for the same machine, if one of the two is about to spend its key."""
    if claim.machine and not claim.spends:
        return None
    others = [other for other in _current(everything) if other.installs and other.resource != claim.resource]
    rivals = [other for other in others if other.key != claim.key]
    found = [other for other in rivals if _may_spend_there(claim, other) or _may_spend_there(other, claim)]
    return min(found, key=lambda other: other.asking, default=None)


def _may_spend_there(spender: Claim, other: Claim) -> bool:
    """Return True if a key that is about to be spent may be for the machine of another claim, which is not known."""
    return spender.spends and not other.machine


def _current(everything: Sequence[Claim]) -> list[Claim]:
    """Return the latest claim of each resource for each machine. One without a machine gives way to one that has it."""
    latest = {(claim.resource, claim.machine, claim.place): claim for claim in everything}
    located = {(claim.resource, claim.place) for claim in everything if claim.machine}
    return [claim for claim in latest.values() if claim.machine or (claim.resource, claim.place) not in located]


def _not_known(claim: Claim, rival: Claim, where: str, tried: str) -> errors.Refused:
    answer = (
        f"{rival.resource} wants another key (…{rival.key}), and it is not known whether on the same machine: the "
        f"state of {_named(claim if rival.machine else rival)} does not show yet which machine it is"
    )
    return errors.Refused(tried, where, answer, _DOWN_REMEDY)


def _named(claim: Claim) -> str:
    return f"the node {claim.place} of {claim.resource}" if claim.place else claim.resource


def keeper(claims: Claims, resource: str, machine: str, key: str | None, where: str, tried: str) -> Claim | None:
    """Return the claim because of which a resource must not undo what it did to a machine, None if there is none.

    The claim of another resource counts. One of the resource itself counts if it was made again in this run.

    Raises:
        Refused: it cannot be found out.
    """
    everything = _recorded(claims, None, where, tried)
    others = [claim for claim in _current(everything) if claim.wants and (claim.resource != resource or claim.made)]
    wanted = [claim for claim in others if claim.key in (key, None)]
    found = next((claim for claim in wanted if claim.machine and may_be_same(claim.machine, machine)), None)
    if found is not None:
        return found
    unknown = next((claim for claim in wanted if not claim.machine), None)
    if unknown is not None:
        answer = f"{unknown.resource} wants the same key, and its state does not show yet on which machine"
        raise errors.Refused(tried, where, answer, _UNKNOWN_REMEDY)
    return None


def replaced(claims: Claims, what: str) -> bool:
    """Return True if a resource of the run takes the place of that one, which is given as in `Claim.replaces`."""
    return any(claim.replaces == what for claim in claims.all())


def coming(claims: Claims, machine: str) -> Claim | None:
    """Return the claim of a resource that is about to license a host, None if there is none."""
    latest = {claim.resource: claim for claim in claims.all() if claim.machine in (machine, "")}
    return next((claim for claim in latest.values() if claim.coming and claim.machine == machine), None)


def planned(claims: Claims) -> Claim | None:
    """Return the claim of a resource that will license a host and has not reached it yet, None if there is none."""
    latest = {claim.resource: claim for claim in claims.all()}
    return next((claim for claim in latest.values() if claim.coming and not claim.machine), None)


def unusable(error: OSError, where: str, tried: str) -> errors.Refused:
    """Return what to report if the claims of the run cannot be read or written."""
    answer = f"the notes of this run cannot be used ({error.strerror or error}), so what others want is not known"
    owned = f"check {error.filename}: it must belong to you alone, and its disk must have space; "
    folder = "to use another folder, set the environment variable TMPDIR (TEMP on Windows); then run again"
    return errors.Refused(tried, where, answer, f"{owned if error.filename else ''}{folder}")
