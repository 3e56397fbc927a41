"""ClusterActivation against a simulated cluster: its guests, through PowerShell Direct."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from avma import errors
from avma.configuration import Configuration, GuestDefaults
from avma.properties import dump
from avma.resources.cluster_activation.activation_properties import ClusterActivationOutputs
from avma.windows.licensing import LicenseStatus
from avma_simulator import EstateServer
from core.runner import ADMINISTRATOR, PASSWORD, Runner, methods, stored
from core.whole_cluster.lab import (
    ALL,
    CLUSTER,
    GUEST_PASSWORD,
    INSTALL,
    NEW,
    NEW_ACCOUNT,
    RESOURCE,
    WANTED,
    changed,
    create,
    drifted,
    failed,
    guest_in,
    read,
    states,
    update,
)
from pulumi_resource_avma.diff import settled


def test_every_guest_is_activated(cluster: EstateServer, run: Runner) -> None:
    result = create(run)
    assert result.identifier == CLUSTER
    assert states(result) == ALL
    outputs = result.outputs
    assert (outputs.activated, outputs.not_activated, outputs.not_applicable) == (3, 1, 3)
    web01 = guest_in(result, "web01")
    assert (web01.host, web01.activated_by_host, web01.guest_version, web01.managed) == ("n1", "N1", "2022", True)
    assert guest_in(result, "penguin").reason == "the guest penguin runs Ubuntu, and AVMA activates only Windows Server"
    assert (
        guest_in(result, "mak01").reason
        == "it is activated through VOLUME_MAK, and `replace_other_licenses` is not set"
    )
    assert changed(cluster) == {"web01", "web02", "db01"}
    assert RESOURCE.diff(stored(result), WANTED) == []
    later = "Start it, then refresh the state and apply the change."
    assert f"1 VM is not running, so not activated: off01. {later}" in run.told


def test_a_second_time_changes_nothing(cluster: EstateServer, run: Runner) -> None:
    first = create(run)
    cluster.reset_counts()
    second = create(run)
    assert states(second) == states(first)
    assert not changed(cluster)
    assert not guest_in(second, "web01").managed  # it was activated before


def test_a_new_vm_is_drift_and_the_next_update_activates_only_it(cluster: EstateServer, run: Runner) -> None:
    first = create(run)
    cluster.create("n2", {**NEW, **NEW_ACCOUNT})
    found = read(run, first)
    assert list(drifted(found)) == ["new01"]
    assert drifted(found)["new01"].startswith("notActivated (its license status is")
    cluster.reset_counts()
    second = update(run, found)
    assert changed(cluster) == {"new01"}
    assert states(second) == {**ALL, "new01": "activated"}
    assert {guest.vm_name for guest in second.outputs.guest_activations if guest.managed} == {
        "web01",
        "web02",
        "db01",
        "new01",
    }
    assert second.identifier == first.identifier


def test_a_vm_that_is_gone_is_dropped(cluster: EstateServer, run: Runner) -> None:
    first = create(run)
    cluster.delete("web02")
    found = read(run, first)
    assert "web02" not in states(found)
    assert drifted(found) == {}


def test_a_vm_that_moves_or_gets_another_name_is_no_drift(cluster: EstateServer, run: Runner) -> None:
    first = create(run)
    cluster.move("web01", "n2")
    cluster.rename("db01", "sql01")
    found = read(run, first)
    assert drifted(found) == {}
    assert guest_in(found, "web01").host == "n2"
    assert guest_in(found, "sql01").vm_id == guest_in(first, "db01").vm_id
    assert guest_in(found, "sql01").managed
    assert settled(ClusterActivationOutputs, dump(found.outputs)) != settled(
        ClusterActivationOutputs, dump(first.outputs)
    )
    cluster.rename("sql01", "db01")
    moved_back = read(run, first)
    assert settled(ClusterActivationOutputs, dump(moved_back.outputs)) == settled(
        ClusterActivationOutputs, dump(first.outputs)
    )


def test_other_licenses_are_replaced_only_if_declared(cluster: EstateServer, run: Runner) -> None:
    first = create(run)
    assert not methods(cluster, "mak01")
    second = update(run, first, replace_other_licenses=True)
    assert states(second)["mak01"] == "activated"
    assert methods(cluster, "mak01") == {"InstallProductKey": 1}


def test_a_failed_guest_leaves_the_others_activated(cluster: EstateServer, run: Runner) -> None:
    cluster.faults("web02", [{"operation": INSTALL, "hresult": 0xC004F050}])
    partly = failed(lambda: create(run))
    assert states(partly.state) == {**ALL, "web02": "notActivated"}
    assert "0xC004F050" in str(partly)
    assert "web02" in str(partly)
    assert list(drifted(partly.state)) == ["web02"]
    cluster.faults("web02", [])
    cluster.reset_counts()
    second = update(run, partly.state)
    assert states(second) == ALL
    assert changed(cluster) == {"web02"}


def test_several_failed_guests_are_in_one_error(cluster: EstateServer, run: Runner) -> None:
    for name in ("web01", "web02", "db01"):
        cluster.faults(name, [{"operation": INSTALL, "hresult": 0xC004F050}])
    with pytest.raises(errors.GuestsFailed) as caught:
        create(run)
    assert len(caught.value.causes) == 3
    text = str(caught.value)
    assert "3 guests failed: db01, web01, web02: " in text
    assert text.count("0xC004F050") == 1


def test_a_guest_on_an_unlicensed_host_is_not_activated(cluster: EstateServer, run: Runner) -> None:
    cluster.uninstall_key("n1")
    partly = failed(lambda: create(run))
    assert states(partly.state) == {**ALL, "web01": "notActivated", "web02": "notActivated"}
    assert "License the host first" in str(partly)
    assert changed(cluster) == {"db01"}


def test_a_guest_newer_than_its_host_fails_alone(cluster: EstateServer, run: Runner) -> None:
    cluster.create("n1", {**NEW, **NEW_ACCOUNT, "version": "2025"})
    partly = failed(lambda: create(run))
    assert states(partly.state) == {**ALL, "new01": "notActivated"}
    assert isinstance(partly.cause, errors.NewerThanHost)


def test_data_exchange_is_turned_on_only_if_declared(cluster: EstateServer, run: Runner) -> None:
    cluster.data_exchange("web01", False)
    partly = failed(lambda: create(run))
    assert states(partly.state) == {**ALL, "web01": "notActivated"}
    assert isinstance(partly.cause, errors.DataExchangeOff)
    assert states(update(run, partly.state, manage_data_exchange=True)) == ALL


class TestSelection:
    def test_patterns_and_ids(self, cluster: EstateServer, run: Runner) -> None:
        everything = create(run, exclude=["*"])
        assert states(everything) == {}
        vm_id = guest_in(create(run, include=["db01"]), "db01").vm_id
        found = create(run, include=["WEB*", vm_id.upper()], exclude=["web?2"])
        assert states(found) == {"db01": "activated", "web01": "activated"}
        assert changed(cluster) == {"web01", "db01"}

    def test_brackets_are_no_pattern(self, cluster: EstateServer, run: Runner) -> None:
        assert states(create(run, include=["web0[12]"])) == {}

    def test_a_pattern_without_a_vm_is_a_warning_with_near_names(self, cluster: EstateServer, run: Runner) -> None:
        create(run, include=["wep01", "db01"], exclude=["x*"], guests={"web1": {"username": "x"}})
        assert "`include` contains wep01, which fits no VM. Similar names: web01" in run.told
        assert "`exclude` contains x*, which fits no VM" in run.told
        assert "`guests` contains web1, which is no VM. Similar names: web01" in run.told

    def test_an_unknown_id_is_an_error(self, cluster: EstateServer, run: Runner) -> None:
        unknown = "11111111-2222-3333-4444-555555555555"
        with pytest.raises(errors.NotFound, match=unknown):
            create(run, include=[unknown])
        assert not changed(cluster)

    def test_settings_of_single_guests(self, cluster: EstateServer, run: Runner) -> None:
        cluster.create("n1", {**NEW, "username": "Root", "password": "Other-Word-9"})
        guests = {"NEW01": {"username": "Root", "password": "Other-Word-9"}}
        assert states(create(run, guests=guests)) == {**ALL, "new01": "activated"}


class TestUnread:
    @pytest.fixture(autouse=True)
    def other_account(self, cluster: EstateServer) -> None:
        cluster.create("n1", {**NEW, "username": "Root", "password": "Other-Word-9"})

    def test_a_guest_with_another_account_is_unreachable_and_the_others_are_done(
        self, cluster: EstateServer, run: Runner
    ) -> None:
        result = create(run)
        assert states(result) == {**ALL, "new01": "unreachable"}
        assert drifted(result) == {}
        (told,) = (text for text in run.told if text.startswith("new01: "))
        assert "check `guest.username`" in told.lower()

    def test_fail_is_drift_and_an_error(self, cluster: EstateServer, run: Runner) -> None:
        partly = failed(lambda: create(run, unreachable_guests="fail", stopped_guests="fail"))
        assert states(partly.state) == {**ALL, "new01": "unreachable"}
        assert set(drifted(partly.state)) == {"new01", "off01"}
        assert "2 guests failed" in str(partly)
        assert not [text for text in run.told if "not running" in text]

    def test_ignore_is_silent(self, cluster: EstateServer, run: Runner) -> None:
        create(run, unreachable_guests="ignore", stopped_guests="ignore")
        assert not [text for text in run.told if "new01" in text or "off01" in text]

    def test_a_stopped_guest_keeps_its_stored_license(self, cluster: EstateServer, run: Runner) -> None:
        first = create(run)
        cluster.power("web01", "off")
        found = read(run, first)
        web01 = guest_in(found, "web01")
        assert (web01.state.value, web01.license_status, web01.managed) == ("stopped", LicenseStatus.LICENSED, True)
        assert drifted(found) == {}


class TestMissingAccount:
    @pytest.fixture
    def configuration(self) -> Configuration:
        return Configuration(https=False, username=ADMINISTRATOR, password=PASSWORD)

    def test_guests_without_an_account_are_unreachable(self, cluster: EstateServer, run: Runner) -> None:
        account = {"username": ADMINISTRATOR, "password": GUEST_PASSWORD}
        result = create(run, guests={"web01": account})
        assert states(result) == {
            **ALL,
            "db01": "unreachable",
            "mak01": "unreachable",
            "web02": "unreachable",
        }
        assert any("db01, mak01, web02: " in text and "guest.username" in text for text in run.told)


class TestSetup:
    @pytest.fixture
    def configuration(self) -> Configuration:
        guest = GuestDefaults(username=ADMINISTRATOR, password=GUEST_PASSWORD, ready_timeout="60s")
        return Configuration(https=False, username=ADMINISTRATOR, password=PASSWORD, guest=guest)

    def test_guests_in_setup_are_waited_for_and_the_others_are_not_held_up(
        self, cluster: EstateServer, run: Runner
    ) -> None:
        cluster.setup("web01", 3)
        seen: dict[str, str] = {}

        def note(text: str) -> None:
            if text.endswith("guests are done"):
                seen[text] = cluster.machine("web01")["status"]

        assert states(RESOURCE.create(WANTED, replace(run.operation(), show_status=note))) == ALL
        assert seen["3 of 4 guests are done"] != "Licensed"
        assert seen["4 of 4 guests are done"] == "Licensed"

    def test_a_vm_may_move_while_it_is_waited_for(self, cluster: EstateServer, run: Runner) -> None:
        cluster.setup("web01", 3)
        moving = threading.Timer(1, cluster.move, ("web01", "n2"))
        moving.start()
        found = create(run)
        moving.join()
        assert states(found) == ALL
        assert guest_in(found, "web01").activated_by_host == "N2"
