"""Script runs shared by guests of one host: membership and time limits."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest

from avma import errors
from avma.cancellation import Cancellation
from avma.context import Context
from avma.deadline import Deadline
from avma.windows import guest_requests, guest_runs
from avma.windows.guest_requests import GuestRequest
from avma.windows.guest_runs import GuestRuns
from avma.windows.powershell import Answers
from avma.wsman.script import Credential, Secret
from unit.guest_scripts import ACCOUNT, ROWS, Asking, Script, first_run, runs_of, wait_for
from waiting import PATIENCE, Clock, unpaused


def test_rows_are_as_ws_management_has_them(script, runs):
    script.go_on.release()
    (row,) = Asking(runs, "a").ends_with()
    assert (row.text("Name"), row.integer("Count"), row.boolean("On")) == ("x", 3, True)
    assert (row.text("Time"), row.strings("List")) == ("2026-01-01T12:00:00.000000Z", ("a",))


def test_requests_during_a_run_share_the_next_run(script, runs):
    first = first_run(script, runs)
    others = [Asking(runs, name) for name in "bcde"]
    wait_for(runs, 4)
    script.go_on.release(2)
    for asking in (first, *others):
        assert len(asking.ends_with()) == 1
    assert [sorted(run) for run in script.runs] == [["a"], ["b", "c", "d", "e"]]


def test_a_vm_is_in_a_run_once(script, runs):
    first = first_run(script, runs)
    others = [Asking(runs, name) for name in "bbc"]
    wait_for(runs, 3)
    script.go_on.release(3)
    for asking in (first, *others):
        assert len(asking.ends_with()) == 1
    assert [sorted(run) for run in script.runs] == [["a"], ["b", "c"], ["b"]]


def test_a_guest_that_has_answered_waits_for_no_other_and_loses_no_answer(script, runs):
    first = first_run(script, runs)
    script.hanging = {"c"}
    answered, hanging = Asking(runs, "b"), Asking(runs, "c", change=True)
    wait_for(runs, 2)
    script.go_on.release()
    first.ends_with()
    assert script.started.acquire(timeout=PATIENCE)
    script.error = errors.WsmanFault("x", "hv01", "it broke", "look", 5)
    assert len(answered.ends_with()) == 1
    assert hanging.is_alive()
    script.go_on.release()
    assert str(hanging.ends_with()).startswith("hv01: could not change c: it broke")


def test_the_next_run_waits_for_the_powershell_of_one_whose_guests_have_all_answered(script, runs):
    script.hanging = {"none of these guests"}
    first = Asking(runs, "a")
    assert first.ends_with() is not None
    second = Asking(runs, "b")
    assert script.started.acquire(timeout=PATIENCE)
    wait_for(runs, 1)
    script.go_on.release()
    assert script.started.acquire(timeout=PATIENCE)
    script.go_on.release()
    assert second.ends_with() is not None
    assert script.runs == [["a"], ["b"]]
    assert script.most_in_parallel == 1  # a second one would open a second PowerShell


def test_an_error_of_a_run_names_the_operation_of_each_guest(script, runs):
    first = first_run(script, runs)
    others = [Asking(runs, name, change=True) for name in "bc"]
    wait_for(runs, 2)
    script.go_on.release()
    first.ends_with()
    assert script.started.acquire(timeout=PATIENCE)
    script.error = errors.WsmanFault("x", "hv01", "it broke", "look", 5)
    script.go_on.release()
    told = [other.ends_with() for other in others]
    assert [(type(error), error.tried, error.code) for error in told] == [
        (errors.WsmanFault, "change b", 5),
        (errors.WsmanFault, "change c", 5),
    ]


@pytest.mark.parametrize(("change", "kind"), [(False, errors.TimedOut), (True, errors.AnswerLost)])
def test_a_request_without_time_left_leaves_a_run_that_continues(script, runs, change, kind):
    clock = Clock()
    first, patient = first_run(script, runs), Asking(runs, "b")
    short = Asking(runs, "c", Deadline(1, clock=clock), change)
    wait_for(runs, 2)
    script.go_on.release()
    assert script.started.acquire(timeout=PATIENCE)
    clock.now = 2.0
    assert isinstance(short.ends_with(), kind)
    script.deadlines[1].check("run", "hv01")  # one request has time left, and so does the run
    script.go_on.release()
    assert len(first.ends_with()) == len(patient.ends_with()) == 1


def test_the_first_request_leaves_a_run_that_continues(script, runs):
    clock = Clock()
    first = first_run(script, runs, deadline=Deadline(1, clock=clock), change=True)
    clock.now = 2.0
    assert isinstance(first.ends_with(), errors.AnswerLost)
    other = Asking(runs, "b")
    wait_for(runs, 1)
    script.go_on.release(2)
    assert len(other.ends_with()) == 1


def test_a_request_that_ends_before_the_run_is_not_in_it(script, runs):
    first = first_run(script, runs)
    cancellation = Cancellation()
    left = Asking(runs, "b", Deadline(PATIENCE, cancellation), change=True)
    wait_for(runs, 1)
    cancellation.set()
    assert isinstance(left.ends_with(), errors.Cancelled)
    script.go_on.release()
    first.ends_with()
    assert script.runs == [["a"]]


def test_a_change_that_is_canceled_before_its_script_is_sent_is_not_in_the_script():
    class Opening(Script):
        """A PowerShell that is still starting when a request is canceled."""

        def run(self, context, script, parameters, on_answer, must_close):
            opening.set()
            assert left.wait(PATIENCE)
            return super().run(context, script, parameters, on_answer, must_close)

    opening, left, cancellation, script = threading.Event(), threading.Event(), Cancellation(), Opening()
    runs = runs_of(script)
    requests = [
        GuestRequest(name, ACCOUNT, [{"method": "A"}], Context("change it", "hv01", Deadline(PATIENCE, part)))
        for name, part in (("a", cancellation), ("b", Cancellation()))
    ]
    working = threading.Thread(target=lambda: runs._run(guest_runs.GuestRun(requests[1], requests)))
    working.start()
    assert opening.wait(PATIENCE)
    cancellation.set()
    left.set()
    script.go_on.release()
    working.join(PATIENCE)
    assert script.runs == [["b"]]
    assert [request.begun for request in requests] == [False, True]


def test_a_run_ends_when_no_request_has_time_left(script, runs):
    cancellation = Cancellation()
    first = first_run(script, runs, deadline=Deadline(PATIENCE, cancellation))
    joint = script.deadlines[0]
    joint.check("run", "hv01")
    assert 0 < joint.remaining() <= PATIENCE
    cancellation.set()
    with pytest.raises(errors.Cancelled):
        joint.wait(1, "run", "hv01")
    script.go_on.release()
    first.ends_with()


def test_a_password_is_not_shown():
    assert "Hush" not in repr(ACCOUNT)


def test_arguments_of_methods_are_secrets_and_operations_hold_their_places():
    methods: list[dict[str, Any]] = [
        {"method": "A", "arguments": {"X": "one", "Y": "two"}},
        {"query": "Q"},
        {"method": "B", "arguments": {}},
    ]
    request = GuestRequest(
        "id", ACCOUNT, [*methods, {"method": "C", "arguments": {"Z": "three"}}], Context("ask", "hv01", unpaused(1))
    )
    parameter = request.as_parameter()
    assert json.loads(parameter.pop("operations")) == [
        {"method": "A", "arguments": {"X": 0, "Y": 1}},
        {"query": "Q"},
        {"method": "B", "arguments": {}},
        {"method": "C", "arguments": {"Z": 2}},
    ]
    assert parameter.pop("seconds") == 0.8  # the rest is a reserve
    assert parameter == {
        "id": "id",
        "credential": Credential(ACCOUNT.username, ACCOUNT.password),
        "secrets": [Secret("one"), Secret("two"), Secret("three")],
    }
    assert "two" not in repr(request.as_parameter())


def test_the_end_of_a_run_names_the_time_that_the_user_allowed():
    class Checking(Script):
        def run(self, context, script, parameters, on_answer, must_close):
            while True:
                context.wait(0.01)

    with pytest.raises(errors.AvmaError, match=r"the time limit of 1 s expired"):
        runs_of(Checking()).ask(GuestRequest("vm", ACCOUNT, [], Context("ask", "hv01", Deadline(1))))


def test_a_run_is_not_over_before_the_last_of_its_guests_is():
    now = [0.0]
    deadlines = [Deadline(seconds, clock=lambda: now[0]) for seconds in (5, 9)]
    run = guest_requests.JointDeadline(deadlines)
    now[0] = 6.0
    run.check("ask", "hv01")
    now[0] = 9.0
    with pytest.raises(errors.TimedOut, match=r"the time limit of [59] s expired"):
        run.check("ask", "hv01")


def test_a_run_that_lasts_too_long_names_the_guests_and_not_the_time_of_the_user(monkeypatch):
    monkeypatch.setattr(guest_requests, "_LONGEST_RUN", 0.0)
    with pytest.raises(errors.TimedOut, match=r"the guests did not answer within 0 s\. Check the guests on this host"):
        guest_requests.JointDeadline([Deadline(3600)]).check("ask", "hv01")


class Connecting(Script):
    """A PowerShell that connects to one guest after the other. Guests in `stuck` block it until `released`."""

    def __init__(self, *stuck: str) -> None:
        super().__init__()
        self.stuck = set(stuck)
        self.blocked = {vm: threading.Event() for vm in stuck}
        self.released = threading.Event()
        self.first = threading.Event()

    def run(self, context, script, parameters, on_answer, must_close):
        ids = [guest["id"] for guest in parameters["Guests"].decide()]
        self.runs.append(ids)
        if len(self.runs) == 1:
            assert self.first.wait(PATIENCE)
        for vm in ids:
            on_answer({"starting": vm.upper()})
            if vm in self.stuck:
                self.blocked[vm].set()
                assert self.released.wait(PATIENCE)
            on_answer({"starting": None})
            on_answer({"id": vm, "results": ROWS})
        return Answers(({"starting": None},), "")


def shared_run(script: Connecting, runs: GuestRuns, names: str, changing: str = "") -> dict[str, Asking]:
    """Return the requests to these guests, all in one run."""
    before = Asking(runs, "before")
    while not script.runs:
        before.join(0.01)
    asking = {}
    for name in names:
        asking[name] = Asking(runs, name, change=name in changing)
        wait_for(runs, len(asking))
    script.first.set()
    before.ends_with()
    return asking


def test_a_guest_that_blocks_the_script_blocks_no_read_of_its_neighbors(monkeypatch):
    script = Connecting("a")
    runs = runs_of(script)
    asking = shared_run(script, runs, "abc")
    assert script.blocked["a"].wait(PATIENCE)
    monkeypatch.setattr(guest_runs, "SILENCE", 0.0)
    assert len(asking["b"].ends_with()) == len(asking["c"].ends_with()) == 1
    for name in "defghijkl":
        assert len(Asking(runs, name).ends_with()) == 1
    assert asking["a"].is_alive()
    script.released.set()
    assert len(asking["a"].ends_with()) == 1
    assert script.runs[1:3] == [["a", "b", "c"], ["b", "c"]]


def test_a_change_in_a_blocked_run_is_not_sent_twice(monkeypatch):
    script = Connecting("a")
    runs = runs_of(script)
    asking = shared_run(script, runs, "abc", changing="b")
    assert script.blocked["a"].wait(PATIENCE)
    monkeypatch.setattr(guest_runs, "SILENCE", 0.0)
    assert len(asking["c"].ends_with()) == 1
    assert asking["b"].is_alive()
    script.released.set()
    asking["a"].ends_with()
    asking["b"].ends_with()
    assert [sorted(run) for run in script.runs if "b" in run] == [["a", "b", "c"]]


def test_three_guests_that_block_their_runs_leave_one_to_the_others(monkeypatch):
    script = Connecting("a", "b", "c")
    runs = runs_of(script)
    asking = shared_run(script, runs, "abcd")
    assert script.blocked["a"].wait(PATIENCE)
    monkeypatch.setattr(guest_runs, "SILENCE", 0.0)
    assert len(asking["d"].ends_with()) == 1
    assert script.blocked["b"].wait(PATIENCE)
    assert script.blocked["c"].wait(PATIENCE)
    assert len(Asking(runs, "e").ends_with()) == 1
    assert len(runs._running) <= 4
    script.released.set()
    for name in "abc":
        asking[name].ends_with()


def test_a_guest_that_was_given_up_is_asked_alone_until_it_answers(script, runs):
    runs._suspects = {"b"}
    first = first_run(script, runs)
    others = [Asking(runs, name) for name in "bcd"]
    for _ in others:
        script.go_on.release()
    script.go_on.release()
    for asking in (first, *others):
        assert len(asking.ends_with()) == 1
    assert ["b"] in script.runs
    assert not runs._suspects


def test_a_run_that_has_reached_no_guest_yet_is_waited_for(script, runs, monkeypatch):
    monkeypatch.setattr(guest_runs, "SILENCE", 0.0)
    first = first_run(script, runs)
    other = Asking(runs, "b")
    wait_for(runs, 1)
    assert not runs._due()
    script.go_on.release(2)
    for asking in (first, other):
        assert len(asking.ends_with()) == 1
    assert script.runs == [["a"], ["b"]]
