"""A VM with the name of another one does not get its account: the host decides about the names of its VMs."""

from __future__ import annotations

import pytest

from avma import errors
from avma_simulator import EstateServer
from core.runner import Runner, stored
from core.whole_cluster.lab import NEW, RESOURCE, create, failed, guest_in, read, states, update

ACCOUNT = {"username": "Root", "password": "Other-Word-9"}
"""The account of the guest that the program means. The VM with its name accepts it too, so a sign-in succeeds."""
WANTED = {"include": ["d0", "evil"], "guests": {"d0": ACCOUNT}}


@pytest.fixture
def evil(cluster: EstateServer) -> str:
    """Create a VM on each node, and return the id of the one that gets the name of the other later."""
    cluster.create("n2", {**NEW, **ACCOUNT, "name": "d0"})
    return str(cluster.create("n1", {**NEW, **ACCOUNT, "name": "evil"})["id"]).lower()


def test_a_refresh_does_not_connect_to_the_namesake(cluster: EstateServer, run: Runner, evil: str) -> None:
    result = create(run, **WANTED)
    assert states(result) == {"d0": "activated", "evil": "unreachable"}
    cluster.rename("evil", "d0")
    found = read(run, result)
    by_id = {guest.vm_id: guest for guest in found.outputs.guest_activations}
    assert (by_id[evil].state.value, by_id[evil].license_status) == ("notActivated", None)
    assert {guest.state.value for vm_id, guest in by_id.items() if vm_id != evil} == {"activated"}
    assert any("2 VMs are named d0" in line and "Use the GUIDs" in line for line in run.told)


def test_an_update_activates_the_others(cluster: EstateServer, run: Runner, evil: str) -> None:
    result = create(run, **WANTED)
    cluster.rename("evil", "d0")
    cluster.uninstall_key("web01")
    error = failed(lambda: update(run, result, include=["d0", "web01"]))
    assert isinstance(error.cause, errors.InvalidInput)
    assert cluster.machine("web01")["status"] == "Licensed"
    assert cluster.machine(evil)["status"] != "Licensed"


def test_the_host_of_the_right_vm_does_not_answer(cluster: EstateServer, run: Runner, evil: str) -> None:
    result = create(run, **WANTED)
    cluster.rename("evil", "d0")
    cluster.power("n2", "off")
    with pytest.raises(errors.AvmaError, match="2 VMs are named d0"):
        update(run, result)
    assert cluster.machine(evil)["status"] != "Licensed"


def test_a_deletion_undoes_only_the_right_vm(cluster: EstateServer, run: Runner, evil: str) -> None:
    result = create(run, **WANTED, on_delete="uninstallKey")
    cluster.rename("evil", "d0")
    RESOURCE.delete(result.identifier, stored(result), run.operation())
    assert not any("2 VMs are named" in line for line in run.told)


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
