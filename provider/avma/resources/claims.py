"""What the resources of one run want on which machine: the guard against undoing, and against two keys.

Each resource that wants a machine licensed claims it before the first change. A deletion looks for claims before it
uninstalls a key. Of two resources that want different keys on one machine, the one that claimed first goes on.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

from avma import errors
from avma.windows.identity import may_be_same

_UNKNOWN_REMEDY = "run `pulumi refresh`, which records the identity of each machine, and then run again"


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


def stake(claims: Claims, claim: Claim, where: str, tried: str) -> None:
    """Record a claim, unless an earlier one of another resource wants another key on that machine.

    Raises:
        KeyConflict: it does.
    """
    try:
        claims.add(claim)
        everything = claims.all()
    except OSError as error:
        raise unusable(error, where, tried) from error
    if not claim.installs:
        return
    rivals = [other for other in everything if other.installs and other.machine and other.machine == claim.machine]
    first = rivals[0].resource if rivals else claim.resource
    latest = [other for other in rivals if other.resource == first]
    if first != claim.resource and latest[-1].key != claim.key:
        answer = (
            f"two resources want different product keys on one machine ({claim.machine}): {first} wants "
            f"…{latest[-1].key}, {claim.resource} wants …{claim.key}"
        )
        raise errors.KeyConflict(tried, where, answer, "remove one of the two, or declare the same key in both")


def keeper(claims: Claims, resource: str, machine: str, key: str | None, where: str, tried: str) -> Claim | None:
    """Return the claim because of which a resource must not undo what it did to a machine, None if there is none.

    The claim of another resource counts. One of the resource itself counts if it was made again in this run.

    Raises:
        Refused: it cannot be found out.
    """
    try:
        everything = claims.all()
    except OSError as error:
        raise unusable(error, where, tried) from error
    latest = {(claim.resource, claim.machine): claim for claim in everything}
    others = [claim for claim in latest.values() if claim.wants and (claim.resource != resource or claim.made)]
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
