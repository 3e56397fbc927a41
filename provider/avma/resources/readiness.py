"""Waiting for a VM that is still being set up, as one is that the same run made: until it runs and its guest answers.

PowerShell says the same of wrong credentials and of a guest that is not ready, and an account may come last in a setup.
What the guest tells through Data Exchange parts the two: in a VM that has told its build and has been on for long,
credentials that are refused are wrong. They are tried ever more seldom, as a guest can lock an account.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from avma import errors
from avma.deadline import Deadline
from avma.resources.guests import Placement
from avma.resources.resource import Operation
from avma.windows.hyperv import VirtualMachine
from avma.wsman import retry

T = TypeVar("T")

_TRIED = "reach the guest"
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 10.0
_FIRST_BETWEEN_LOGONS, _LONGEST_BETWEEN_LOGONS = 60.0, 480.0
"""Seconds between two logons with credentials that were refused; twice as long each time."""
_SETUP = 1800.0
"""Seconds after which a VM that has been on all the time is not in its setup any more."""
_SERVICES_OF_GUESTS = ("sppsvc", "winmgmt")
"""The services of a guest that start after its remote access, and list nothing until then."""
_LOGONS = 3
"""How often refused credentials are tried on a guest that has been on for longer and tells nothing."""


@dataclass(frozen=True)
class Patience:
    """How long to wait, and which setting allows more, as an error names it."""

    deadline: Deadline
    setting: str


@dataclass
class _Seen:
    """What was seen of a guest so far."""

    began: float = field(default_factory=time.monotonic)
    trouble: errors.AvmaError | None = None
    build: int | None = None
    """Its build, once it has told it."""
    looked: bool = False
    """Whether it was looked at what the guest tells."""
    refusals: int = 0
    next_logon: float = 0.0

    def note(self, trouble: errors.AvmaError) -> None:
        """Keep why the guest did not answer."""
        self.trouble = trouble
        if _refused(trouble):
            pause = min(_FIRST_BETWEEN_LOGONS * 2**self.refusals, _LONGEST_BETWEEN_LOGONS)
            self.refusals += 1
            self.next_logon = time.monotonic() + pause

    @property
    def elapsed(self) -> float:
        """Seconds since the wait began."""
        return time.monotonic() - self.began


@contextmanager
def may_be_in_setup(vm: VirtualMachine) -> Iterator[None]:
    """Reach a guest whose account can still come, as long as its VM may be in setup.

    Raises:
        LogonUncertain: the guest refused the account, and time may mend that.
        NotReady: the guest's licensing service does not list itself yet.
    """
    try:
        yield
    except errors.EmptyAnswer as error:
        if vm.on_for >= _SETUP or error.service not in _SERVICES_OF_GUESTS:
            raise
        remedy = f"{error.remedy}; if the VM is being provisioned, wait until Windows setup has finished"
        raise errors.NotReady(error.tried, error.where, error.answer, remedy) from error
    except errors.LogonRefused as error:
        if vm.on_for >= _SETUP or error.refusal is not errors.Refusal.ACCOUNT:
            raise
        remedy = f"{error.remedy}; in a VM that is being set up, wait for its end and run again"
        raise errors.LogonUncertain(error.tried, error.where, error.answer, remedy) from error


def may_pass(trouble: errors.NotReady, vm: VirtualMachine) -> bool:
    """Say whether a guest that did not answer may do so later; credentials that are refused for long are wrong."""
    return not _refused(trouble) or vm.on_for < _SETUP


def await_guest(
    placement: Placement,
    find: Callable[[], Placement],
    reach: Callable[[Placement], T],
    patience: Patience,
    operation: Operation,
) -> tuple[Placement, T]:
    """Return where the VM is, and what `reach` returns once its guest answers; `find` looks where it has gone.

    Raises:
        NotReady: it did not in time; the error says how far it came.
        LogonRefused: its Windows has started, and refuses the account.
        AvmaError: something that time does not mend.
    """
    seen, pause = _Seen(), _FIRST_PAUSE
    while True:
        try:
            if seen.trouble is not None:
                placement = find()
            if _worth_asking(placement, seen, operation):
                if _refused(seen.trouble):
                    operation.machines.sign_ins.forgive(placement.vm.name)
                return placement, reach(placement)
        except errors.AvmaError as error:
            if not (isinstance(error, errors.NotReady) or retry.may_pass(error)):
                raise
            seen.note(error)
        _require_hope(placement, seen)
        if patience.deadline.remaining() <= 0:
            raise _over(placement, seen, patience)
        state, total = _progress(placement, seen), patience.deadline.timeout
        operation.status(f"{placement.vm.name}: waiting for its guest ({state}), {seen.elapsed:.0f} of {total:.0f} s")
        operation.deadline.wait(min(pause, patience.deadline.remaining()), _TRIED, placement.host.where)
        pause = min(pause * 2, _LONGEST_PAUSE)


def _refused(trouble: errors.AvmaError | None) -> bool:
    return isinstance(trouble, errors.LogonUncertain)


def _worth_asking(placement: Placement, seen: _Seen, operation: Operation) -> bool:
    """Say whether to try the guest: always, but for refused credentials only now and then, and once it has started."""
    if not _refused(seen.trouble) or not placement.vm.running:
        return True
    before, facts = seen.build, placement.host.guest_facts(operation.deadline).get(placement.vm.id)
    seen.build, seen.looked = facts.build if facts else None, True
    if before is None and seen.build is not None:
        return placement.vm.on_for < _SETUP
    return time.monotonic() >= seen.next_logon


def _require_hope(placement: Placement, seen: _Seen) -> None:
    """Return unless a guest that has been on for long refuses the credentials.

    Raises:
        LogonRefused: it tells that it has started.
        LogonUncertain: it tells nothing.
    """
    if seen.trouble is None or not _refused(seen.trouble) or placement.vm.on_for < _SETUP:
        return
    if seen.build is not None:
        raise _wrong_account(seen)
    if seen.refusals >= _LOGONS:
        raise seen.trouble


def _progress(placement: Placement, seen: _Seen) -> str:
    """Say how far the VM has come."""
    if not placement.vm.running:
        return f"the VM is {placement.vm.state.value}"
    if seen.build is not None:
        return f"Windows build {seen.build} has started, and does not take the account yet"
    if not _refused(seen.trouble):
        return "it does not answer yet"
    return "it tells nothing through Data Exchange yet" if seen.looked else "it does not take the account yet"


def _wrong_account(seen: _Seen) -> errors.LogonRefused:
    where = seen.trouble.where if seen.trouble else ""
    answer = f"its Windows (build {seen.build}) has started, as it tells through Data Exchange, and refuses the account"
    return errors.LogonRefused(_TRIED, where, answer, "correct `guest.username` and `guest.password`")


def _over(placement: Placement, seen: _Seen, patience: Patience) -> errors.AvmaError:
    """Return the error for a guest that was waited for in vain."""
    if _refused(seen.trouble) and seen.build is not None:
        return _wrong_account(seen)
    trouble = seen.trouble
    where = trouble.where if trouble else placement.host.where
    answer = f"it was not ready after {seen.elapsed:.0f} s ({_progress(placement, seen)})"
    if trouble is not None:
        answer += f"; the last answer was: {trouble.answer}"
    remedy = f"{trouble.remedy if trouble else 'look at the VM'}; or allow more time {patience.setting}"
    return errors.NotReady(_TRIED, where, answer, remedy)
