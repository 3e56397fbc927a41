"""Waiting for a VM that is being provisioned, and the error if it does not get ready.

No pause lasts. Each one advances the clock of the operation and that of the simulator.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from avma import errors
from avma.configuration import GuestDefaults
from avma.environment import with_sources
from avma.resources import guest_access
from avma.resources.resource import Stored
from avma.resources.vm_activation import wait_for_guest
from avma.windows.licensing import LicenseStatus
from avma_simulator import EstateServer
from core.runner import ADMINISTRATOR, HV01, LICENSED, OTHER_KEY, PASSWORD, Runner, Waiting, stored
from loopback import address

WINRM = {"transport": "winrm"}
WRONG = {"password": "Wrong-Horse-9"}


@pytest.fixture
def direct(estate, run) -> EstateServer:
    """Return the simulator with a licensed hv01 and guests over PowerShell Direct."""
    run.license(HV01, OTHER_KEY)
    guest = GuestDefaults(https=False, username=ADMINISTRATOR, password=PASSWORD, ready_timeout="90s")
    run.configuration = replace(run.configuration, guest=guest)
    run.skip_pauses(estate)
    estate.reset_counts()
    return estate


def calls(estate: EstateServer) -> list[str]:
    operations = [op for machine in estate.counts().values() for op in machine["operations"]]
    return [op for op in operations if op.startswith("Invoke")]


@pytest.mark.parametrize("guest", [{}, WINRM], ids=["through its host", "over the network"])
def test_a_vm_in_setup_is_waited_for(direct, run, guest):
    direct.setup("web01", 600)
    run.told = Waiting(lambda: direct.setup("web01", 1))
    result = run.activate(guest=guest)
    assert result.outputs.license_status is LicenseStatus.LICENSED
    assert any("web01: waiting for its guest (" in text and "of 90 s" in text for text in run.told)


def test_a_vm_that_is_started_meanwhile_is_activated(direct, run):
    direct.power("web01", "off")
    run.told = Waiting(lambda: direct.power("web01", "running"))
    assert run.activate().outputs.license_status is LicenseStatus.LICENSED
    assert any("waiting for its guest (its state is Off)" in text for text in run.told)


def test_a_vm_that_moves_meanwhile_is_followed(direct, run):
    def move() -> None:
        direct.move("web01", "licensed")
        direct.setup("web01", 1)

    direct.setup("web01", 600)
    run.told = Waiting(move)
    result = run.activate(host=None, hosts=[HV01, LICENSED])
    assert result.outputs.activated_by_host == "LICENSED"


@pytest.mark.parametrize(
    ("guest", "text"),
    [
        (
            {},
            r"it has reported nothing through Data Exchange yet\). The last error was: .* Or increase `guest",
        ),
        (
            WINRM,
            r"it has not answered yet\). The last error was: the VM web01 has not reported an IP .* Or increase `guest",
        ),
    ],
)
def test_a_timeout_reports_how_far_the_guest_was(direct, run, guest, text):
    direct.setup("web01", 600)
    with pytest.raises(errors.NotReady, match=rf"the VM web01 was not ready after 6 s \({text}"):
        run.activate(guest={**guest, "ready_timeout": "6s"})
    assert calls(direct) == []


def test_the_time_of_the_operation_ends_the_wait_with_the_same_error(direct, run):
    direct.power("web01", "off")
    run.seconds = 8
    with pytest.raises(
        errors.NotReady,
        match=r"VM web01 was not ready after \d+ s \(its state is Off\). Run .*Start-VM.*allow more",
    ):
        run.activate()


def test_a_time_limit_that_ends_in_an_attempt_quotes_the_last_error_of_the_guest(run):
    wait = wait_for_guest.begin_wait(None, run.operation())
    wait.note(errors.NotReady("connect", "web01", "the VM is off", "start it"))
    with pytest.raises(errors.TimedOut, match=r"the VM is off, and the time is over. Start it"):
        wait.note(errors.TimedOut("connect", "web01", "the time is over", "allow more time"))


def test_wrong_credentials_of_a_guest_that_has_started_are_named_at_once(direct, run):
    with pytest.raises(errors.LogonRefused, match=r"Windows \(build 20348\) has started.*Correct `guest.username`"):
        run.activate(guest=WRONG)
    assert direct.counts()["hv01"]["pipelines"] == 1
    assert not [text for text in run.told if WRONG["password"] in text]


def test_an_account_from_the_environment_that_a_started_guest_rejects_names_its_variables(direct, run):
    run.configuration = replace(run.configuration, guest=replace(run.configuration.guest, **WRONG))
    variables = {"AVMA_GUEST_USERNAME": ADMINISTRATOR, "AVMA_GUEST_PASSWORD": WRONG["password"]}
    run.configuration = with_sources(run.configuration, {}, variables)
    named = r"Correct `guest.username` \(from AVMA_GUEST_USERNAME\) and `guest.password` \(from AVMA_GUEST_PASSWORD\)"
    with pytest.raises(errors.LogonRefused, match=named):
        run.activate()


@pytest.mark.parametrize("guest", [{}, WINRM], ids=["through its host", "over the network"])
def test_a_guest_that_has_just_been_set_up_is_asked_ever_more_seldom(direct, run, monkeypatch, guest):
    monkeypatch.setattr(wait_for_guest, "_FIRST_BETWEEN_LOGONS", 0.5)
    direct.setup("web01", 1)
    with pytest.raises(errors.LogonRefused, match=r"Windows \(build 20348\) has started"):
        run.activate(guest={**guest, **WRONG, "ready_timeout": "6s"})
    assert direct.counts()["hv01"]["pipelines"] <= 6


def test_an_account_that_comes_last_is_waited_for(direct, run, monkeypatch):
    monkeypatch.setattr(wait_for_guest, "_FIRST_BETWEEN_LOGONS", 0.5)
    direct.setup("web01", 1)
    reached, tries = run.vm, []
    original = guest_access.connect

    def connect(placement, guest, operation):
        tries.append(placement)
        if len(tries) < 4:
            raise errors.LogonUncertain("reach the guest", "web01", "no", "wait")
        return original(placement, guest, operation)

    monkeypatch.setattr(guest_access, "connect", connect)
    assert reached.create({"host": HV01, "vm_name": "web01"}, run.operation()).outputs.guest_version == "2022"


def test_a_host_that_is_away_for_a_moment_does_not_end_the_wait(direct, run):
    direct.setup("web01", 600)
    run.told = Waiting(
        lambda: direct.power("hv01", "off"),
        lambda: direct.power("hv01", "running"),
        lambda: direct.setup("web01", 0),
    )
    assert run.activate().outputs.activated_by_host == "HV01"


def test_a_guest_without_data_is_not_tried_until_its_account_is_locked(direct, run, monkeypatch):
    monkeypatch.setattr(wait_for_guest, "_FIRST_BETWEEN_LOGONS", 0.1)
    monkeypatch.setattr("avma.resources.data_exchange.require_data_exchange", lambda *_: None)
    direct.data_exchange("web01", False)
    with pytest.raises(errors.LogonUncertain, match=r"not ready yet\. Check `guest\.username`"):
        run.activate(guest=WRONG)
    assert direct.counts()["hv01"]["pipelines"] == 3


def test_an_error_that_waiting_does_not_fix_is_reported_immediately(direct, run):
    direct.data_exchange("web01", False)
    with pytest.raises(errors.Refused, match="Data Exchange integration service of web01 is off"):
        run.activate()
    direct.data_exchange("web01", True)
    with pytest.raises(errors.LogonRefused, match="rejected the sign-in"):
        run.activate(guest={**WINRM, **WRONG, "address": address(21)})
    assert not [text for text in run.told if "waiting" in text]


def test_a_preview_and_an_update_do_not_wait(direct, run):
    result = run.activate()
    direct.setup("web01", 600)
    with pytest.raises(errors.NotReady, match="If web01 is still starting, wait"):
        run.vm.probe(result.inputs, run.operation())
    drifted = {**result.inputs, "product_key": None}
    outputs = {"license_status": "Unlicensed", "vm_id": result.outputs.vm_id}
    with pytest.raises(errors.NotReady, match="If web01 is still starting, wait"):
        run.vm.update(result.identifier, Stored(result.inputs, outputs), drifted, run.operation())
    assert not [text for text in run.told if "waiting" in text]


@pytest.mark.parametrize("guest", [{}, WINRM], ids=["through its host", "over the network"])
def test_a_preview_takes_a_refusal_in_setup_for_one_that_time_may_mend(direct, run, guest):
    direct.setup("web01", 60)
    direct.advance_clock(60)
    with pytest.raises(errors.LogonUncertain):
        run.vm.probe({"host": HV01, "vm_name": "web01", "guest": {**guest, **WRONG}}, run.operation())


def test_a_refresh_keeps_what_is_stored_of_a_vm_that_is_starting(direct, run):
    result = run.activate()
    direct.setup("web01", 600)
    kept = run.vm.read(result.identifier, stored(result), run.operation())
    assert kept.outputs == result.outputs
    assert "web01: could not read its activation: " in run.told[-1]
    with pytest.raises(errors.NotReady):
        run.vm.read(result.identifier, None, run.operation())


def test_a_refresh_reports_wrong_credentials_of_a_vm_that_runs_for_long(direct, run):
    result = run.activate()
    with pytest.raises(errors.LogonUncertain):
        run.vm.read(
            result.identifier, Stored({**result.inputs, "guest": WRONG}, stored(result).outputs), run.operation()
        )


def test_cancelling_ends_the_wait(direct, run: Runner):
    direct.setup("web01", 600)
    run.told = Waiting(run.cancellation.set)
    with pytest.raises(errors.Cancelled):
        run.activate()
