"""ClusterActivation against a simulated cluster: hosts, deletion, other resources and previews."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from avma import errors
from avma.deadline import Deadline
from avma.functions.get_cluster_guests import GetClusterGuests
from avma.properties import UNKNOWN
from avma.resources import guest_licensing
from avma.resources.claims import Claim, Claims
from avma.resources.cluster_activation import guest_work
from avma.windows.hyperv import VirtualMachine, VmState
from avma.windows.machine import Server
from avma_simulator import EstateServer
from core.runner import Runner, methods, stored
from core.whole_cluster.lab import (
    ALL,
    CLUSTER,
    N1,
    N1_ALIAS,
    N2,
    NEW,
    NEW_ACCOUNT,
    RESOURCE,
    SPARE_MAK,
    WANTED,
    changed,
    create,
    drifted,
    failed,
    guest_in,
    read,
    states,
)


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

    @pytest.mark.parametrize(
        ("lists", "state"), [({"include": ["db*"]}, "activated"), ({"exclude": ["db*"]}, None)], ids=str
    )
    def test_the_name_of_a_stopped_replica_selects_nothing(
        self,
        cluster: EstateServer,
        run: Runner,
        monkeypatch: pytest.MonkeyPatch,
        lists: dict[str, list[str]],
        state: str | None,
    ) -> None:
        del cluster
        listed = Server.virtual_machines

        def with_replica(host: Server, deadline: Deadline) -> tuple[VirtualMachine, ...]:
            vms = listed(host, deadline)
            elsewhere = replace(replica, name="replica", state=VmState.OFF)
            return (elsewhere, *vms) if all(vm.id != replica.id for vm in vms) else vms

        replica = VirtualMachine(guest_in(create(run, include=["db01"]), "db01").vm_id, "db01", VmState.RUNNING)
        monkeypatch.setattr(Server, "virtual_machines", with_replica)
        assert states(create(run, **lists)).get("db01") == state

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
        assert any("keep their AVMA keys" in line and "lost: web01. To" in line for line in run.told)
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

    def test_a_key_of_somebody_else_stays(self, cluster: EstateServer, run: Runner) -> None:
        result = create(run, on_delete="uninstallKey")
        cluster.install_key("web01", SPARE_MAK)
        cluster.set_license("web01", "Licensed")
        refreshed = read(run, result)
        web01 = guest_in(refreshed, "web01")
        assert (web01.state.value, web01.partial_product_key, web01.managed) == (
            "notApplicable",
            SPARE_MAK[-5:],
            False,
        )
        cluster.reset_counts()
        RESOURCE.delete(refreshed.identifier, stored(refreshed), run.operation())
        assert changed(cluster) == {"web02", "db01"}

    def test_a_node_that_is_down_is_no_obstacle_without_own_guests_on_it(
        self, cluster: EstateServer, run: Runner
    ) -> None:
        result = create(run, include=["web01"], on_delete="uninstallKey")
        cluster.power("n2", "off")
        cluster.reset_counts()
        RESOURCE.delete(result.identifier, stored(result), run.operation())
        assert changed(cluster) == {"web01"}

    def test_a_guest_on_a_node_that_is_down_is_an_error(self, cluster: EstateServer, run: Runner) -> None:
        result = create(run, include=["db01"], on_delete="uninstallKey")
        cluster.power("n2", "off")
        with pytest.raises(errors.NotReady, match="n2"):
            RESOURCE.delete(result.identifier, stored(result), run.operation())

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

    def test_a_guest_that_was_activated_before_is_claimed_too(self, cluster: EstateServer, run: Runner) -> None:
        single = run.vm.create({"host": N1, "vm_name": "web01"}, run.operation("vm"))
        run.claims = Claims()
        assert states(RESOURCE.create(WANTED, run.operation("all"))) == ALL
        cluster.reset_counts()
        run.vm.delete(single.identifier, stored(single, on_delete="uninstallKey"), run.operation("vm"))
        assert not changed(cluster)


class TestMistakes:
    """A mistake in the provider about one guest must not lose the others."""

    def test_the_others_are_kept(self, cluster: EstateServer, run: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
        wrong = "WMBMW"

        def license_guest(attempt: Any, key: str, *others: Any) -> None:
            if key.endswith(wrong):
                raise KeyError(wrong)
            guest_licensing.license_guest(attempt, key, *others)

        monkeypatch.setattr(guest_work, "license_guest", license_guest)
        partly = failed(lambda: create(run))
        assert states(partly.state) == {**ALL, "web02": "notActivated"}
        assert "the provider itself failed (KeyError)" in str(partly)

    def test_without_a_change_it_is_an_internal_error(
        self, cluster: EstateServer, run: Runner, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def license_guest(*_: Any) -> None:
            raise KeyError

        monkeypatch.setattr(guest_work, "license_guest", license_guest)
        with pytest.raises(KeyError):
            create(run)


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


def test_the_function_shows_the_same_guests(cluster: EstateServer, run: Runner) -> None:
    found = GetClusterGuests().call(WANTED, run.operation)
    assert {guest.vm_name: guest.state.value for guest in found.guests} == {
        **ALL,
        **dict.fromkeys(("db01", "web01", "web02"), "notActivated"),
    }
    assert (found.activated, found.not_activated, found.not_applicable) == (0, 4, 3)
    assert not changed(cluster)
    assert {failure.path for failure in GetClusterGuests().check({})} == {"cluster"}
