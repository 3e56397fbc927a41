"""The optional read-ahead: the first read of a guest also reads the others, for later reads of the same run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest

from avma import errors
from avma.deadline import Deadline
from avma.resources.resource import Operation, Result
from avma.windows.licensing import LicenseStatus
from core.powershell_direct.lab import GUEST_PASSWORD, HOST, MANY, at_once
from core.runner import ADMINISTRATOR, Runner, stored

GUESTS = ["web01", *MANY]


@pytest.fixture
def new_ahead(new_runner: Callable[..., Runner]) -> Callable[[], Runner]:
    def make() -> Runner:
        runner = new_runner()
        runner.configuration = replace(runner.configuration, read_ahead=True)
        return runner

    return make


@pytest.fixture
def run(new_ahead: Callable[[], Runner]) -> Runner:
    return new_ahead()


def reading(run: Runner, max_age: float = 3600) -> Operation:
    return replace(run.operation(), deadline=Deadline(120, max_age=max_age))


def refresh(run: Runner, name: str, max_age: float = 3600) -> Result:
    result = run.vm.read(f"{HOST}/{name}", None, reading(run, max_age))
    assert result is not None
    return result


def pipelines(estate) -> int:
    counted: int = estate.counts()["hv01"]["pipelines"]
    return counted


def test_all_guests_of_a_host_cost_one_pipeline(estate, run):
    for name in GUESTS:
        refresh(run, name)
    assert (estate.counts()["hv01"]["pools"], pipelines(estate)) == (1, 1)


@pytest.mark.parametrize("calls_under_way", [8, 64])
def test_they_cost_no_more_if_the_reads_come_at_once(estate, run, calls_under_way):
    names = (GUESTS * 5)[:calls_under_way]
    answers = at_once([partial(refresh, run, name) for name in names])
    assert all(isinstance(answer, Result) for answer in answers)
    assert estate.counts()["hv01"]["pools"] == 1
    assert pipelines(estate) <= 2  # a guest can be asked itself before the first run takes it along


@pytest.mark.usefixtures("estate")
def test_the_answers_are_those_of_single_reads(run, new_runner):
    run.activate("web01", HOST)
    ahead = {name: refresh(run, name).outputs for name in GUESTS}
    alone = new_runner()
    assert ahead == {name: refresh(alone, name).outputs for name in GUESTS}
    alone.machines.close()


@pytest.mark.parametrize(("read_ahead", "max_age"), [(False, 3600), (True, 0)])
def test_it_is_off_by_default_and_for_changes(estate, run, read_ahead, max_age):
    run.configuration = replace(run.configuration, read_ahead=read_ahead)
    for count, name in enumerate(GUESTS[:3], 1):
        refresh(run, name, max_age)
        assert pipelines(estate) == count


@pytest.mark.usefixtures("estate")
def test_a_guest_that_this_process_changes_is_read_again(run):
    refresh(run, "web01")
    assert refresh(run, "app00").outputs.license_status is not LicenseStatus.LICENSED
    run.activate("app00", HOST)
    assert refresh(run, "app00").outputs.license_status is LicenseStatus.LICENSED


def test_a_guest_with_an_account_of_its_own_is_read_with_it(estate, run):
    refresh(run, "web01")
    present = refresh(run, "app00")
    before = pipelines(estate)
    own = {"username": ADMINISTRATOR, "password": "Wrong-Password-1"}
    with pytest.raises(errors.LogonUncertain):
        run.vm.read(present.identifier, stored(present, guest=own), reading(run))
    assert pipelines(estate) == before + 1


def test_a_rejected_account_is_tried_once_in_each_guest(estate, run):
    assert run.configuration.guest is not None
    guest = replace(run.configuration.guest, password="Wrong-Password-1")
    run.configuration = replace(run.configuration, guest=guest)
    for name in GUESTS * 2:
        with pytest.raises(errors.LogonUncertain):
            refresh(run, name)
    failed = estate.failed_sign_ins()
    assert len(failed) == len(GUESTS)
    assert {account["failed"] for account in failed.values()} == {1}


@pytest.mark.parametrize("name", ["mute01", "old01"])
def test_a_guest_that_does_not_report_a_suitable_windows_server_is_not_read_ahead(estate, run, name):
    refresh(run, "web01")
    before = pipelines(estate)
    at_once([partial(refresh, run, name)])
    assert pipelines(estate) > before


@pytest.mark.parametrize("read_ahead", [True, False])
def test_a_guest_with_an_account_of_its_own_needs_no_default(estate, run, read_ahead):
    own = {"username": ADMINISTRATOR, "password": GUEST_PASSWORD}
    run.configuration = replace(run.configuration, guest=None, read_ahead=read_ahead)
    assert run.activate("web01", HOST, guest=own).outputs.license_status is LicenseStatus.LICENSED
    present = stored(run.activate("app00", HOST, guest=own))
    assert run.vm.read(f"{HOST}/app00", present, reading(run)) is not None
    assert estate.machine("app00")["status"] == "Licensed"


def test_a_guest_is_read_even_if_the_reports_of_the_others_are_not(estate, run):
    estate.faults("hv01", [{"operation": "Enumerate", "class": "Msvm_KvpExchangeComponent", "answer": "emptyBody"}])
    assert refresh(run, "web01").outputs.license_status is not None
