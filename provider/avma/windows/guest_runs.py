"""Script runs of one host for its guests. Requests that wait at the same moment share one run.

A session in a guest takes seconds to start, so guests share a run. A guest must not harm its neighbors: if a run
reports nothing for some seconds, the next one starts in parallel. The script is `cim-in-guest`. `batches` contains the
rules of sharing.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from avma import errors
from avma.context import Context
from avma.deadline import POLL
from avma.windows import powershell
from avma.windows.batches import Activity, Batch, Batches
from avma.windows.guest_requests import TIME_LEFT, Companion, GuestRequest, JointDeadline
from avma.windows.powershell import Answers, PowerShell
from avma.wording import setting
from avma.wsman import retry
from avma.wsman.script import AtStart

SCRIPT = "cim-in-guest"
OVER_NETWORK = f"reach the guest over the network ({setting('guest.transport', 'winrm')})"

GATHERING = 0.25
"""Seconds. The longest wait of a run for more requests. A session in a guest takes seconds to start."""
_AFTER_SHARED = 0.05
"""Seconds. The wait after a run for several guests."""
_BETWEEN_TWO = 1.5
"""Seconds. The longest wait for the next request of a group. A thread waits one second for an activation to show."""
_STEP = 0.01
"""Seconds between two looks at the other threads."""
_NEXT = 0.2
"""Seconds after a run for several guests. The next requests of its callers are likely to come in this time."""
_MOST_RUNS = 4
"""Maximum of parallel runs on one host. Each has its own PowerShell there, and Windows allows an account 30."""
_THROTTLE = 16
"""Maximum of guests in which one run works in parallel."""
NO_ANSWER, NOT_ASKED = "AvmaNoAnswer", "AvmaNotAsked"
"""The script's own error ids: the guest did not answer in time, or the time was over before the script asked it."""

SILENCE = 10.0
"""Seconds without a report from a run. After this time, other guests no longer wait for the run to end."""


class GuestRun(Batch[GuestRequest]):
    """One run of the script: its requests and their progress."""

    def __init__(self, leader: GuestRequest, requests: list[GuestRequest]) -> None:
        super().__init__(leader, requests)
        self._starting: str | None = None
        self._started: set[str] = set()
        self._reported_at = time.monotonic()

    @property
    def vm_ids(self) -> set[str]:
        """The VMs whose requests have no answer yet."""
        return {request.vm_id for request in self.open}

    @property
    def silent(self) -> bool:
        """Whether a run that has reached a guest reported nothing for `SILENCE` seconds.

        Before its first guest, a run is never silent: the host is slow then, and no guest is the cause.
        """
        begun = self._starting is not None or self._started
        return bool(begun) and time.monotonic() - self._reported_at >= SILENCE

    def record_start(self, vm_id: str | None) -> None:
        """Record the guest to which the script is connecting. None if the session has started."""
        self.record_report()
        if self._starting is not None:
            self._started.add(self._starting)
        self._starting = vm_id

    def record_report(self) -> None:
        """Record that the script reported something."""
        self._reported_at = time.monotonic()

    def suspects(self) -> set[str]:
        """Return the VMs that hold up a silent run: the one that blocks the script, or those with a session."""
        if self._starting is not None:
            return {self._starting}
        return self._started & self.vm_ids


class GuestRuns(Batches[GuestRequest, GuestRun]):
    """The script runs of one host, each for all waiting guests. Safe for several threads.

    One run is active at a time unless a guest hangs. Then the waiting requests get a new run. So do the reads of other
    guests in the blocked run. A guest that has blocked a run gets runs of its own until it answers.
    """

    def __init__(self, powershell: PowerShell, activity: Activity | None = None) -> None:
        super().__init__(activity)
        self._powershell = powershell
        self._suspects: set[str] = set()
        self._companions: dict[str, Companion] = {}
        self._shared_until = 0.0
        self._group: set[int] = set()
        """The threads that ask their guests together."""

    @property
    def where(self) -> str:
        """The host's name in errors."""
        return self._powershell.where

    def ask(self, request: GuestRequest) -> Mapping[str, Any]:
        """Return the script's answer for one guest: its results, or the error of its session.

        Raises:
            AnswerLost: the operations may have run.
            AvmaError: the script could not run.
        """
        try:
            self._await(request)
        except (errors.TimedOut, errors.Cancelled) as end:
            if request.reads or not self._has_begun(request):
                raise
            raise retry.doubted(request.context.error(errors.AnswerLost, end.answer, end.remedy)) from end
        if isinstance(request.error, errors.AvmaError):
            # The error of a run names the purpose of its leader. Each request raises a copy with its own purpose.
            error = request.error.but(tried=request.context.tried)
            raise (error if request.reads else retry.doubted(error)) from request.error
        if request.error is not None:
            raise request.error
        return request.answer or {}

    def _has_begun(self, request: GuestRequest) -> bool:
        with self._changed:  # a script that is being sent now counts
            return request.begun

    def expected(self) -> set[str]:
        """Return the VMs that are part of a run, or have a companion for the next one."""
        with self._changed:
            return {vm_id for run in self._running for vm_id in run.vm_ids} | self._companions.keys()

    @contextlib.contextmanager
    def taking_along(self, companions: Iterable[Companion]) -> Iterator[None]:
        """Let the next run that begins in the block take companions along, one for each VM.

        A hanging guest ends the companions in its run.
        """
        added = {companion.vm_id: companion for companion in companions}
        with self._changed:
            self._companions = {**added, **self._companions}
        try:
            yield
        finally:
            with self._changed:
                for vm_id, companion in added.items():
                    if self._companions.get(vm_id) is companion:
                        del self._companions[vm_id]

    def await_companion(self, vm_id: str, context: Context) -> None:
        """Wait while a run works on a companion of that VM.

        Raises:
            TimedOut, Cancelled: the caller can wait no longer.
        """
        while self._has_companion(vm_id):
            context.check()

    def _has_companion(self, vm_id: str) -> bool:
        """Return True, after a moment, if a run works on a companion of that VM."""
        with self._changed:
            self._update_waiting()
            requests = (request for run in self._running for request in run.open)
            found = any(isinstance(request, Companion) and request.vm_id == vm_id for request in requests)
            if found:
                self._changed.wait(POLL)
            return found

    @contextlib.contextmanager
    def asking_with_others(self) -> Iterator[None]:
        """Make the thread a member of the group in the block. A run waits for the requests of all members."""
        thread = threading.get_ident()
        with self._changed:
            self._group.add(thread)
        try:
            yield
        finally:
            with self._changed:
                self._group.discard(thread)

    def _coming(self) -> set[int]:
        """Return the members of the group that have no request now."""
        with self._changed:
            return self._group - {request.thread for request in self._waiting} - self._asking()

    def _asking(self) -> set[int]:
        return {request.thread for run in self._running for request in run.open}

    def _gather_group(self, leader: GuestRequest) -> None:
        """Wait for the requests of the group, as long as its next member does not take too long."""
        deadline = leader.context.deadline
        coming, since = self._coming(), deadline.elapsed()
        while coming and deadline.elapsed() - since < _BETWEEN_TWO:
            leader.context.wait(_STEP)
            now = self._coming()
            if now != coming:
                coming, since = now, deadline.elapsed()

    def _gather(self, leader: GuestRequest) -> None:
        """Wait for the other threads that ask the host now: their next question may be one to a guest.

        After a shared run, its callers ask about their next guests within a moment. On an idle host, nobody waits.
        """
        if self._group:
            self._gather_group(leader)
            return
        least = _AFTER_SHARED if time.monotonic() < self._shared_until else 0.0
        deadline = leader.context.deadline
        began, waited = deadline.elapsed(), 0.0
        while waited < GATHERING and (waited < least or self._has_others_on_their_way()):
            leader.context.wait(_STEP)
            waited = deadline.elapsed() - began

    def _has_others_on_their_way(self) -> bool:
        """Return True if a thread asks the host something else."""
        with self._changed:
            here = len(self._waiting) + sum(
                not isinstance(each, Companion) for run in self._running for each in run.open
            )
            return self._activity.count > here

    def _due(self) -> list[GuestRequest]:
        """Return the requests for the next run. Empty if another run must end first.

        The result contains the first request of each VM, but none of a VM with an open request in a run. Suspects come
        last, one per run, and leave one run free for the others.
        """
        self._update_waiting()
        busy = {vm_id for run in self._running for vm_id in run.vm_ids}
        first: dict[str, GuestRequest] = {}
        for request in self._waiting:
            if request.vm_id not in busy:
                first.setdefault(request.vm_id, request)
        healthy = [request for vm_id, request in first.items() if vm_id not in self._suspects]
        if healthy:
            return healthy if self._may_start_run() else []
        return list(first.values())[:1] if len(self._running) < _MOST_RUNS - 1 else []

    def _update_waiting(self) -> None:
        """Add requests that a silent run holds up to the queue. Drop those that have an answer in the meantime."""
        for run in self._running:
            if run.silent:
                suspects = run.suspects()
                self._suspects |= suspects
                self._free(run, suspects)
        self._waiting = [request for request in self._waiting if not request.done]

    def _free(self, run: GuestRun, suspects: set[str]) -> None:
        """Move reads from a silent run back to the queue, except those of suspects. The first answer counts."""
        # A read may run twice. A change must not: its request stays in the run until the script reports its end.
        freed = [request for request in run.open if request.reads and request.vm_id not in suspects]
        run.requests = [request for request in run.requests if request not in freed]
        self._waiting += [request for request in freed if not isinstance(request, Companion)]
        _end_companions(freed)

    def _may_start_run(self) -> bool:
        """Return True if no run is worth waiting for, and a further run is allowed."""
        return all(self._is_hopeless(run) for run in self._running) and len(self._running) < _MOST_RUNS

    def _is_hopeless(self, run: GuestRun) -> bool:
        """Return True if a run reports nothing, or waits for suspects alone.

        A run whose guests have all answered is about to end. Its PowerShell is then free for the next run.
        """
        return run.silent or (bool(run.open) and run.vm_ids <= self._suspects)

    def _new_batch(self, leader: GuestRequest, requests: list[GuestRequest]) -> GuestRun:
        return GuestRun(leader, [*requests, *self._take_companions(requests)])

    def _take_companions(self, requests: Sequence[GuestRequest]) -> list[Companion]:
        """Return the companions of a run.

        None goes to a suspect, or along with a request to a suspect. None goes along with a change, because a hanging
        guest must not hold up a change for others.
        """
        busy = {request.vm_id for request in requests}
        if busy & self._suspects or not all(request.reads for request in requests):
            return []
        busy |= self._suspects | {vm_id for run in self._running for vm_id in run.vm_ids}
        taken = [each for vm_id, each in self._companions.items() if vm_id not in busy and each.may_begin()]
        for companion in taken:
            del self._companions[companion.vm_id]
        return taken

    def _run_to_end(self, batch: GuestRun) -> None:
        requests = batch.requests
        super()._run_to_end(batch)
        _end_companions(requests)

    def _begin(self, batch: GuestRun) -> None:
        """Run the script in a thread of its own. The first caller must not stay until all guests have answered."""
        threading.Thread(target=self._run_to_end, args=(batch,), daemon=True).start()

    def _run(self, batch: GuestRun) -> None:
        deadline = JointDeadline(request.context.deadline for request in batch.requests)
        context = Context(batch.leader.context.tried, self.where, deadline)
        answers = self._answers(context, batch)
        if len(batch.requests) > 1:
            self._shared_until = time.monotonic() + _NEXT
        for request in batch.open:
            request.error = powershell.failure(context, answers.complaint)

    def _answers(self, context: Context, run: GuestRun) -> Answers:
        requests = list(run.requests)
        parameters = {
            "Guests": AtStart(_as_parameter(requests), partial(self._begin_requests, requests)),
            "ThrottleLimit": _THROTTLE,
            "Timeout": TIME_LEFT,
        }
        by_vm = {request.vm_id: request for request in run.requests}

        def on_answer(answer: Mapping[str, Any]) -> None:
            with self._changed:
                self._record(run, by_vm, answer)

        try:
            # The script ends its wait for a hanging guest, but the session goes on until its PowerShell ends.
            return self._powershell.run(context, SCRIPT, parameters, on_answer, must_close=_gave_up)
        except errors.AccessDenied as error:
            raise context.error(errors.AccessDenied, error.answer, f"{error.remedy}; or {OVER_NETWORK}") from error

    def _begin_requests(self, requests: Sequence[GuestRequest]) -> list[dict[str, Any]]:
        """Return the requests for a script that is sent now. Those whose operation has ended are not part of it."""
        with self._changed:
            continuing = [request for request in requests if not request.context.deadline.is_over]
            for request in continuing:
                request.begun = True
        return _as_parameter(continuing)

    def _record(self, run: GuestRun, by_vm: Mapping[str, GuestRequest], answer: Mapping[str, Any]) -> None:
        """Record a report of the script, and wake the thread of its guest. The other guests may take long."""
        # `{"starting": id}` comes before the script connects to a guest, and `{"starting": null}` once that returned.
        if set(answer) == {"starting"}:
            run.record_start(str(answer["starting"]).lower() if answer["starting"] else None)
            return
        run.record_report()
        vm_id = str(answer.get("id", "")).lower()
        if _gave_up(answer):
            self._suspects.add(vm_id)
        else:
            self._suspects.discard(vm_id)
        request = by_vm.get(vm_id)
        if request is not None and not request.done:
            request.answer = answer
            _end_companions([request])
            self._changed.notify_all()


def _as_parameter(requests: Iterable[GuestRequest]) -> list[dict[str, Any]]:
    return [request.as_parameter() for request in requests]


def _end_companions(requests: Iterable[GuestRequest]) -> None:
    for request in requests:
        if isinstance(request, Companion):
            request.end()


def _gave_up(answer: Mapping[str, Any]) -> bool:
    """Return True if the script gave up on a guest in which a session may still run."""
    return _error_id(answer) == NO_ANSWER


def _error_id(answer: Mapping[str, Any]) -> str:
    error = answer.get("error")
    return str(error.get("errorId", "")) if isinstance(error, Mapping) else ""
