"""Reads of guests that go along with a run for another guest."""

from __future__ import annotations

import threading

from avma.context import Context
from avma.deadline import Deadline
from avma.windows import guest_runs
from avma.windows.guest_requests import Companion
from avma.windows.guest_runs import GuestRuns
from avma.windows.powershell_direct import GuestWmi
from unit.guest_scripts import ACCOUNT, Asking, first_run, wait_for
from waiting import PATIENCE


def companion(runs: GuestRuns, vm: str, found: list[str], deadline: Deadline | None = None) -> Companion:
    context = Context("read it", vm, deadline or Deadline(PATIENCE))
    return GuestWmi(runs, vm, vm, ACCOUNT).companion(context, "root/cimv2", ["SELECT *"], lambda _: found.append(vm))


def test_a_companion_goes_along_and_its_guest_is_not_asked_meanwhile(script, runs):
    found: list[str] = []
    with runs.taking_along([companion(runs, "b", found), companion(runs, "c", found)]):
        first = first_run(script, runs)
    second = Asking(runs, "b")
    wait_for(runs, 1)
    script.go_on.release()
    assert first.ends_with() is not None
    assert script.started.acquire(timeout=PATIENCE)
    script.go_on.release()
    assert second.ends_with() is not None
    assert script.runs == [["a", "b", "c"], ["b"]]
    assert found == ["b", "c"]


def test_a_companion_that_no_run_took_along_holds_up_nobody(script, runs):
    with runs.taking_along([companion(runs, "b", [])]):
        pass
    script.go_on.release()
    assert Asking(runs, "b").ends_with() is not None
    assert script.runs == [["b"]]


def test_two_operations_that_read_each_other_ahead_do_not_wait_for_each_other(script, runs):
    with runs.taking_along([companion(runs, "a", [])]), runs.taking_along([companion(runs, "b", [])]):
        asking = [Asking(runs, "a"), Asking(runs, "b")]
        script.go_on.release(4)
        assert all(each.ends_with() is not None for each in asking)


def test_an_operation_waits_for_the_companion_of_its_guest(script, runs):
    found: list[str] = []
    with runs.taking_along([companion(runs, "b", found)]):
        first = first_run(script, runs)
    waiting = threading.Thread(target=runs.await_companion, args=("b", Context("read it", "b", Deadline(PATIENCE))))
    waiting.start()
    script.go_on.release()
    waiting.join(PATIENCE)
    assert found == ["b"]
    first.ends_with()


def test_a_hanging_guest_does_not_hold_up_a_companion(script, runs, monkeypatch):
    monkeypatch.setattr(guest_runs, "SILENCE", 0.0)
    found: list[str] = []
    with runs.taking_along([companion(runs, "b", found)]):
        first = first_run(script, runs)
    runs._running[0].record_start("a")
    runs.await_companion("b", Context("read it", "b", Deadline(PATIENCE)))
    script.go_on.release(2)
    assert Asking(runs, "b").ends_with() is not None
    first.ends_with()
    assert found == []


def test_a_change_gets_no_company(script, runs):
    with runs.taking_along([companion(runs, "b", [])]):
        first = first_run(script, runs, change=True)
    script.go_on.release()
    first.ends_with()
    assert script.runs == [["a"]]


def test_a_companion_that_is_no_longer_needed_stays(script, runs):
    context = Context("read it", "b", Deadline(PATIENCE))
    needless = GuestWmi(runs, "b", "b", ACCOUNT).companion(context, "root/cimv2", ["S"], print, lambda: False)
    with runs.taking_along([needless]):
        first = first_run(script, runs)
    script.go_on.release()
    first.ends_with()
    assert script.runs == [["a"]]


def test_a_vm_has_one_companion_however_many_operations_want_it(script, runs):
    with runs.taking_along([companion(runs, "b", [])]), runs.taking_along([companion(runs, "b", [])]):
        assert runs.expected() == {"b"}
        first = first_run(script, runs)
        assert runs.expected() == {"a", "b"}
    script.go_on.release()
    first.ends_with()
    assert script.runs == [["a", "b"]]
    assert runs.expected() == set()


def test_a_suspect_gets_no_company(script, runs):
    runs._suspects = {"a"}
    with runs.taking_along([companion(runs, "b", [])]):
        first = first_run(script, runs)
    script.go_on.release()
    first.ends_with()
    assert script.runs == [["a"]]
