"""Waiting for a VM that is still being set up, as one is that the same run made: until it runs and its guest answers.

PowerShell says the same of wrong credentials and of a guest that is not ready. What the guest tells through Data
Exchange parts the two: one that has told its build has started, so credentials that it goes on to refuse are wrong.
They are tried seldom, as a guest can lock an account.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from avma import errors
from avma.deadline import Deadline
from avma.resources.guests import Placement
from avma.resources.resource import Operation

T = TypeVar("T")

_TRIED = "reach the guest"
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 10.0
_BETWEEN_LOGONS = 60.0
"""Seconds between two logons with credentials that were refused."""
_LOGONS = 3
"""How often the credentials are tried on a guest that has told its build."""
_SETUP = 1800.0
"""Seconds after which a VM that has been on all the time is not in its setup any more."""


@dataclass
class _Seen:
    """What was seen of a guest so far."""

    began: float = field(default_factory=time.monotonic)
    asked: float = 0.0
    trouble: errors.AvmaError | None = None
    build: int | None = None
    logons: int = 0
    """Logons that were refused though Windows has started, by all that is known."""

    def note(self, trouble: errors.AvmaError, placement: Placement) -> None:
        """Keep why the guest did not answer."""
        self.trouble, self.asked = trouble, time.monotonic()
        started = self.build is not None or placement.vm.on_for >= _SETUP
        self.logons += started and isinstance(trouble, errors.LogonUncertain)

    @property
    def elapsed(self) -> float:
        """Seconds since the wait began."""
        return time.monotonic() - self.began


def await_guest(
    placement: Placement,
    find: Callable[[], Placement],
    reach: Callable[[Placement], T],
    patience: Deadline,
    operation: Operation,
) -> tuple[Placement, T]:
    """Return where the VM is, and what `reach` returns once its guest answers; `find` looks where it has gone.

    Raises:
        NotReady: it did not within `patience`; the error says how far it came.
        LogonRefused: its Windows has started, and refuses the account.
        AvmaError: something that time does not mend.
    """
    seen, pause = _Seen(), _FIRST_PAUSE
    while True:
        if _worth_asking(placement, seen, operation):
            try:
                return placement, reach(placement)
            except errors.CertificateNotTrusted:
                raise
            except (errors.NotReady, errors.Unreachable) as error:
                seen.note(error, placement)
        _require_hope(placement, seen)
        if patience.remaining() <= 0:
            raise _not_ready(placement, seen)
        state = _progress(placement, seen)
        operation.status(
            f"{placement.vm.name}: waiting for its guest ({state}), {seen.elapsed:.0f} of {patience.timeout:.0f} s"
        )
        operation.deadline.wait(min(pause, patience.remaining()), _TRIED, placement.host.where)
        pause = min(pause * 2, _LONGEST_PAUSE)
        placement = find()


def _worth_asking(placement: Placement, seen: _Seen, operation: Operation) -> bool:
    """Say whether to try the guest: always, but for refused credentials only now and then, and once it has started."""
    if not isinstance(seen.trouble, errors.LogonUncertain) or not placement.vm.running:
        return True
    before, facts = seen.build, placement.host.guest_facts(operation.deadline).get(placement.vm.id)
    seen.build = facts.build if facts else None
    if before is None and seen.build is not None:
        return placement.vm.on_for < _SETUP
    return time.monotonic() - seen.asked >= _BETWEEN_LOGONS


def _require_hope(placement: Placement, seen: _Seen) -> None:
    """Return unless a guest that has started refuses the credentials for good.

    Raises:
        LogonRefused: it tells that it has started.
        LogonUncertain: it tells nothing, and has been on for long.
    """
    if not isinstance(seen.trouble, errors.LogonUncertain):
        return
    often = seen.logons >= _LOGONS
    if seen.build is not None and (often or placement.vm.on_for >= _SETUP):
        answer = (
            f"its Windows (build {seen.build}) has started, as it tells through Data Exchange, and refuses the "
            f"account: {seen.trouble.answer}"
        )
        remedy = "correct `guest.username` and `guest.password`"
        raise errors.LogonRefused(_TRIED, seen.trouble.where, answer, remedy)
    if often:
        raise seen.trouble


def _progress(placement: Placement, seen: _Seen) -> str:
    """Say how far the VM has come."""
    if not placement.vm.running:
        return "the VM is off"
    if seen.build is not None:
        return f"Windows build {seen.build} has started, and does not take the account yet"
    if isinstance(seen.trouble, errors.LogonUncertain):
        return "it tells nothing through Data Exchange yet"
    return "it does not answer yet"


def _not_ready(placement: Placement, seen: _Seen) -> errors.AvmaError:
    trouble = seen.trouble
    where = trouble.where if trouble else placement.host.where
    answer = f"it was not ready after {seen.elapsed:.0f} s ({_progress(placement, seen)})"
    if trouble is not None:
        answer += f"; the last answer was: {trouble.answer}"
    remedy = f"{trouble.remedy if trouble else 'look at the VM'}; or allow more time in `guest.readyTimeout`"
    return errors.NotReady(_TRIED, where, answer, remedy)
