"""A VM with the name of another one does not get its account: the host decides about the names of its VMs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from avma import errors, keys
from avma.deadline import Deadline
from avma.keys import KeyKind
from avma.resources.cluster_activation.activation_properties import GuestActivation
from avma.resources.resource import Result
from avma.windows.hyperv import VirtualMachine
from avma.windows.machine import Server
from avma_simulator import EstateServer
from core.runner import Runner, published_key, stored
from core.whole_cluster.lab import NEW, RESOURCE, create, failed, guest_in, read, states, update
from core.whole_cluster.lab import WANTED as LAB

ACCOUNT = {"username": "Root", "password": "Other-Word-9"}
"""The account of the guest that the program means. The VM with its name accepts it too, so a sign-in succeeds."""
WANTED = {"include": ["d0", "evil"], "guests": {"d0": ACCOUNT}}
ANOTHER, NAMESAKES = "d0 is another VM", "2 VMs are named d0"


@pytest.fixture
def right(cluster: EstateServer) -> str:
    """Create the VM that the program means, and return its id."""
    return str(cluster.create("n2", {**NEW, **ACCOUNT, "name": "d0"})["id"]).lower()


@pytest.fixture
def evil(cluster: EstateServer, right: str) -> str:
    """Create a VM on the other node, and return its id. It gets the name of the right one later."""
    del right
    return str(cluster.create("n1", {**NEW, **ACCOUNT, "name": "evil"})["id"]).lower()


def state_of(result: Result, vm_id: str) -> str:
    found: GuestActivation = next(each for each in result.outputs.guest_activations if each.vm_id == vm_id)
    return found.state.value


def sign_ins(cluster: EstateServer, vm_id: str) -> int:
    """Return the number of sessions in a guest through its host, also of those that its Windows rejected."""
    records = [record for name in ("n1", "n2") for record in cluster.module_log(name)]
    return sum(record["parameter"] == "VMId" and record["value"].lower() == vm_id for record in records)


def test_a_refresh_does_not_connect_to_the_namesake(cluster: EstateServer, run: Runner, evil: str) -> None:
    result = create(run, **WANTED)
    assert states(result) == {"d0": "activated", "evil": "unreachable"}
    cluster.rename("evil", "d0")
    before = sign_ins(cluster, evil)
    found = read(run, result)
    assert sign_ins(cluster, evil) == before
    by_id = {guest.vm_id: guest for guest in found.outputs.guest_activations}
    assert (by_id[evil].state.value, by_id[evil].license_status) == ("notActivated", None)
    assert {guest.state.value for vm_id, guest in by_id.items() if vm_id != evil} == {"activated"}
    assert any(ANOTHER in line and "Use the GUID" in line for line in run.told)


def test_an_update_activates_the_others(cluster: EstateServer, run: Runner, evil: str) -> None:
    result = create(run, **WANTED)
    cluster.rename("evil", "d0")
    cluster.uninstall_key("web01")
    error = failed(lambda: update(run, result, include=["d0", "web01"]))
    assert isinstance(error.cause, errors.InvalidInput)
    assert cluster.machine("web01")["status"] == "Licensed"
    assert cluster.machine(evil)["status"] != "Licensed"


def test_the_host_of_the_right_vm_does_not_answer(cluster: EstateServer, run: Runner, right: str, evil: str) -> None:
    result = create(run, **WANTED)
    cluster.rename("evil", "d0")
    cluster.power("n2", "off")
    before = sign_ins(cluster, evil)
    again = update(run, result)
    assert state_of(again, evil) == "unreachable"
    assert any(f"names d0 ({right}) may be on a host without an answer (n2)" in line for line in run.told)
    assert sign_ins(cluster, evil) == before


def test_the_right_vm_keeps_its_account_in_each_later_run(
    cluster: EstateServer, run: Runner, right: str, evil: str
) -> None:
    result = create(run, **WANTED)
    cluster.rename("evil", "d0")
    before = sign_ins(cluster, evil)
    again = read(run, read(run, result))
    assert (state_of(again, right), state_of(again, evil)) == ("activated", "notActivated")
    cluster.uninstall_key(right)
    error = failed(lambda: update(run, again))
    assert (state_of(error.state, right), state_of(error.state, evil)) == ("activated", "notActivated")
    assert cluster.machine(right)["status"] == "Licensed"
    assert sign_ins(cluster, evil) == before


def test_an_entry_with_the_id_beside_the_name_gives_the_name_to_nobody(
    cluster: EstateServer, run: Runner, right: str, evil: str
) -> None:
    result = create(run, **WANTED)
    cluster.rename("evil", "d0")
    guests, before = {"d0": ACCOUNT, right: ACCOUNT}, sign_ins(cluster, evil)
    first = failed(lambda: update(run, result, guests=guests))
    second = failed(lambda: update(run, first.state, guests=guests))
    assert ANOTHER in first.message
    assert ANOTHER in second.message
    assert sign_ins(cluster, evil) == before


def leaves_the_cluster(cluster: EstateServer, run: Runner, result: Result, _right: str) -> Result:
    cluster.change_nodes("cl01", "remove", "n2")
    gone = read(run, result)
    cluster.change_nodes("cl01", "add", "n2")
    return gone


def is_excluded(_cluster: EstateServer, run: Runner, result: Result, right: str) -> Result:
    error = failed(lambda: update(run, result, include=["d*", "evil", "web01"], exclude=[right]))
    return error.state


def has_another_name(cluster: EstateServer, run: Runner, result: Result, right: str) -> Result:
    cluster.rename(right, "d1")
    renamed = read(run, result)
    cluster.rename(right, "d0")
    return renamed


@pytest.mark.parametrize("absence", [leaves_the_cluster, is_excluded, has_another_name])
def test_a_namesake_does_not_take_over_while_the_right_vm_is_away(
    cluster: EstateServer,
    run: Runner,
    right: str,
    evil: str,
    absence: Callable[[EstateServer, Runner, Result, str], Result],
) -> None:
    result = create(run, include=["d*", "evil"], guests={"d0": ACCOUNT})
    cluster.rename("evil", "d0")
    before = sign_ins(cluster, evil)
    later = absence(cluster, run, result, right)
    back = read(run, replace(later, inputs=result.inputs))
    assert (state_of(back, right), state_of(back, evil)) == ("activated", "notActivated")
    assert sign_ins(cluster, evil) == before


def test_an_excluded_vm_that_moves_during_the_listing_is_not_gone(
    cluster: EstateServer, run: Runner, right: str, evil: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = create(run, include=["d*", "evil"], guests={"d0": ACCOUNT})
    cluster.rename("evil", "d0")
    excluded = is_excluded(cluster, run, result, right)
    listed, listings = Server.virtual_machines, list[str]()

    def between_hosts(host: Server, deadline: Deadline) -> tuple[VirtualMachine, ...]:
        listings.append(host.where)
        vms = listed(host, deadline)
        return vms if len(listings) > 2 else tuple(vm for vm in vms if vm.id != right)

    monkeypatch.setattr(Server, "virtual_machines", between_hosts)
    before = sign_ins(cluster, evil)
    read(run, excluded)
    assert sign_ins(cluster, evil) == before


def test_a_preview_does_not_announce_work_on_a_vm_with_an_unclear_account(
    cluster: EstateServer, run: Runner, right: str
) -> None:
    cluster.data_exchange(right, False)
    cluster.power("n1", "off")
    guests = {"d0": {**ACCOUNT, "transport": "winrm"}}
    RESOURCE.probe({**LAB, "include": ["d0"], "guests": guests, "manage_data_exchange": True}, run.operation())
    assert not any("Data Exchange" in line for line in run.told)


def test_a_deletion_does_not_look_at_excluded_namesakes(
    cluster: EstateServer, run: Runner, right: str, evil: str
) -> None:
    """The state is of an earlier version, without the VMs of the names."""
    cluster.rename("evil", "d0")
    result = create(run, include=["d0"], exclude=[evil], guests={"d0": ACCOUNT}, on_delete="uninstallKey")
    old = replace(result, outputs=replace(result.outputs, named_guests=None))
    RESOURCE.delete(result.identifier, stored(old), run.operation())
    assert cluster.machine(right)["status"] == "Unlicensed"


def test_a_renamed_vm_keeps_its_account(cluster: EstateServer, run: Runner, right: str) -> None:
    result = create(run, include=["d?"], guests={"d0": ACCOUNT})
    cluster.rename(right, "d1")
    cluster.uninstall_key(right)
    assert states(update(run, result)) == {"d1": "activated"}
    assert "`guests` contains d0, whose VM is named d1 now" in run.told


def test_a_vm_that_was_created_again_in_maintenance_is_no_error(cluster: EstateServer, run: Runner) -> None:
    cluster.create("n1", {**NEW, **ACCOUNT, "name": "d0"})
    result = create(run, include=["d0", "web01"], guests={"d0": ACCOUNT})
    cluster.delete("d0")
    cluster.create("n1", {**NEW, **ACCOUNT, "name": "d0"})
    cluster.power("n2", "off")
    result = update(run, result)
    assert guest_in(result, "web01").state.value == "activated"
    cluster.power("n2", "running")
    assert set(states(update(run, result)).values()) == {"activated"}


def test_a_namesake_does_not_claim_the_key_of_the_right_vm(
    cluster: EstateServer, run: Runner, right: str, evil: str
) -> None:
    result = create(run, **WANTED)
    cluster.rename("evil", "d0")
    seen = read(run, result)
    key = published_key(KeyKind.AVMA, "2022", "Datacenter")
    wanted = {**seen.inputs, "guests": {"d0": {**ACCOUNT, "product_key": key}}}
    claimed = {claim.machine for claim in RESOURCE.holdings(stored(seen), wanted) if claim.key == keys.partial(key)}
    assert claimed == {right}
    del evil


def test_without_the_host_of_the_right_vm_its_name_leads_to_no_account(
    cluster: EstateServer, run: Runner, right: str, evil: str
) -> None:
    """The state does not know the VMs yet."""
    cluster.rename("evil", "d0")
    cluster.power("n2", "off")
    result = create(run, include=["d0", "web01"], guests={"d0": ACCOUNT})
    assert states(result) == {"d0": "unreachable", "web01": "activated"}
    assert any(
        "d0: the VM of its name in `guests` may be on a host without an answer (n2)" in line for line in run.told
    )
    cluster.power("n2", "running")
    with pytest.raises(errors.AvmaError, match=NAMESAKES):
        update(run, result)
    assert sign_ins(cluster, evil) == 0
    assert state_of(update(run, result, guests={right: ACCOUNT}), right) == "activated"


def test_a_new_guest_is_activated_after_all_hosts_answer(cluster: EstateServer, run: Runner, right: str) -> None:
    cluster.power("n1", "off")
    result = create(run, include=["d0", "web02"], guests={"d0": ACCOUNT})
    assert state_of(result, right) == "unreachable"
    cluster.power("n1", "running")
    result = update(run, result)
    assert state_of(result, right) == "activated"
    cluster.power("n1", "off")
    cluster.uninstall_key(right)
    assert state_of(update(run, result), right) == "activated"


def test_a_deletion_undoes_only_the_right_vm(cluster: EstateServer, run: Runner, right: str, evil: str) -> None:
    result = create(run, **WANTED, on_delete="uninstallKey")
    cluster.rename("evil", "d0")
    before = sign_ins(cluster, evil)
    RESOURCE.delete(result.identifier, stored(result), run.operation())
    assert cluster.machine(right)["status"] == "Unlicensed"
    assert sign_ins(cluster, evil) == before > 0
    assert not any(ANOTHER in line or NAMESAKES in line for line in run.told)


def test_a_deletion_without_the_host_of_the_right_vm(cluster: EstateServer, run: Runner, right: str, evil: str) -> None:
    """Somebody else activated the right VM, so the deletion is about its namesake alone."""
    create(run, include=["d0"], guests={"d0": ACCOUNT})
    both = {"d0": ACCOUNT, evil: ACCOUNT}
    result = create(run, include=["d0", "evil"], guests=both, on_delete="uninstallKey")
    result = update(run, result, guests={"d0": ACCOUNT})
    cluster.rename("evil", "d0")
    cluster.power("n2", "off")
    before = sign_ins(cluster, evil)
    with pytest.raises(errors.Unreachable, match="may be on a host without an answer"):
        RESOURCE.delete(result.identifier, stored(result), run.operation())
    assert sign_ins(cluster, evil) == before > 0


def test_each_name_of_several_vms_is_an_error_of_its_own(cluster: EstateServer, run: Runner) -> None:
    for name in ("d0", "e0"):
        for node in ("n1", "n2"):
            cluster.create(node, {**NEW, **ACCOUNT, "name": name})
    guests = {"d0": ACCOUNT, "e0": ACCOUNT}
    error = failed(lambda: create(run, include=["d0", "e0", "web01"], guests=guests))
    assert (error.message.count(NAMESAKES), error.message.count("2 VMs are named e0")) == (1, 1)


def test_a_vm_that_was_created_again_has_its_settings(cluster: EstateServer, run: Runner) -> None:
    cluster.create("n1", {**NEW, **ACCOUNT, "name": "d0"})
    result = create(run, **WANTED)
    cluster.delete("d0")
    cluster.create("n2", {**NEW, **ACCOUNT, "name": "d0"})
    assert states(update(run, result)) == {"d0": "activated"}


def test_two_new_vms_with_one_name_are_not_activated(cluster: EstateServer, run: Runner) -> None:
    for node in ("n1", "n2"):
        cluster.create(node, {**NEW, **ACCOUNT, "name": "d0"})
    error = failed(lambda: create(run, include=["d0", "web01"], guests={"d0": ACCOUNT}))
    assert cluster.machine("web01")["status"] == "Licensed"
    assert error.message.count("2 VMs are named d0") == 1


def test_an_entry_with_the_id_comes_first(cluster: EstateServer, run: Runner) -> None:
    vm_id = str(cluster.create("n1", {**NEW, **ACCOUNT, "name": "d0"})["id"])
    wrong = {**ACCOUNT, "password": "Wrong-Word-1"}
    result = create(run, include=["d0"], guests={"d0": wrong, vm_id: ACCOUNT})
    assert states(result) == {"d0": "activated"}
    assert "`guests` contains d0, whose VM also has an entry with its GUID" in run.told


def test_two_spellings_of_one_name_are_not_clear(cluster: EstateServer, run: Runner) -> None:
    guests = {"web01": {"username": "x"}, "WEB01": {"username": "y"}}
    error = failed(lambda: create(run, include=["web0*"], guests=guests))
    assert "contains the VM web01 more than once" in error.message
    assert guest_in(error.state, "web02").state.value == "activated"


def test_the_id_of_another_vm_as_a_name_changes_nothing(cluster: EstateServer, run: Runner, evil: str) -> None:
    vm_id = guest_in(create(run, **WANTED), "d0").vm_id
    cluster.rename("evil", vm_id)
    assert states(create(run, guests={vm_id: ACCOUNT}, include=["d0"])) == {"d0": "activated"}
    evil_state = states(create(run, guests={vm_id: ACCOUNT}, include=[evil]))
    assert evil_state == {vm_id: "unreachable"}
