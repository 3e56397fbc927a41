"""ClusterActivation while its VMs move, get other names, or leave the lists of the program."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from avma import errors
from avma.functions.get_cluster_guests import GetClusterGuests
from avma.properties import UNKNOWN, dump
from avma.resources.claims import Claims, stake
from avma.resources.cluster_activation import activation_resource, guest_listing, guest_reading, guest_work
from avma.resources.cluster_activation.activation_properties import ClusterActivationOutputs
from avma.resources.cluster_license.cluster_nodes import NodeState
from avma.resources.resource import Operation
from avma_simulator import EstateServer
from core.runner import Runner, stored
from core.whole_cluster.lab import (
    ALL,
    CLUSTER,
    N1,
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
    update,
)
from pulumi_resource_avma.diff import of_refresh, settled

NO_VM = "11111111-2222-3333-4444-555555555555"


class TestMoves:
    def test_a_vm_that_moves_before_it_is_read_is_activated(
        self, cluster: EstateServer, run: Runner, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        activate_guests = guest_work.activate_guests

        def move_first(*arguments: Any) -> None:
            cluster.move("web01", "n2")
            activate_guests(*arguments)

        monkeypatch.setattr(activation_resource, "activate_guests", move_first)
        result = create(run)
        assert states(result) == ALL
        assert (guest_in(result, "web01").host, guest_in(result, "web01").activated_by_host) == ("n2", "N2")

    def test_a_vm_that_moves_during_a_refresh_is_read(
        self, cluster: EstateServer, run: Runner, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        result = create(run)
        read_guests = guest_reading.read_guests

        def move_first(*arguments: Any) -> None:
            cluster.move("web01", "n2")
            read_guests(*arguments)

        monkeypatch.setattr(activation_resource, "read_guests", move_first)
        assert states(read(run, result)) == ALL

    def test_a_vm_that_moves_during_the_listing_stays_in_the_state(
        self, cluster: EstateServer, run: Runner, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        result = create(run)

        def one_after_another(nodes: Sequence[NodeState], work: Callable[..., None], operation: Operation) -> None:
            for node in nodes:
                work(node, operation)
                if node.name == "n1":
                    cluster.move("db01", "n1")

        monkeypatch.setattr(guest_listing, "read_each", one_after_another)
        found = read(run, result)
        assert (guest_in(found, "db01").host, guest_in(found, "db01").managed) == ("n1", True)

    def test_the_listing_is_repeated_only_for_a_missing_vm(self, cluster: EstateServer, run: Runner) -> None:
        result = create(run)
        cluster.delete("db01")
        found = read(run, result)
        assert "db01" not in states(found)
        cluster.reset_counts()
        read(run, found)
        assert cluster.counts()["n2"]["operations"]["Enumerate"] == 2  # the VMs and their reports


class TestNames:
    def test_a_deletion_finds_its_guest_under_another_name(self, cluster: EstateServer, run: Runner) -> None:
        result = create(run, include=["web01"], on_delete="uninstallKey")
        cluster.rename("web01", "prod01")
        cluster.reset_counts()
        RESOURCE.delete(result.identifier, stored(result), run.operation())
        assert changed(cluster) == {"prod01"}

    def test_the_name_of_two_vms_is_clear_if_one_is_excluded(self, cluster: EstateServer, run: Runner) -> None:
        first, _ = (cluster.create(host, {**NEW, **NEW_ACCOUNT, "name": "twin"}) for host in ("n1", "n2"))
        guests = {"twin": {"username": "Administrator"}}
        assert "2 VMs are named twin" in failed(lambda: create(run, guests=guests)).message
        result = create(run, guests=guests, exclude=[first["id"]])
        assert states(result)["twin"] == "activated"

    def test_the_name_of_a_system_is_shown_without_its_control_characters(
        self, cluster: EstateServer, run: Runner
    ) -> None:
        cluster.data_exchange_items("db01", [item("OSName", "Windows 11\u202e\nwarning: forged")])
        reason = guest_in(create(run), "db01").reason or ""
        assert reason.startswith("it runs ")
        assert "\n" not in reason
        assert "\u202e" not in reason


def item(name: str, value: str) -> str:
    """Return one item of a Data Exchange report, as the host embeds it."""
    properties = (
        f'<PROPERTY NAME="{key}" TYPE="string"><VALUE>{text}</VALUE></PROPERTY>'
        for key, text in (("Data", value), ("Name", name))
    )
    return f'<INSTANCE CLASSNAME="Msvm_KvpExchangeDataItem">{"".join(properties)}</INSTANCE>'


class TestLists:
    def test_an_excluded_guest_is_free_for_another_resource(self, cluster: EstateServer, run: Runner) -> None:
        first = create(run)
        run.claims = Claims()
        holdings = RESOURCE.holdings(stored(first), {**WANTED, "exclude": ["WEB0?"]})
        assert {claim.place for claim in holdings} == {"db01", "off01"}
        for claim in holdings:
            stake(run.claims, replace(claim, resource="all"), "x", "keep ClusterActivation")
        run.vm.probe({"host": N1, "vm_name": "web01", "product_key": SPARE_MAK}, run.operation("vm"))

    def test_lists_that_are_not_known_yet_keep_all_guests(self, cluster: EstateServer, run: Runner) -> None:
        first = create(run)
        holdings = RESOURCE.holdings(stored(first), {**WANTED, "exclude": [UNKNOWN], "include": UNKNOWN})
        assert {claim.place for claim in holdings} == {"db01", "off01", "web01", "web02"}

    def test_an_excluded_guest_leaves_the_state_also_while_its_host_is_down(
        self, cluster: EstateServer, run: Runner
    ) -> None:
        first = create(run)
        cluster.power("n1", "off")
        result = update(run, first, exclude=["web01"])
        assert states(result)["web02"] == "unreachable"
        assert "web01" not in states(result)

    @pytest.mark.parametrize(("mode", "warned"), [("ignore", False), ("warn", True), ("fail", False)])
    def test_the_option_decides_also_about_hosts(
        self, cluster: EstateServer, run: Runner, mode: str, warned: bool
    ) -> None:
        cluster.power("n1", "off")
        if mode == "fail":
            assert "n1" in str(failed(lambda: create(run, unreachable_guests=mode)))
        else:
            create(run, unreachable_guests=mode)
        assert any("Its guests are unknown" in line for line in run.told) is warned

    def test_a_function_checks_its_lists(self, cluster: EstateServer, run: Runner) -> None:
        with pytest.raises(errors.NotFound, match=NO_VM):
            GetClusterGuests().call({**WANTED, "include": [NO_VM]}, run.operation)
        GetClusterGuests().call({**WANTED, "include": ["wep*"]}, run.operation)
        assert "`include` contains wep*, which fits no VM" in " ".join(run.told)

    def test_an_import_of_several_hosts_has_no_comma_at_the_end(self, cluster: EstateServer, run: Runner) -> None:
        with pytest.raises(errors.InvalidHost):
            RESOURCE.read(f"{N1},{CLUSTER},", None, run.operation())


class TestLater:
    def test_a_guest_without_an_answer_needs_a_refresh(self, cluster: EstateServer, run: Runner) -> None:
        cluster.create("n1", {**NEW, "username": "Root", "password": "Other-Word-9"})
        result = create(run)
        assert states(result)["new01"] == "unreachable"
        assert drifted(result) == {}
        (warning,) = (line for line in run.told if line.startswith("new01: "))
        assert "refresh the state and apply the change" in warning.replace("Refresh", "refresh")

    def test_reasons_are_no_difference(self, cluster: EstateServer, run: Runner) -> None:
        result = create(run)
        before = dump(result.outputs)
        after = {**before, "guest_activations": [{**each, "reason": "other"} for each in before["guest_activations"]]}
        first, second = (settled(ClusterActivationOutputs, each) for each in (before, after))
        assert not of_refresh(first, second).detailedDiff

    def test_a_deletion_names_itself_in_errors(self, cluster: EstateServer, run: Runner) -> None:
        result = create(run, on_delete="uninstallKey")
        for names in (["web01"], ["db01", "web02"]):
            for name in names:
                cluster.power(name, "off")
            with pytest.raises(errors.AvmaError, match="undo the activation of the guests"):
                RESOURCE.delete(result.identifier, stored(result), run.operation())


class TestPreviews:
    def test_guests_that_may_become_ready_are_a_warning(self, cluster: EstateServer, run: Runner) -> None:
        wanted = {**WANTED, "include": ["web0*"], "unreachable_guests": "fail"}
        for name in ("web01", "web02"):
            cluster.setup(name, 600)
        RESOURCE.probe(wanted, run.operation())
        assert any("the next run may fail for some guests" in line.lower() for line in run.told)

    def test_a_conflict_about_an_activated_guest_fails(self, cluster: EstateServer, run: Runner) -> None:
        first = create(run)
        run.claims = Claims()
        claim = next(each for each in RESOURCE.holdings(stored(first), WANTED) if each.place == "web01")
        run.claims.add(replace(claim, resource="vm", key="XXXXX", made=True))
        with pytest.raises(errors.KeyConflict):
            RESOURCE.probe(WANTED, run.operation("all"))

    def test_data_exchange_that_comes_first_is_announced(self, cluster: EstateServer, run: Runner) -> None:
        cluster.data_exchange("web01", False)
        guest = {"transport": "winrm", "https": False}
        RESOURCE.probe({**WANTED, "include": ["web01"], "guest": guest, "manage_data_exchange": True}, run.operation())
        assert "web01: the next run will turn on its Data Exchange, and then read the guest" in run.told
