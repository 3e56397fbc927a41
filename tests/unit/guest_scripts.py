"""A PowerShell under the control of a test, and threads that ask guests."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

from avma import errors
from avma.context import Context
from avma.deadline import Deadline
from avma.windows.guest_runs import GuestRuns
from avma.windows.powershell import Answers
from avma.windows.powershell_direct import GuestWmi
from avma.wsman.envelope import CimMethod
from avma.wsman.script import Credential, secrets_in
from waiting import PATIENCE

ACCOUNT = Credential("Administrator", "Hush-Hush-1")
ROWS = [{"rows": [{"Name": "x", "Count": 3, "On": True, "Time": "20260101120000.000000+000", "List": ["a", None]}]}]


class Script:
    """A PowerShell under the control of the test. It records the VMs of each run."""

    where = "hv01"

    def __init__(self) -> None:
        self.runs: list[list[str]] = []
        self.ended = 0
        self.most_in_parallel = 0
        self.started = threading.Semaphore(0)
        self.go_on = threading.Semaphore(0)
        self.deadlines: list[Deadline] = []
        self.hanging: set[str] = set()
        self.error: errors.AvmaError | None = None

    def run(
        self,
        context: Context,
        script: str,
        parameters: Mapping[str, Any],
        on_answer: Callable[[Mapping[str, Any]], None],
        must_close: object,
    ) -> Answers:
        guests = parameters["Guests"].decide()
        self.runs.append([guest["id"] for guest in guests])
        self.most_in_parallel = max(self.most_in_parallel, len(self.runs) - self.ended)
        self.deadlines.append(context.deadline)
        self.started.release()
        answers = tuple({"id": guest["id"].upper(), "results": ROWS} for guest in guests)
        for guest, answer in zip(guests, answers, strict=True):
            if self.hanging and guest["id"] not in self.hanging:
                on_answer(answer)
        assert self.go_on.acquire(timeout=PATIENCE)
        self.ended += 1
        assert set(secrets_in(parameters)) == {ACCOUNT.password}
        if self.error is not None:
            raise self.error
        for answer in answers:
            on_answer(answer)
        return Answers(answers, "")


class Asking(threading.Thread):
    """A thread with a request to a guest, and its result."""

    def __init__(self, runs: GuestRuns, vm: str, deadline: Deadline | None = None, change: bool = False) -> None:
        super().__init__()
        self.vm = vm
        self.guest = GuestWmi(runs, vm, vm, ACCOUNT)
        self.deadline = deadline or Deadline(PATIENCE)
        self.change = change
        self.answer: Any = None
        self.start()

    def run(self) -> None:
        try:
            if self.change:
                context = Context(f"change {self.vm}", self.guest.where, self.deadline)
                self.answer = self.guest.invoke(context, CimMethod("root/cimv2", "A", "B"), {}, {})
            else:
                context = Context("read it", self.guest.where, self.deadline)
                self.answer = self.guest.query(context, "root/cimv2", "SELECT *")
        except errors.AvmaError as error:
            self.answer = error

    def ends_with(self) -> Any:
        self.join(PATIENCE)
        assert not self.is_alive()
        return self.answer


def runs_of(script: Any) -> GuestRuns:
    """Return runs over a script instead of PowerShell."""
    return GuestRuns(script)


def wait_for(runs: GuestRuns, count: int) -> None:
    deadline = Deadline(PATIENCE)
    while len(runs._waiting) < count:
        deadline.wait(0.01, "wait", "test")


def first_run(script: Script, runs: GuestRuns, **keywords: Any) -> Asking:
    asking = Asking(runs, "a", **keywords)
    assert script.started.acquire(timeout=PATIENCE)
    return asking
