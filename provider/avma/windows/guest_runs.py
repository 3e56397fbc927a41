"""Script runs of one host for the guests on it: requests that wait at the same time share one.

Each session in a guest takes seconds to start, so guests share a run. A guest must not harm its neighbors: if a run
hears nothing for some seconds, the next one begins beside it. The module knows the script `cim-in-guest` by its
parameters and output, and nothing of what the guests are asked.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Any

from avma import errors
from avma.windows import powershell
from avma.windows.guest_run import Joint, Request, Run, key_of, lower
from avma.windows.powershell import Answers, PowerShell
from avma.wsman.script import TimeLeft

SCRIPT = "cim-in-guest"
OVER_NETWORK = "reach the guest over the network (`guest.transport: winrm`)"

_GATHERING = 0.05
"""Seconds that a run waits for others to share it; little beside the start of a session in a guest."""
_POLL = 0.1
"""Seconds between two looks at the deadline while a run is under way."""
_MOST_RUNS = 4
"""Runs on one host at a time. Each has a PowerShell of its own there, and Windows allows an account 30."""
_THROTTLE = 16
"""Guests in which one run works at a time."""
_MARGIN, _SHARE = 5.0, 0.2
"""The script gets so many seconds, or this share, less than its caller waits, to report who has not answered."""
NO_ANSWER, NOT_ASKED = "AvmaNoAnswer", "AvmaNotAsked"
"""The script's own error ids: a guest did not answer in time, or it was not its turn."""


class GuestRuns:
    """The script runs of one host, each for all guests that wait for one. Safe for several threads.

    There is one at a time, unless a guest hangs. Then the requests that wait get a run of their own, and so do the
    reads that share a run with that guest. A guest that has kept a run silent is asked alone until it answers.
    """

    def __init__(self, powershell: PowerShell) -> None:
        self._powershell = powershell
        self._changed = threading.Condition()
        self._waiting: list[Request] = []
        self._runs: list[Run] = []
        self._suspects: set[str] = set()
        self._gathering = False

    @property
    def where(self) -> str:
        """The host as errors name it."""
        return self._powershell.where

    def ask(self, request: Request, tried: str) -> Mapping[str, Any]:
        """Return the script's answer for one guest: its results, or the error of its session.

        Raises:
            AnswerLost: the operations may have run.
            AvmaError: the script could not be run.
        """
        with self._changed:
            self._waiting.append(request)
        try:
            while not request.done:
                self._lead_if_due(tried)
                self._wait(request, tried)
        except (errors.TimedOut, errors.Cancelled) as end:
            raise self._left(request, end, tried) from end
        if isinstance(request.error, errors.AvmaError):
            raise request.error.of(tried) from request.error  # whoever led the run tried something else
        if request.error is not None:
            raise request.error
        return request.answer or {}

    def _lead_if_due(self, tried: str) -> None:
        """Begin a run, in a thread of its own: whoever asks first must not have to stay until all are answered."""
        with self._changed:
            for run in self._runs:
                if run.silent:
                    self._free_others(run)
            if self._gathering or not self._next():
                return
            self._gathering = True
        threading.Thread(target=self._lead, args=(tried,), daemon=True).start()

    def _free_others(self, run: Run) -> None:
        """Let the reads of the other guests of a silent run wait again. The first answer counts, from either run."""
        suspects = run.suspects()
        self._suspects |= suspects
        freed = [request for request in run.open if request.reads and key_of(request) not in suspects]
        run.requests = [request for request in run.requests if request not in freed]
        self._waiting += freed

    def _wait(self, request: Request, tried: str) -> None:
        with self._changed:
            if (self._gathering or self._runs) and not request.done:
                self._changed.wait(_POLL)
        if not request.done:
            request.deadline.check(tried, self.where)

    def _left(self, request: Request, end: errors.AvmaError, tried: str) -> errors.AvmaError:
        """Take a request back whose own time is over; return the error to raise for it."""
        with self._changed:
            if request in self._waiting:
                self._waiting.remove(request)
        if not request.begun:
            return end
        return errors.AnswerLost(tried, self.where, f"{end.answer}. The script may have run", end.remedy)

    def _lead(self, tried: str) -> None:
        """Wait for others to join, then run the script for all."""
        time.sleep(_GATHERING)
        with self._changed:
            run = Run(self._take())
            self._runs.append(run)
            self._gathering = False
        try:
            self._run(run, tried)
        except Exception as error:  # kept for all who wait, and raised by each of them
            for request in run.open:
                request.error = error
        finally:
            with self._changed:
                self._runs.remove(run)
                self._changed.notify_all()

    def _next(self) -> list[Request]:
        """Return the requests for the next run, none if one must end first.

        Of each VM it is the first one only, and none of a VM that a run has not answered. Suspects come last, each
        alone, and leave one run to the others.
        """
        self._waiting = [request for request in self._waiting if not request.done]
        busy = {key_of(request) for run in self._runs for request in run.open}
        first: dict[str, Request] = {}
        for request in self._waiting:
            if key_of(request) not in busy:
                first.setdefault(key_of(request), request)
        healthy = [request for vm_id, request in first.items() if vm_id not in self._suspects]
        if healthy:
            return healthy if self._is_free(_MOST_RUNS) else []
        return list(first.values())[:1] if len(self._runs) < _MOST_RUNS - 1 else []

    def _is_free(self, most: int) -> bool:
        """Return True unless a run is under way that is worth waiting for, or there are too many."""
        hopeless = [run for run in self._runs if run.silent or {key_of(each) for each in run.open} <= self._suspects]
        return len(hopeless) == len(self._runs) < most

    def _take(self) -> list[Request]:
        taken = self._next()
        self._waiting = [request for request in self._waiting if request not in taken]
        for request in taken:
            request.begun = True
        return taken

    def _run(self, run: Run, tried: str) -> None:
        if not run.requests:
            return
        answers = self._answers(run, tried)
        for request in run.open:
            request.error = powershell.failure(answers.complaint, tried, self.where)

    def _answers(self, run: Run, tried: str) -> Answers:
        deadline = Joint(request.deadline for request in run.requests)
        parameters = {
            "Guests": [request.as_parameter() for request in run.requests],
            "ThrottleLimit": _THROTTLE,
            "Timeout": TimeLeft(_MARGIN, _SHARE),
        }
        by_vm = {key_of(request): request for request in run.requests}

        def heard(answer: Mapping[str, Any]) -> None:
            """Let the guest's own asker go on: the other guests may take long, or never answer."""
            with self._changed:
                if set(answer) == {"starting"}:
                    run.starts(lower(answer["starting"]) if answer["starting"] else None)
                    return
                run.reports()
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
            # A session that hangs goes on, and ends with the PowerShell that began it.
            return self._powershell.run(SCRIPT, parameters, deadline, tried, heard, _gave_up)
        except errors.AccessDenied as error:
            raise errors.AccessDenied(tried, error.where, error.answer, f"{error.remedy}; or {OVER_NETWORK}") from error


def _gave_up(answer: Mapping[str, Any]) -> bool:
    """Return True if the script gave a guest up in which a session may still run."""
    return _error_id(answer) == NO_ANSWER


def _error_id(answer: Mapping[str, Any]) -> str:
    error = answer.get("error")
    return str(error.get("errorId", "")) if isinstance(error, Mapping) else ""
