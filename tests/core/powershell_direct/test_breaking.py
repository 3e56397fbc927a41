"""Runs that break, end early or carry much: what was done is found, and nothing is left open."""

from __future__ import annotations

import itertools
import threading
import time

import pytest

from avma import errors
from avma.deadline import Deadline
from avma.windows.licensing import LicenseStatus
from avma.windows.machine import Machines
from avma.windows.powershell import PowerShell
from avma.wsman.cim import Cim
from avma.wsman.pipe import WinrmPipe
from avma.wsman.shell import Shell
from avma_simulator import load_estate, running
from core.powershell_direct.lab import ESTATE, HOST, INSTALL, SLOW_HOST, resolved
from core.runner import Runner


def test_a_cancelled_run_deletes_its_shell(estate, run):
    ends: list[BaseException] = []

    def activate() -> None:
        try:
            run.activate("on-slow", SLOW_HOST)
        except errors.AvmaError as error:
            ends.append(error)

    thread = threading.Thread(target=activate)
    thread.start()
    deadline = Deadline(20)
    while estate.counts()["slow"]["processes"] == 0:
        deadline.wait(0.05, "wait", "test")
    run.cancellation.set()
    before = time.monotonic()
    thread.join()
    assert time.monotonic() - before < 5
    assert isinstance(ends[0], errors.Cancelled)
    assert estate.counts()["slow"]["openShells"] == 0


def test_the_deadline_ends_a_run(estate, run):
    run.seconds = 2
    with pytest.raises(errors.TimedOut):
        run.activate("on-slow", SLOW_HOST)


def test_a_method_is_not_sent_again_and_what_it_did_is_found(estate, run):
    estate.faults("web01", [{"operation": INSTALL, "answer": "drop", "after": True, "times": 1}])
    assert run.activate("web01", HOST).outputs.license_status is LicenseStatus.LICENSED
    assert estate.counts()["web01"]["operations"][f"Invoke {INSTALL}"] == 1


def test_a_method_that_never_arrived_leaves_a_guest_that_the_next_run_activates(estate, run):
    estate.faults("web01", [{"operation": INSTALL, "answer": "drop", "times": 1}])
    with pytest.raises(errors.PartlyDone) as caught:
        run.activate("web01", HOST)
    assert isinstance(caught.value.cause, errors.AnswerLost)
    assert run.activate("web01", HOST).outputs.license_status is LicenseStatus.LICENSED


def test_a_read_whose_shell_is_lost_is_sent_again(estate, run):
    estate.faults("hv01", [{"operation": "Shell/Receive", "hresult": 0x8033805B, "times": 1}])
    assert run.activate("web01", HOST).outputs.license_status is LicenseStatus.LICENSED


def test_a_read_that_breaks_is_sent_again(estate, run):
    estate.faults("web01", [{"operation": "Enumerate", "answer": "drop", "times": 1}])
    assert run.activate("web01", HOST).outputs.license_status is LicenseStatus.LICENSED


class Breaking(WinrmPipe):
    """A pipe that breaks at one message to a shell: before it is sent, or when its answer comes back."""

    messages = itertools.count()
    break_at = -1
    after_sending = False

    def send(self, message, deadline, tried):
        if b"/windows/shell" not in message or next(type(self).messages) != self.break_at:
            return super().send(message, deadline, tried)
        if self.after_sending:
            super().send(message, deadline, tried)
        self.close()
        raise errors.AnswerLost(tried, self._connection.where, "the connection broke off", "run again")


@pytest.mark.parametrize("after", [False, True], ids=["request lost", "answer lost"])
@pytest.mark.parametrize("at", range(17))
def test_a_guest_is_activated_wherever_the_wire_breaks(tmp_path, configuration, at, after):
    file = tmp_path / "estate.yaml"
    file.write_text(ESTATE)
    pipe = type("BreakingHere", (Breaking,), {"messages": itertools.count(), "break_at": at, "after_sending": after})
    with running(load_estate(file)) as estate:
        machines = [Machines(4, pipe), Machines(4)]
        broken, whole = (Runner(configuration, each) for each in machines)
        try:
            broken.activate("web01", HOST)
        except errors.AvmaError:
            whole.activate("web01", HOST)
        assert estate.machine("web01")["status"] == "Licensed"
        assert estate.counts()["web01"]["operations"][f"Invoke {INSTALL}"] <= 1 + (not after)
        for each in machines:
            each.close()
        assert estate.counts()["hv01"]["openShells"] <= 1  # one whose name was lost, until it is idle for long


def test_much_input_is_sent_in_parts(estate):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("avma.wsman.shell._CHUNK", 7)
        cim = Cim(resolved(), 2, WinrmPipe)
        answers = PowerShell(Shell(cim)).run("cim-in-guest", {"vms": [{"id": "x"}]}, [], Deadline(20), "try")
        cim.close()
    assert answers.objects[0]["error"]["errorId"].startswith("InvalidVMIdNotSingle")
