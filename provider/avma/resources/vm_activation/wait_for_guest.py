"""Wait for a VM that is being provisioned, for example by the same run: until it runs and its guest answers.

PowerShell reports the same error for wrong credentials and for a guest that is not ready. Windows setup may create the
account last. Data Exchange distinguishes the two. If the guest has reported its build and Windows setup must be over,
rejected credentials are wrong. The provider tries them less and less often, because a guest can lock an account.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from avma import errors
from avma.configuration import READY_TIMEOUT, Guest
from avma.connection import account_settings
from avma.deadline import Deadline, seconds
from avma.resources.guest_access import GuestState, may_be_provisioning, read_guest_state
from avma.resources.placement import Placement, require_running, require_vm
from avma.resources.resource import Operation
from avma.windows.machine import Server
from avma.wording import ALLOW_MORE_TIME, setting
from avma.wsman import retry

_TRIED = "reach the guest"
_SHARE = 0.95
"""The share of an operation's time for the wait. The rest is for an error that reports the progress of the VM."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 10.0
_FIRST_BETWEEN_LOGONS, _LONGEST_BETWEEN_LOGONS = 60.0, 480.0
"""Seconds between two attempts with rejected credentials. They double after each attempt."""
_LOGONS = 3
"""Attempts with rejected credentials for a guest without a Data Exchange report, after Windows setup."""


@dataclass
class GuestWait:
    """One wait for a guest: its time limit, and the observations so far.

    Args:
        operation: the tools of the call.
        deadline: the end of the wait.
        more_time: the imperative to allow more time, for errors.
        account: the settings of the guest's account, for errors.
        trouble: the last reason why the guest did not answer.
        build: the build of the guest, after it has reported it through Data Exchange.
        read_report: whether its Data Exchange report was read.
        rejections: the number of attempts with rejected credentials.
        next_sign_in: when to try rejected credentials again, as a value of `elapsed`.
    """

    operation: Operation
    deadline: Deadline
    more_time: str
    account: str
    trouble: errors.AvmaError | None = None
    build: int | None = None
    read_report: bool = False
    rejections: int = 0
    next_sign_in: float = 0.0
    _pause: float = _FIRST_PAUSE

    @property
    def rejected(self) -> bool:
        """Whether the guest rejected the credentials in the last attempt."""
        return isinstance(self.trouble, errors.LogonUncertain)

    @property
    def elapsed(self) -> float:
        """Seconds since the wait began."""
        return self.deadline.elapsed()

    def note(self, error: errors.AvmaError) -> None:
        """Record why the guest did not answer. Raise an error that does not pass with time."""
        if isinstance(error, errors.TimedOut) and self.trouble is not None:
            raise retry.quoting(self.trouble, error) from error
        if not (isinstance(error, errors.NotReady) or retry.may_pass(error)):
            raise error
        self.trouble = error
        if self.rejected:
            pause = min(_FIRST_BETWEEN_LOGONS * 2**self.rejections, _LONGEST_BETWEEN_LOGONS)
            self.rejections += 1
            self.next_sign_in = self.elapsed + pause

    def pause(self, placement: Placement) -> None:
        """Wait before the next attempt.

        Raises:
            NotReady: the time is over. The error contains the progress of the VM.
            LogonRefused, LogonUncertain: the guest will not accept the credentials.
            TimedOut, Cancelled: the operation ends.
        """
        _require_hope(placement, self)
        if self.deadline.remaining() <= 0:
            raise _over(placement, self)
        name, progress = placement.vm.name, _progress(placement, self)
        self.operation.status(
            f"{name}: waiting for its guest ({progress}), {self.elapsed:.0f} of {self.deadline.timeout:.0f} s"
        )
        self.operation.deadline.wait(min(self._pause, self.deadline.remaining()), _TRIED, placement.host.where)
        self._pause = min(self._pause * 2, _LONGEST_PAUSE)


def begin_wait(guest: Guest | None, operation: Operation) -> GuestWait:
    """Return a wait of the declared time for a guest."""
    settings = operation.configuration.effective_guest(guest)
    declared = seconds(settings.ready_timeout or READY_TIMEOUT)
    most = operation.deadline.remaining() * _SHARE
    in_setting = f"increase {setting('guest.ready_timeout')}"
    more_time = in_setting if declared <= most else ALLOW_MORE_TIME
    account = account_settings("guest.", settings.sources)
    return GuestWait(operation, operation.deadline.part(min(declared, most)), more_time, account)


def wait_until_running(placement: Placement, hosts: Sequence[Server], wait: GuestWait) -> Placement:
    """Return the placement of the VM once it is running. It can move between the hosts during the wait.

    Raises:
        NotReady: it was not running in time.
        AvmaError: an error that does not pass with time.
    """
    while True:
        try:
            placement = _current(placement, hosts, wait)
            require_running(placement)
        except errors.AvmaError as error:
            wait.note(error)
            wait.pause(placement)
        else:
            return placement


def wait_for_guest(
    placement: Placement, hosts: Sequence[Server], guest: Guest | None, wait: GuestWait
) -> tuple[Placement, GuestState]:
    """Return the placement of the VM and the state of its guest, once the guest answers.

    Raises:
        NotReady: the guest did not answer in time. The error contains its progress.
        LogonRefused: its Windows has started, and rejects the account.
        AvmaError: an error that does not pass with time.
    """
    while True:
        try:
            placement = _current(placement, hosts, wait)
            if _is_due(placement, wait):
                if wait.rejected:
                    wait.operation.machines.sign_ins.forgive(placement.vm.name)
                require_running(placement)
                return placement, read_guest_state(placement, guest, wait.operation)
        except errors.AvmaError as error:
            wait.note(error)
        wait.pause(placement)


def read_without_waiting(placement: Placement, guest: Guest | None, operation: Operation) -> GuestState:
    """Return the state of the guest now, for a preview.

    Raises:
        NotReady: the guest may answer later.
        LogonRefused: Windows setup must be over, so the rejected credentials are wrong.
        AvmaError: the guest could not be queried.
    """
    try:
        return read_guest_state(placement, guest, operation)
    except errors.LogonUncertain as error:
        if may_answer_later(placement, error):
            raise
        raise errors.LogonRefused(error.tried, error.where, error.answer, error.remedy) from error


def may_answer_later(placement: Placement, trouble: errors.NotReady) -> bool:
    """Return True if the guest may answer later. Rejected credentials are wrong once Windows setup must be over."""
    return not isinstance(trouble, errors.LogonUncertain) or may_be_provisioning(placement.vm)


def _current(placement: Placement, hosts: Sequence[Server], wait: GuestWait) -> Placement:
    """Return the placement of the VM now. The first attempt uses the one just read."""
    return placement if wait.trouble is None else require_vm(hosts, placement.vm.id, wait.operation)


def _is_due(placement: Placement, wait: GuestWait) -> bool:
    """Return True if the guest should be tried now.

    After rejected credentials, read the guest's report first. Try only at long intervals, and when the guest reports
    that it has started.
    """
    if not wait.rejected or not placement.vm.running:
        return True
    if _has_just_started(placement, wait):
        return may_be_provisioning(placement.vm)
    return wait.elapsed >= wait.next_sign_in


def _has_just_started(placement: Placement, wait: GuestWait) -> bool:
    """Read the guest's Data Exchange report into `wait`. Return True if it contains a build for the first time."""
    before, facts = wait.build, placement.host.guest_facts(wait.operation.deadline).get(placement.vm.id)
    wait.build, wait.read_report = facts.build if facts else None, True
    return before is None and wait.build is not None


def _require_hope(placement: Placement, wait: GuestWait) -> None:
    """Raise unless the guest may still accept the credentials.

    Raises:
        LogonRefused: the guest reports that it has started.
        LogonUncertain: the guest reports nothing, and has rejected the credentials `_LOGONS` times.
    """
    if wait.trouble is None or not wait.rejected or may_be_provisioning(placement.vm):
        return
    if wait.build is not None:
        raise _wrong_account(wait)
    if wait.rejections >= _LOGONS:
        raise wait.trouble


def _progress(placement: Placement, wait: GuestWait) -> str:
    """Return the progress of the VM."""
    if not placement.vm.running:
        return f"its state is {placement.vm.state.value}"
    if wait.build is not None:
        return f"Windows build {wait.build} has started, but does not accept the account yet"
    if not wait.rejected:
        return "it has not answered yet"
    if wait.read_report:
        return "it has reported nothing through Data Exchange yet"
    return "it does not accept the account yet"


def _wrong_account(wait: GuestWait) -> errors.LogonRefused:
    where = wait.trouble.where if wait.trouble else ""
    answer = f"Windows (build {wait.build}) has started, as Data Exchange reports, and rejects the account"
    return errors.LogonRefused(_TRIED, where, answer, f"correct {wait.account}")


def _over(placement: Placement, wait: GuestWait) -> errors.AvmaError:
    """Return the error for a guest that did not become ready in time."""
    if wait.rejected and wait.build is not None:
        return _wrong_account(wait)
    trouble = wait.trouble
    where = trouble.where if trouble else placement.host.where
    answer = f"the VM {placement.vm.name} was not ready after {wait.elapsed:.0f} s ({_progress(placement, wait)})"
    if trouble is not None and not (isinstance(trouble, errors.NotReady) and not placement.vm.running):
        answer += f". The last error was: {trouble.answer}"
    remedy = f"{trouble.remedy if trouble else 'check the VM'}; or {wait.more_time}"
    return errors.NotReady(_TRIED, where, answer, remedy)
