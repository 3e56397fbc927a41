"""Interrupted script runs: the next run finds the completed work, and no runspace pool stays open."""

from __future__ import annotations

import contextlib
import itertools
import threading
from functools import partial

import pytest

from avma import errors
from avma.cancellation import Cancellation
from avma.context import Context
from avma.deadline import Deadline
from avma.windows import guest_runs
from avma.windows.guest_requests import GuestRequest
from avma.windows.licensing import LicenseStatus
from avma.windows.machines import Machines
from avma.wsman.envelope import CimMethod
from avma.wsman.script import Credential
from avma.wsman.winrm_pipe import WinrmPipe
from avma_simulator import load_estate, running
from core.powershell_direct.lab import (
    ESTATE,
    GUEST_PASSWORD,
    HANGING_HOST,
    HOST,
    INSTALL,
    MANY,
    SLOW_HOST,
    at_once,
    invoked,
    resolved,
)
from core.runner import ADMINISTRATOR, Runner
from waiting import PATIENCE

MESSAGES = {"Shell/Create": b"creationXml", "Shell/Receive": b"shell/Receive<"}


@pytest.mark.parametrize(
    ("vm", "host", "operation"),
    [("on-slow", SLOW_HOST, "Shell/Create"), ("on-hanging", HANGING_HOST, "Shell/Receive")],
)
def test_cancel_ends_a_run_and_its_pool(estate, new_runner, vm, host, operation):
    under_way, ends = threading.Event(), list[BaseException]()

    class Watched(WinrmPipe):
        def send(self, context, message):
            if MESSAGES[operation] in message:
                under_way.set()
            return super().send(context, message)

    run = new_runner(Watched)

    def activate() -> None:
        try:
            run.activate(vm, host)
        except errors.AvmaError as error:
            ends.append(error)

    thread = threading.Thread(target=activate)
    thread.start()
    assert under_way.wait(PATIENCE)
    run.cancellation.set()
    thread.join(PATIENCE)
    assert isinstance(ends[0], errors.Cancelled)
    assert not invoked(estate)
    run.machines.close()


@pytest.mark.parametrize(("vm", "host"), [("on-slow", SLOW_HOST), ("on-hanging", HANGING_HOST)])
def test_the_deadline_ends_a_run(estate, run, vm, host):
    run.seconds = 2
    with pytest.raises((errors.TimedOut, errors.AnswerLost), match="the time limit of 2 s expired"):
        run.activate(vm, host)


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


GONE = 0x8033805B


@pytest.mark.parametrize(
    "rule",
    [
        {"operation": "Pipeline/Receive", "hresult": GONE},
        {"operation": "Pipeline/Receive", "answer": "drop"},
        {"operation": "Pipeline/Receive", "answer": "garbage"},
        {"operation": "Pipeline/Command", "answer": "drop"},
        {"operation": "Pipeline/Command", "answer": "drop", "after": True},
        {"operation": "Shell/Create", "answer": "drop"},
        {"operation": "Shell/Create", "answer": "drop", "after": True},
        {"operation": "RunspacePool/Receive", "answer": "drop"},
        {"operation": "RunspacePool/Send", "answer": "drop"},
        {"operation": "Pipeline/Signal", "answer": "drop"},
        {"operation": "Pipeline/Signal", "hresult": GONE},
    ],
    ids=lambda rule: " ".join(str(value) for value in rule.values()),
)
def test_a_read_is_repeated_wherever_the_first_run_breaks(estate, run, rule):
    estate.faults("hv01", [{**rule, "times": 1}])
    for _ in range(2):
        assert run.vm.read(f"{HOST}/web01", None, run.operation()).outputs.guest_version == "2022"


def test_a_remote_powershell_that_has_ended_is_named_and_wmi_is_not_blamed(estate, run):
    estate.faults("hv01", [{"operation": "Pipeline/Receive", "hresult": GONE}])
    with pytest.raises(errors.AnswerLost) as caught:
        run.vm.read(f"{HOST}/web01", None, run.operation())
    ended = "the remote PowerShell session has ended (0x8033805B)"
    assert ended in caught.value.answer
    assert "may have taken effect" not in str(caught.value)  # it only read
    assert "winmgmt" not in str(caught.value)


def test_a_lost_change_says_that_it_may_have_taken_effect(estate, run):
    estate.faults("hv01", [{"operation": "Pipeline/Receive", "hresult": GONE, "skip": 1}])
    with pytest.raises(errors.AvmaError, match="may have taken effect") as caught:
        run.activate()
    assert "the provider sent the key" in str(caught.value)


def test_a_host_that_has_no_output_and_answers_at_once_is_asked_once_a_second(estate, run):
    estate.faults("hv01", [{"operation": "Pipeline/Receive", "answer": "timeout"}])
    run.seconds = 3
    with pytest.raises(errors.AvmaError):
        run.vm.read(f"{HOST}/web01", None, run.operation())
    assert estate.counts()["hv01"]["requests"] < 40


def test_a_pool_that_has_ended_is_replaced_and_a_method_runs_once(estate, run):
    run.vm.read(f"{HOST}/web01", None, run.operation())
    estate.reboot("hv01")
    assert run.activate("web01", HOST).outputs.license_status is LicenseStatus.LICENSED
    assert estate.counts()["web01"]["operations"][f"Invoke {INSTALL}"] == 1
    assert estate.counts()["hv01"]["pools"] == 2


@pytest.mark.parametrize("fault", [GONE, 0x803381E9, 0x80070718], ids=hex)
def test_a_pool_that_takes_no_more_pipelines_is_replaced(estate, run, fault):
    run.vm.read(f"{HOST}/web01", None, run.operation())
    estate.faults("hv01", [{"operation": "Pipeline/Command", "hresult": fault, "times": 1}])
    run.vm.read(f"{HOST}/web01", None, run.operation())
    assert estate.counts()["hv01"]["pools"] == 2


def test_a_new_pool_that_takes_no_pipeline_is_an_error(estate, run):
    estate.faults("hv01", [{"operation": "Pipeline/Command", "hresult": 0x80070718}])
    with pytest.raises(errors.WsmanFault):
        run.vm.read(f"{HOST}/web01", None, run.operation())
    assert estate.counts()["hv01"]["pools"] == 1


@pytest.mark.parametrize("answer", ["unavailable", "quota"])
@pytest.mark.parametrize("operation", ["Shell/Create", "Pipeline/Command"])
def test_a_host_that_is_busy_is_tried_again_for_reads_and_changes(estate, run, operation, answer):
    run.skip_pauses(estate)
    estate.faults("hv01", [{"operation": operation, "answer": answer, "times": 6}])
    assert run.activate("web01", HOST).outputs.license_status is LicenseStatus.LICENSED
    assert estate.counts()["web01"]["operations"][f"Invoke {INSTALL}"] == 1
    estate.faults("hv01", [])


@pytest.mark.parametrize(
    ("operation", "answer"),
    [
        ("RunspacePool/Receive", "unavailable"),
        ("RunspacePool/Receive", "quota"),
        ("RunspacePool/Send", "unavailable"),
        ("RunspacePool/Send", "quota"),
        ("Pipeline/Command", "unavailable"),
        ("Pipeline/Receive", "unavailable"),
        ("Pipeline/Receive", "quota"),
    ],
)
def test_a_busy_moment_costs_neither_the_pool_nor_the_script(estate, run, operation, answer):
    run.skip_pauses(estate)
    estate.faults("hv01", [{"operation": operation, "answer": answer, "times": 2}])
    assert run.activate("web01", HOST).outputs.license_status is LicenseStatus.LICENSED
    counts = estate.counts()["hv01"]
    assert counts["pools"] == 1
    assert estate.counts()["web01"]["operations"][f"Invoke {INSTALL}"] == 1


@pytest.mark.parametrize("rule", [{"answer": "drop"}, {"hresult": 0x80338048}], ids=["lost", "refused"])
def test_a_delete_that_fails_is_repeated_once(estate, run, rule):
    estate.faults("hv01", [{"operation": "Shell/Delete", **rule, "times": 1}])
    run.vm.read(f"{HOST}/web01", None, run.operation())
    run.machines.close()
    assert estate.counts()["hv01"]["openShells"] == 0


def test_a_guest_that_does_not_answer_ends_its_pool(estate, run):
    estate.faults("web01", [{"operation": "PowerShellDirect/Connect", "answer": "timeout", "times": 1}])
    wmi = run.machines.get(resolved()).guest(estate.machine("web01")["id"].lower(), "web01", Credential("x", "y")).wmi
    with pytest.raises(errors.AnswerLost, match="the guest did not answer in time"):
        wmi.invoke(Context("change it", wmi.where, Deadline(6)), CimMethod("root/cimv2", "A", "B"), {}, {})
    run.vm.read(f"{HOST}/web01", None, run.operation())
    assert estate.counts()["hv01"]["pools"] == 2


def test_a_guest_that_hangs_does_not_delay_answers_of_other_guests(estate, run):
    estate.faults("mute01", [{"operation": "PowerShellDirect/Connect", "answer": "timeout"}])
    account, cancellation = Credential(ADMINISTRATOR, GUEST_PASSWORD), Cancellation()
    operation = {"namespace": "root/cimv2", "query": "SELECT Version FROM Win32_OperatingSystem"}
    requests = [
        GuestRequest(
            estate.machine(name)["id"].lower(), account, [operation], Context("ask", "hv01", Deadline(60, cancellation))
        )
        for name in ("mute01", "web01")
    ]
    runs = run.machines.get(resolved())._runs

    def lead() -> None:
        with contextlib.suppress(errors.AnswerLost):
            runs._run(guest_runs.GuestRun(requests[0], requests))

    joint = threading.Thread(target=lead)
    joint.start()
    while not requests[1].done:
        requests[1].context.wait(0.05)
    assert requests[1].answer is not None
    assert requests[1].answer["results"]
    assert joint.is_alive()
    assert not requests[0].done
    cancellation.set()
    joint.join(PATIENCE)
    assert not joint.is_alive()


def test_a_guest_that_does_not_check_credentials_blocks_no_other_guest(estate, run, monkeypatch):
    monkeypatch.setattr(guest_runs, "SILENCE", 0.5)
    estate.faults("mute01", [{"operation": "PowerShellDirect/Credentials", "answer": "timeout"}])
    ends = list[BaseException]()

    def hang() -> None:
        try:
            run.vm.read(f"{HOST}/mute01", None, run.operation())
        except errors.AvmaError as error:
            ends.append(error)

    hanging = threading.Thread(target=hang)
    hanging.start()
    read = [partial(run.vm.read, f"{HOST}/{name}", None, run.operation()) for name in MANY[:10]]
    assert {result.outputs.guest_version for result in at_once(read)} == {"2022"}
    assert hanging.is_alive()
    run.cancellation.set()
    hanging.join(PATIENCE)
    assert isinstance(ends[0], errors.Cancelled | errors.AnswerLost)


def test_a_powershell_in_which_a_session_hangs_is_not_used_again(estate, run):
    estate.faults("web01", [{"operation": "PowerShellDirect/Connect", "answer": "timeout", "times": 1}])
    powershell = run.machines.get(resolved()).powershell
    request = GuestRequest(
        estate.machine("web01")["id"].lower(), Credential("x", "y"), [], Context("ask", "hv01", Deadline(20))
    )
    given = {"Guests": [request.as_parameter()], "ThrottleLimit": 1, "Timeout": 0.5}
    for must_close in (guest_runs._gave_up, lambda _: False):
        powershell.run(request.context, guest_runs.SCRIPT, given, must_close=must_close)
    assert estate.counts()["hv01"]["pools"] == 2


def test_a_read_that_breaks_is_sent_again(estate, run):
    estate.faults("web01", [{"operation": "Enumerate", "answer": "drop", "times": 1}])
    assert run.activate("web01", HOST).outputs.license_status is LicenseStatus.LICENSED


class Breaking(WinrmPipe):
    """A pipe that fails at one message to a shell: before sending it, or when its answer arrives."""

    messages = itertools.count()
    break_at = -1
    after_sending = False

    def send(self, context, message):
        if (b"/powershell/" not in message and b"/windows/shell" not in message) or next(
            type(self).messages
        ) != self.break_at:
            return super().send(context, message)
        if self.after_sending:
            super().send(context, message)
        self.close()
        raise context.error(errors.AnswerLost, "the connection broke off", "run again")


@pytest.mark.parametrize("after", [False, True], ids=["request lost", "answer lost"])
@pytest.mark.parametrize("at", range(20))
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
        assert estate.counts()["hv01"]["openShells"] <= 1  # one lost its name and stays until its idle timeout
