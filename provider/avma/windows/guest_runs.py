"""Script runs of one host for its guests. Requests that wait at the same moment share one run.

A session in a guest takes seconds to start, so guests share a run. A guest must not harm its neighbors: if a run
reports nothing for some seconds, the next one starts in parallel. The script is `cim-in-guest`. `batches` contains the
rules of sharing.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from avma import errors
from avma.context import Context
from avma.windows import powershell
from avma.windows.batches import Batches
from avma.windows.guest_run import GuestRequest, GuestRun, Joint, key_of, lower
from avma.windows.powershell import Answers, PowerShell
from avma.wording import setting
from avma.wsman.script import TimeLeft

SCRIPT = "cim-in-guest"
OVER_NETWORK = f"reach the guest over the network ({setting('guest.transport', 'winrm')})"

_MOST_RUNS = 4
"""Maximum of parallel runs on one host. Each has its own PowerShell there, and Windows allows an account 30."""
_THROTTLE = 16
"""Maximum of guests in which one run works in parallel."""
_MARGIN, _SHARE = 5.0, 0.2
"""The script's timeout is shorter than its caller's, by these seconds or this share.

In this time the script reports the guests without an answer.
"""
NO_ANSWER, NOT_ASKED = "AvmaNoAnswer", "AvmaNotAsked"
"""The script's own error ids: the guest did not answer in time, or the script did not get to it."""


class GuestRuns(Batches[GuestRequest, GuestRun]):
    """The script runs of one host, each for all waiting guests. Safe for several threads.

    One run is active at a time unless a guest hangs. Then the waiting requests get a new run. So do the reads of other
    guests in the blocked run. A guest that has blocked a run gets runs of its own until it answers.
    """

    def __init__(self, powershell: PowerShell) -> None:
        super().__init__()
        self._powershell = powershell
        self._suspects: set[str] = set()

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
            if not request.begun:
                raise
            answer = f"{end.answer}. The operation may have taken effect"
            raise request.context.error(errors.AnswerLost, answer, end.remedy) from end
        if isinstance(request.error, errors.AvmaError):
            raise request.error.of(request.context.tried) from request.error  # The first request names the run.
        if request.error is not None:
            raise request.error
        return request.answer or {}

    def _due(self) -> list[GuestRequest]:
        """Return the requests for the next run. Empty if another run must end first.

        The result contains the first request of each VM, but none of a VM with an open request in a run. Suspects come
        last, one per run, and leave one run free for the others.
        """
        for run in self._running:
            if run.silent:
                self._free_others(run)
        self._waiting = [request for request in self._waiting if not request.done]
        busy = {key_of(request) for run in self._running for request in run.open}
        first: dict[str, GuestRequest] = {}
        for request in self._waiting:
            if key_of(request) not in busy:
                first.setdefault(key_of(request), request)
        healthy = [request for vm_id, request in first.items() if vm_id not in self._suspects]
        if healthy:
            return healthy if self._is_free(_MOST_RUNS) else []
        return list(first.values())[:1] if len(self._running) < _MOST_RUNS - 1 else []

    def _free_others(self, run: GuestRun) -> None:
        """Move the reads of a silent run's other guests back to the queue. The first answer counts, from either run."""
        suspects = run.suspects()
        self._suspects |= suspects
        freed = [request for request in run.open if request.reads and key_of(request) not in suspects]
        run.requests = [request for request in run.requests if request not in freed]
        self._waiting += freed

    def _is_free(self, most: int) -> bool:
        """Return True if no run is worth waiting for, and fewer than `most` exist."""
        return all(self._is_hopeless(run) for run in self._running) and len(self._running) < most

    def _is_hopeless(self, run: GuestRun) -> bool:
        """Return True if a run reports nothing, or waits for suspects alone.

        A run whose guests have all answered is about to end. Its PowerShell is then free for the next run.
        """
        return run.silent or (bool(run.open) and {key_of(request) for request in run.open} <= self._suspects)

    def _new_batch(self, leader: GuestRequest, requests: list[GuestRequest]) -> GuestRun:
        for request in requests:
            request.begun = True
        return GuestRun(leader, requests)

    def _begin(self, batch: GuestRun) -> None:
        """Run the script in a thread of its own. The first caller must not stay until all guests have answered."""
        threading.Thread(target=self._run_to_end, args=(batch,), daemon=True).start()

    def _run(self, batch: GuestRun) -> None:
        deadline = Joint(request.context.deadline for request in batch.requests)
        context = Context(batch.leader.context.tried, self.where, deadline)
        answers = self._answers(context, batch)
        for request in batch.open:
            request.error = powershell.failure(context, answers.complaint)

    def _answers(self, context: Context, run: GuestRun) -> Answers:
        parameters = {
            "Guests": [request.as_parameter() for request in run.requests],
            "ThrottleLimit": _THROTTLE,
            "Timeout": TimeLeft(_MARGIN, _SHARE),
        }
        by_vm = {key_of(request): request for request in run.requests}

        def on_answer(answer: Mapping[str, Any]) -> None:
            """Release the thread of this guest: the other guests may take long, or never answer."""
            with self._changed:
                if set(answer) == {"starting"}:
                    run.note_start(lower(answer["starting"]) if answer["starting"] else None)
                    return
                run.note_report()
                vm_id = lower(answer.get("id", ""))
                if _gave_up(answer):
                    self._suspects.add(vm_id)
                else:
                    self._suspects.discard(vm_id)
                request = by_vm.get(vm_id)
                if request is not None and not request.done:
                    request.answer = answer
                    self._changed.notify_all()

        try:
            # A hanging session goes on until its PowerShell ends.
            return self._powershell.run(context, SCRIPT, parameters, on_answer, _gave_up)
        except errors.AccessDenied as error:
            raise context.error(errors.AccessDenied, error.answer, f"{error.remedy}; or {OVER_NETWORK}") from error


def _gave_up(answer: Mapping[str, Any]) -> bool:
    """Return True if the script gave up on a guest in which a session may still run."""
    return _error_id(answer) == NO_ANSWER


def _error_id(answer: Mapping[str, Any]) -> str:
    error = answer.get("error")
    return str(error.get("errorId", "")) if isinstance(error, Mapping) else ""
