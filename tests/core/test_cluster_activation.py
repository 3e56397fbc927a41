"""ClusterActivation against a simulated cluster, through PowerShell Direct."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from avma import errors
from avma.configuration import Configuration, GuestDefaults
from avma.properties import UNKNOWN, dump
from avma.resources.claims import Claim, Claims
from avma.resources.cluster_activation.activation_properties import ClusterActivationOutputs, GuestActivation
from avma.resources.cluster_activation.activation_resource import ClusterActivationResource
from avma.resources.resource import Result
from avma.windows.licensing import LicenseStatus
from avma_simulator import EstateServer, load_estate, running
from core.runner import ADMINISTRATOR, OTHER_KEY, PASSWORD, Runner, methods, stored
from loopback import address
from pulumi_resource_avma.diff import settled

GUEST_PASSWORD = "Battery-Staple-8"
CLUSTER = address(100)
N1, N2, N1_ALIAS = address(1), address(2), address(3)
ACCOUNT = f"username: {ADMINISTRATOR}, password: {PASSWORD}"
GUEST_ACCOUNT = f"network: false, username: {ADMINISTRATOR}, password: {GUEST_PASSWORD}"
HOST = f'version: "2022", edition: Datacenter, license: {{key: {OTHER_KEY}}}, http: {{port: 5985}}, {ACCOUNT}'
MAK = "CDFGH-JKMPQ-RTVWX-Y2346-789NB"
ESTATE = f"""
keys:
  - {{key: {OTHER_KEY}, channel: Retail, version: "2022", edition: Datacenter}}
  - {{key: {MAK}, channel: MAK, version: "2022", edition: Standard}}
hosts:
  - {{name: n1, address: {N1}, aliases: [{N1_ALIAS}], {HOST}, vms: [
      {{name: web01, version: "2022", edition: Standard, {GUEST_ACCOUNT}}},
      {{name: web02, version: "2019", edition: Datacenter, {GUEST_ACCOUNT}}},
      {{name: eval01, version: "2019", edition: Standard, evaluation: true, {GUEST_ACCOUNT}}},
      {{name: off01, version: "2022", edition: Standard, state: "off", {GUEST_ACCOUNT}}}]}}
  - {{name: n2, address: {N2}, {HOST}, vms: [
      {{name: db01, version: "2022", edition: Datacenter, {GUEST_ACCOUNT}}},
      {{name: penguin, linux: {{name: Ubuntu, version: "24.04"}}}},
      {{name: mak01, version: "2022", edition: Standard, license: {{key: {MAK}, status: Licensed}}, {GUEST_ACCOUNT}}}]}}
clusters:
  - {{name: cl01, nodes: [n1, n2], address: {CLUSTER}, http: {{port: 5985}}}}
"""
ALL = {
    "db01": "activated",
    "eval01": "notApplicable",
    "mak01": "notApplicable",
    "off01": "stopped",
    "penguin": "notApplicable",
    "web01": "activated",
    "web02": "activated",
}
NEW = {"name": "new01", "version": "2022", "edition": "Standard", "network": False}
NEW_ACCOUNT = {"username": ADMINISTRATOR, "password": GUEST_PASSWORD}
INSTALL = "SoftwareLicensingService/InstallProductKey"
RESOURCE = ClusterActivationResource()
WANTED: dict[str, Any] = {"cluster": CLUSTER}


@pytest.fixture
def configuration() -> Configuration:
    guest = GuestDefaults(username=ADMINISTRATOR, password=GUEST_PASSWORD, ready_timeout="1s")
    return Configuration(https=False, username=ADMINISTRATOR, password=PASSWORD, guest=guest)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[EstateServer]:
    file = tmp_path / "cluster.yaml"
    file.write_text(ESTATE)
    with running(load_estate(file)) as server:
        yield server


def create(run: Runner, **inputs: Any) -> Result:
    wanted = {**WANTED, **inputs}
    assert RESOURCE.check(wanted) == []
    return RESOURCE.create(wanted, run.operation())


def read(run: Runner, result: Result) -> Result:
    found = RESOURCE.read(result.identifier, stored(result), run.operation())
    assert found is not None
    return found


def update(run: Runner, result: Result, **inputs: Any) -> Result:
    wanted = {**result.inputs, **inputs}
    assert RESOURCE.check(wanted) == []
    return RESOURCE.update(result.identifier, stored(result), wanted, run.operation())


def states(result: Result) -> dict[str, str]:
    return {guest.vm_name: guest.state.value for guest in result.outputs.guest_activations}


def guest_in(result: Result, name: str) -> GuestActivation:
    return next(guest for guest in result.outputs.guest_activations if guest.vm_name == name)


def changed(cluster: EstateServer) -> set[str]:
    """Return the machines on which a method was called since the last reset of the counts."""
    return {name for name in cluster.counts() if methods(cluster, name)}


def drifted(result: Result) -> dict[str, str]:
    """Return the wrong states by VM."""
    found = RESOURCE.diff(stored(result), result.inputs)
    assert all(change.path.startswith("guest_activations[") and not change.replaces for change in found)
    return {change.drift.machine: change.drift.found for change in found if change.drift}


def failed(call: Callable[[], object]) -> errors.PartlyDone[Result]:
    with pytest.raises(errors.PartlyDone) as caught:
        call()
    return caught.value


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
    assert "1 VM is not running, so not activated: off01" in run.told


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

    def test_one_vm_twice_in_guests_is_an_error(self, cluster: EstateServer, run: Runner) -> None:
        vm_id = guest_in(create(run), "web01").vm_id
        with pytest.raises(errors.InvalidInput, match="contains the VM web01 more than once"):
            create(run, guests={"web01": {"username": "x"}, vm_id: {"username": "y"}})

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


class TestHosts:
    def test_hosts_instead_of_a_cluster(self, cluster: EstateServer, run: Runner) -> None:
        result = RESOURCE.create({"hosts": [N2, N1]}, run.operation())
        assert result.identifier == f"{N2},{N1}"
        assert states(result) == ALL
        assert RESOURCE.diff(stored(result), {"hosts": [N1, N2]}) == []

    def test_a_single_host(self, cluster: EstateServer, run: Runner) -> None:
        result = RESOURCE.create({"hosts": [N2]}, run.operation())
        assert result.identifier == f"{N2},"
        assert states(result) == {"db01": "activated", "mak01": "notApplicable", "penguin": "notApplicable"}

    @pytest.mark.parametrize(
        ("identifier", "inputs"),
        [(CLUSTER, {"cluster": CLUSTER}), (f"{N1},{N2}", {"hosts": [N1, N2]}), (f"{N1},", {"hosts": [N1]})],
    )
    def test_import(self, cluster: EstateServer, run: Runner, identifier: str, inputs: dict[str, Any]) -> None:
        found = RESOURCE.read(identifier, None, run.operation())
        assert found is not None
        assert (found.identifier, found.inputs) == (identifier, inputs)
        assert states(found)["web01"] == "notActivated"
        assert not changed(cluster)

    @pytest.mark.parametrize("identifier", ["", ",", "n1,n1", "http://n1", "n1,,n2"])
    def test_malformed_identifiers(self, run: Runner, identifier: str) -> None:
        with pytest.raises(errors.InvalidInput):
            RESOURCE.read(identifier, None, run.operation())

    def test_guests_of_a_node_that_is_down_are_found_elsewhere(self, cluster: EstateServer, run: Runner) -> None:
        first = create(run)
        cluster.move("web01", "n2")
        cluster.power("n1", "off")
        found = read(run, first)
        assert states(found) == {**ALL, "web02": "unreachable", "eval01": "unreachable", "off01": "unreachable"}
        assert guest_in(found, "web02").managed
        assert "could not query n1" in str(guest_in(found, "web02").reason)
        assert drifted(found) == {}
        cluster.power("n1", "running")
        assert states(read(run, found)) == ALL

    def test_a_replica_that_is_off_is_not_the_vm(self, cluster: EstateServer, run: Runner) -> None:
        cluster.create("n2", {**NEW, **NEW_ACCOUNT, "replica": "n1"})
        first = create(run)
        assert (guest_in(first, "new01").host, states(first)) == ("n2", {**ALL, "new01": "activated"})
        cluster.power("n2", "off")
        assert states(read(run, first))["new01"] == "unreachable"

    def test_one_vm_on_two_hosts_is_an_error_for_it_alone(self, cluster: EstateServer, run: Runner) -> None:
        # Two names of one machine: it lists the same VMs under both.
        partly = failed(lambda: RESOURCE.create({"hosts": [N1, N1_ALIAS, N2]}, run.operation()))
        assert f"{N1} and {N1_ALIAS} run a VM with this id" in str(partly)
        assert states(partly.state) == {
            **ALL,
            **dict.fromkeys(("web01", "web02", "eval01"), "notActivated"),
        }
        assert changed(cluster) == {"db01"}


class TestDeletion:
    def test_retain_changes_nothing(self, cluster: EstateServer, run: Runner) -> None:
        result = create(run)
        cluster.reset_counts()
        RESOURCE.delete(result.identifier, stored(result), run.operation())
        assert not changed(cluster)

    def test_only_its_own_guests_are_undone(self, cluster: EstateServer, run: Runner) -> None:
        create(run, include=["web01"])  # another resource
        result = create(run, on_delete="uninstallKey")
        cluster.reset_counts()
        RESOURCE.delete(result.identifier, stored(result), run.operation())
        assert {name: methods(cluster, name) for name in changed(cluster)} == {
            "db01": {"UninstallProductKey": 1},
            "web02": {"UninstallProductKey": 1},
        }
        RESOURCE.delete(result.identifier, stored(result), run.operation())

    def test_the_kms_client_key_is_restored(self, cluster: EstateServer, run: Runner) -> None:
        result = create(run, on_delete="restoreKmsClientKey")
        cluster.reset_counts()
        RESOURCE.delete(result.identifier, stored(result), run.operation())
        assert changed(cluster) == {"web01", "web02", "db01"}
        found = create(run, exclude=["*"])
        assert found.outputs.activated == 0

    def test_a_stopped_guest_is_an_error_unless_ignored(self, cluster: EstateServer, run: Runner) -> None:
        result = create(run, on_delete="uninstallKey")
        cluster.power("web01", "off")
        with pytest.raises(errors.NotReady, match="not running"):
            RESOURCE.delete(result.identifier, stored(result), run.operation())
        ignoring = stored(result, stopped_guests="ignore")
        RESOURCE.delete(result.identifier, ignoring, run.operation())
        assert "web01: keeps its key: the VM is not running (Off)" in run.told

    def test_a_vm_that_is_gone_is_no_error(self, cluster: EstateServer, run: Runner) -> None:
        result = create(run, on_delete="uninstallKey")
        cluster.delete("web01")
        RESOURCE.delete(result.identifier, stored(result), run.operation())


class TestOtherResources:
    def test_the_same_key_is_no_conflict(self, cluster: EstateServer, run: Runner) -> None:
        run.claims = Claims()
        run.vm.create({"host": N1, "vm_name": "web01"}, run.operation("vm"))
        assert states(RESOURCE.create(WANTED, run.operation("all"))) == ALL

    def test_another_key_is_a_conflict_for_that_guest(self, cluster: EstateServer, run: Runner) -> None:
        vm_id = guest_in(create(run), "web01").vm_id
        run.claims = Claims()
        other = Claim("vm", vm_id, "XXXXX", installs=True, made=True)
        run.claims.add(other)
        cluster.uninstall_key("web01")
        partly = failed(lambda: RESOURCE.create(WANTED, run.operation("all")))
        assert isinstance(partly.cause, errors.KeyConflict)
        assert states(partly.state) == {**ALL, "web01": "notActivated"}


class TestPreview:
    def test_it_names_each_guest_and_the_reasons_for_the_others(self, cluster: EstateServer, run: Runner) -> None:
        assert RESOURCE.probe(WANTED, run.operation()) == {}
        told = "\n".join(run.told)
        assert "web01: the next run will activate it (Windows Server 2022 Standard, on n1): its license status" in told
        assert "penguin: stays as it is: the guest penguin runs Ubuntu" in told
        assert "The next run will activate 3 of 7 guests. 0 are activated already" in told
        assert not changed(cluster)

    def test_it_warns_of_what_the_run_will_refuse(self, cluster: EstateServer, run: Runner) -> None:
        cluster.create("n1", {**NEW, **NEW_ACCOUNT, "version": "2025"})
        RESOURCE.probe(WANTED, run.operation())
        assert any("will fail for some guests" in text and "new01" in text for text in run.told)

    def test_it_refuses_what_the_run_refuses_as_a_whole(self, cluster: EstateServer, run: Runner) -> None:
        cluster.uninstall_key("n1")
        cluster.uninstall_key("n2")
        with pytest.raises(errors.GuestsFailed, match="License the host first"):
            RESOURCE.probe(WANTED, run.operation())

    def test_unknown_accounts(self, cluster: EstateServer, run: Runner) -> None:
        wanted = {**WANTED, "guest": UNKNOWN}
        assert RESOURCE.askable(wanted)
        assert RESOURCE.probe(wanted, run.operation()) == {}
        assert any("will read 4 guests" in text for text in run.told)
        assert cluster.counts()["n1"]["pipelines"] == 0


def test_check() -> None:
    def paths(values: dict[str, Any]) -> set[str]:
        return {failure.path for failure in RESOURCE.check(values)}

    assert paths({}) == {"cluster"}
    assert paths({"cluster": "a", "hosts": ["b"]}) == {"hosts"}
    assert paths({"hosts": ["a", "b"], "connection": {"address": "c"}}) == {"connection.address"}
    assert paths({"hosts": ["a"], "connection": {"address": "c"}}) == set()
    assert paths({"cluster": "a", "include": [" "], "guests": {"x": {"product_key": "y", "port": "z"}}}) == {
        "include[0]",
        'guests["x"].product_key',
        'guests["x"].port',
    }
