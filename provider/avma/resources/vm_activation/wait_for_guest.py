"""Wait for a VM that is being provisioned, for example by the same run: until it runs and its guest answers.

PowerShell reports the same error for wrong credentials and for a guest that is not ready. Windows setup may create the
account last. Data Exchange distinguishes the two. If the guest has reported its build and the VM has been on for
`_SETUP`, rejected credentials are wrong. The provider tries them less and less often, because a guest can lock an
account.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from avma import errors
from avma.deadline import Deadline
from avma.resources.guest_access import Placement
from avma.resources.resource import Operation
from avma.windows.hyperv import VirtualMachine
from avma.wsman import retry

T = TypeVar("T")

_TRIED = "reach the guest"
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 10.0
_FIRST_BETWEEN_LOGONS, _LONGEST_BETWEEN_LOGONS = 60.0, 480.0
"""Seconds between two attempts with rejected credentials. They double after each attempt."""
_SETUP = 1800.0
"""Uptime in seconds after which a VM is no longer being provisioned."""
_SERVICES_OF_GUESTS = ("sppsvc", "winmgmt")
"""Services of a guest that start after its remote access. Until then, they list nothing."""
_LOGONS = 3
"""Attempts with rejected credentials for a guest without a Data Exchange report, after `_SETUP`."""


@dataclass(frozen=True)
class WaitLimit:
    """A deadline, and the name of the setting for more time in errors."""

    deadline: Deadline
    setting: str


@dataclass
class _Seen:
    """The observations of a guest so far."""

    began: float = field(default_factory=time.monotonic)
    trouble: errors.AvmaError | None = None
    build: int | None = None
    """Its build, after it has reported it."""
    looked: bool = False
    """Whether its Data Exchange report was read."""
    refusals: int = 0
    next_logon: float = 0.0

    def note(self, trouble: errors.AvmaError) -> None:
        """Record the reason why the guest did not answer."""
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
    """Run the body. Turn errors into NotReady or LogonUncertain while the VM may still be provisioned.

    Raises:
        LogonUncertain: the guest rejected the account, but may accept it later.
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
        remedy = (
            f"{error.remedy}; if the VM is being provisioned, wait until Windows setup has finished, then run again"
        )
        raise errors.LogonUncertain(error.tried, error.where, error.answer, remedy) from error


def may_pass(trouble: errors.NotReady, vm: VirtualMachine) -> bool:
    """Return True if a guest may answer later. Rejected credentials are wrong once the VM has been on for `_SETUP`."""
    return not _refused(trouble) or vm.on_for < _SETUP


def await_guest(
    placement: Placement,
    find: Callable[[], Placement],
    reach: Callable[[Placement], T],
    patience: WaitLimit,
    operation: Operation,
) -> tuple[Placement, T]:
    """Return the current placement of the VM and the result of `reach`, once its guest answers.

    `find` finds the VM again, because it can move during the wait.

    Raises:
        NotReady: the guest did not answer in time. The error contains its progress.
        LogonRefused: its Windows has started, and rejects the account.
        AvmaError: an error that does not pass with time.
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
    """Return True if the guest should be tried now.

    After rejected credentials, try only at long intervals, and when the guest reports that it has started.
    """
    if not _refused(seen.trouble) or not placement.vm.running:
        return True
    before, facts = seen.build, placement.host.guest_facts(operation.deadline).get(placement.vm.id)
    seen.build, seen.looked = facts.build if facts else None, True
    if before is None and seen.build is not None:
        return placement.vm.on_for < _SETUP
    return time.monotonic() >= seen.next_logon


def _require_hope(placement: Placement, seen: _Seen) -> None:
    """Raise unless the guest may still accept the credentials.

    Raises:
        LogonRefused: the guest reports that it has started.
        LogonUncertain: the guest reports nothing, and has rejected the credentials `_LOGONS` times.
    """
    if seen.trouble is None or not _refused(seen.trouble) or placement.vm.on_for < _SETUP:
        return
    if seen.build is not None:
        raise _wrong_account(seen)
    if seen.refusals >= _LOGONS:
        raise seen.trouble


def _progress(placement: Placement, seen: _Seen) -> str:
    """Return the progress of the VM."""
    if not placement.vm.running:
        return f"the VM is {placement.vm.state.value}"
    if seen.build is not None:
        return f"Windows build {seen.build} has started, but does not accept the account yet"
    if not _refused(seen.trouble):
        return "it has not answered yet"
    return "it has reported nothing through Data Exchange yet" if seen.looked else "it does not accept the account yet"


def _wrong_account(seen: _Seen) -> errors.LogonRefused:
    where = seen.trouble.where if seen.trouble else ""
    answer = f"Windows (build {seen.build}) has started, as Data Exchange reports, and rejects the account"
    return errors.LogonRefused(_TRIED, where, answer, "correct `guest.username` and `guest.password`")


def _over(placement: Placement, seen: _Seen, patience: WaitLimit) -> errors.AvmaError:
    """Return the error for a guest that did not become ready in time."""
    if _refused(seen.trouble) and seen.build is not None:
        return _wrong_account(seen)
    trouble = seen.trouble
    where = trouble.where if trouble else placement.host.where
    answer = f"it was not ready after {seen.elapsed:.0f} s ({_progress(placement, seen)})"
    if trouble is not None:
        answer += f". The last error was: {trouble.answer}"
    remedy = f"{trouble.remedy if trouble else 'check the VM'}; or allow more time {patience.setting}"
    return errors.NotReady(_TRIED, where, answer, remedy)
