"""Which VM a name in `guests` means, whatever the hosts say about the names of their VMs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from avma.properties import build
from avma.resources.cluster_activation.activation_properties import ClusterActivationInputs, NamedGuest
from avma.resources.cluster_activation.guest_names import GuestNames, ListedVms
from avma.windows.hyperv import VirtualMachine, VmState
from avma.wording import NEUTRAL

RIGHT, EVIL = "11111111-1111-1111-1111-111111111111", "22222222-2222-2222-2222-222222222222"
NOBODY: dict[str, NamedGuest] = {}
KNOWN = {"sql": NamedGuest(name="sql", vm_id=RIGHT, hosts=["n2"])}
"""The name that the tests use means the right VM."""

ON_BOTH = {"sql": NamedGuest(name="sql", vm_id=RIGHT, hosts=["n1", "n2"])}

Place = tuple[VirtualMachine, str]


def place(vm_id: str, name: str, host: str, state: VmState = VmState.RUNNING) -> Place:
    return VirtualMachine(vm_id, name, state), host


def wanted(*entries: str) -> ClusterActivationInputs:
    guests: dict[str, dict[str, str]] = {entry: {} for entry in entries}
    return build(ClusterActivationInputs, {"cluster": "cl01", "guests": guests})


def listed(
    *places: Place, silent: Sequence[str] = (), hosts: Sequence[str] = ("n1", "n2"), exclude: Sequence[str] = ()
) -> ListedVms:
    return ListedVms(places, hosts, silent, lambda vm_id, _name: vm_id not in exclude)


def names_of(inputs: ClusterActivationInputs, meant: Mapping[str, NamedGuest], found: ListedVms) -> GuestNames:
    return GuestNames(inputs.guests or {}, meant).found(found)


AT_HOME, NAMESAKE = place(RIGHT, "sql", "n2"), place(EVIL, "SQL", "n1")
RENAMED = place(RIGHT, "sql-old", "n2")


@pytest.mark.parametrize(
    ("before", "found", "meant"),
    [
        pytest.param(NOBODY, listed(AT_HOME), RIGHT, id="one VM"),
        pytest.param(NOBODY, listed(AT_HOME, NAMESAKE), None, id="two new VMs"),
        pytest.param(NOBODY, listed(NAMESAKE, silent=["n2"]), None, id="the right one may be away"),
        pytest.param(NOBODY, listed(), None, id="no VM"),
        pytest.param(KNOWN, listed(AT_HOME, NAMESAKE), RIGHT, id="a namesake"),
        pytest.param(KNOWN, listed(RENAMED, NAMESAKE), RIGHT, id="renamed"),
        pytest.param(KNOWN, listed(NAMESAKE, silent=["n2"]), RIGHT, id="its host is silent"),
        pytest.param(KNOWN, listed(NAMESAKE, hosts=["n1"]), RIGHT, id="its host is not asked"),
        pytest.param(KNOWN, listed(NAMESAKE, hosts=["n1", "n2", "n3"], silent=["n3"]), RIGHT, id="it may have moved"),
        pytest.param(KNOWN, listed(NAMESAKE), EVIL, id="it is gone"),
        pytest.param(KNOWN, ListedVms([NAMESAKE], ["n1", "n2"], [], earlier=[RIGHT]), RIGHT, id="it moves now"),
        pytest.param(ON_BOTH, listed(NAMESAKE, hosts=["n1"]), RIGHT, id="one of its hosts is not asked"),
        pytest.param(KNOWN, listed(), None, id="both are gone"),
    ],
)
def test_a_name_means_the_same_vm_until_that_is_gone(
    before: Mapping[str, NamedGuest], found: ListedVms, meant: str | None
) -> None:
    vm = names_of(wanted("Sql"), before, found).meant.get("sql")
    assert (vm.vm_id if vm else None) == meant


def test_a_name_means_the_same_vm_although_that_is_excluded() -> None:
    found = names_of(wanted("sql"), KNOWN, listed(AT_HOME, NAMESAKE, exclude=[RIGHT]))
    assert found.meant["sql"].vm_id == RIGHT


TWIN_OFF, TWIN_ON = place(RIGHT, "sql", "n1", VmState.OFF), place(RIGHT, "sql", "n1")


@pytest.mark.parametrize(
    ("found", "hosts"),
    [
        pytest.param(listed(TWIN_ON), ["n1"], id="it moved"),
        pytest.param(listed(TWIN_OFF), ["n1"], id="it moved and is off"),
        pytest.param(listed(TWIN_ON, silent=["n2"]), ["n1"], id="failed over"),
        pytest.param(listed(TWIN_OFF, silent=["n2"]), ["n1", "n2"], id="its host is silent"),
        pytest.param(listed(TWIN_OFF, hosts=["n1"]), ["n1", "n2"], id="its host is not asked"),
        pytest.param(listed(TWIN_OFF, AT_HOME), ["n2"], id="a replica"),
        pytest.param(listed(TWIN_OFF, place(RIGHT, "sql", "n2", VmState.OFF)), ["n1", "n2"], id="off on both"),
        pytest.param(listed(TWIN_ON, AT_HOME), ["n1", "n2"], id="both run it"),
    ],
)
def test_another_host_must_run_a_vm_to_be_its_only_host(found: ListedVms, hosts: list[str]) -> None:
    """Otherwise, it could list the VM of another host once, then say that it is gone, and give its name away."""
    assert names_of(wanted("sql"), KNOWN, found).meant["sql"].hosts == hosts


@pytest.mark.parametrize(
    "found",
    [
        pytest.param(listed(place(RIGHT, "sql", "n1", VmState.OFF), place(RIGHT, "web", "n2")), id="a replica"),
        pytest.param(
            listed(place(RIGHT, "sql", "n1", VmState.OFF), place(RIGHT, "web", "n2", VmState.OFF)), id="both are off"
        ),
        pytest.param(listed(place(RIGHT, "sql", "n1"), place(RIGHT, "web", "n2")), id="both run it"),
    ],
)
def test_one_host_alone_does_not_name_a_vm_that_another_one_lists(found: ListedVms) -> None:
    names = names_of(wanted("sql"), NOBODY, found)
    assert names.meant == {}


def test_a_vm_with_several_names_is_not_clear() -> None:
    found = listed(place(RIGHT, "sql", "n1", VmState.OFF), place(RIGHT, "web", "n2", VmState.OFF))
    why = names_of(wanted("sql"), NOBODY, found).why_unclear(found.places[0][0], found)
    assert why is not None
    assert "the hosts of the VM sql list it under several names" in why.reason


def test_a_reason_names_ten_vms_at_most() -> None:
    found = listed(*(place(f"{number:08}-0000-0000-0000-000000000000", "sql", "n1") for number in range(30)))
    why = names_of(wanted("sql"), NOBODY, found).why_unclear(found.places[0][0], found)
    assert why is not None
    assert why.reason.startswith("30 VMs are named sql: 00000000-")
    assert why.reason.endswith("00000009-0000-0000-0000-000000000000 and 20 more")


def test_a_name_without_an_entry_means_nothing() -> None:
    assert names_of(wanted("web", RIGHT), KNOWN, listed(AT_HOME)).meant == {}


@pytest.mark.parametrize(
    ("entries", "vm", "reason", "may_pass"),
    [
        pytest.param(["sql"], AT_HOME, None, False, id="the right VM"),
        pytest.param(["sql"], RENAMED, None, False, id="the right VM with another name"),
        pytest.param(["sql"], NAMESAKE, f"in `guests`, sql is another VM ({RIGHT}, on n2)", False, id="its namesake"),
        pytest.param(["sql", EVIL], NAMESAKE, None, False, id="a namesake with its own entry"),
        pytest.param(["sql", "SQL"], AT_HOME, "the VM sql more than once: sql, SQL", False, id="twice"),
        pytest.param(["sql-old", "sql"], RENAMED, "more than once: sql, sql-old", False, id="two names"),
        pytest.param(["web"], AT_HOME, None, False, id="no entry"),
    ],
)
def test_only_the_right_vm_has_the_settings(entries: list[str], vm: Place, reason: str | None, may_pass: bool) -> None:
    inputs, found = wanted(*entries), listed(vm if vm is not NAMESAKE else AT_HOME, NAMESAKE)
    why = names_of(inputs, KNOWN, found).why_unclear(vm[0], found)
    assert (why is None) == (reason is None)
    if why and reason:
        assert reason in neutral(why.reason)
        assert why.may_pass == may_pass


def neutral(text: str) -> str:
    return NEUTRAL.render(text)


def test_vms_that_swap_their_names_keep_their_settings() -> None:
    inputs, swapped = wanted("sql", "web"), listed(place(RIGHT, "web", "n2"), place(EVIL, "sql", "n1"))
    names = names_of(inputs, {**KNOWN, "web": NamedGuest(name="web", vm_id=EVIL, hosts=["n1"])}, swapped)
    assert [names.why_unclear(vm, swapped) for vm, _ in swapped.places] == [None, None]
    assert [names.entries_of(vm.id, vm.name) for vm, _ in swapped.places] == [["sql"], ["web"]]


def test_without_all_hosts_a_namesake_may_be_right_later() -> None:
    found = listed(NAMESAKE, silent=["n2"])
    known = f"the VM that `guests` names sql ({RIGHT})"
    for before, vm in ((NOBODY, "the VM of its name in `guests`"), (KNOWN, known)):
        why = names_of(wanted("sql"), before, found).why_unclear(NAMESAKE[0], found)
        assert why is not None
        assert why.may_pass
        assert neutral(why.reason) == f"{vm} may be on a host without an answer (n2)"


def test_a_vm_whose_hosts_are_not_asked_now_leaves_two_remedies() -> None:
    found = listed(NAMESAKE, hosts=["n1"])
    why = names_of(wanted("sql"), KNOWN, found).why_unclear(NAMESAKE[0], found)
    assert why is not None
    assert not why.may_pass
    assert neutral(why.reason) == f"in `guests`, sql is another VM ({RIGHT}, last on n2)"
    assert "once without the entry if that VM is gone" in neutral(why.remedy)


def test_a_silent_host_is_no_excuse_for_a_namesake_of_a_listed_vm() -> None:
    found = listed(AT_HOME, NAMESAKE, hosts=["n1", "n2", "n3"], silent=["n3"])
    why = names_of(wanted("sql"), KNOWN, found).why_unclear(NAMESAKE[0], found)
    assert why is not None
    assert not why.may_pass


def test_an_entry_with_the_id_makes_a_name_clear_while_a_host_is_silent() -> None:
    found = listed(AT_HOME, silent=["n1"])
    assert names_of(wanted("sql", RIGHT), NOBODY, found).why_unclear(AT_HOME[0], found) is None


def test_a_stopped_replica_costs_its_vm_nothing() -> None:
    """A hostile host gives the name of another VM to its replica."""
    found = listed(place(EVIL, "sql", "n1", VmState.OFF), AT_HOME, place(EVIL, "web", "n2"))
    for before in (NOBODY, KNOWN):
        names = names_of(wanted("sql"), before, found)
        assert names.why_unclear(found.places[2][0], found) is None
        assert names.why_unclear(AT_HOME[0], found) is None


def test_a_second_running_vm_with_the_same_id_ends_no_ownership() -> None:
    lie = listed(AT_HOME, place(RIGHT, "zzz", "n1"), NAMESAKE)
    later = names_of(wanted("sql"), KNOWN, lie).found(listed(AT_HOME, NAMESAKE))
    assert later.meant["sql"].vm_id == RIGHT


def test_two_spellings_end_no_ownership() -> None:
    both = listed(AT_HOME, NAMESAKE)
    later = names_of(wanted("sql"), names_of(wanted("sql", "SQL"), KNOWN, both).meant, both)
    assert later.why_unclear(AT_HOME[0], both) is None


def test_stored_names_are_read() -> None:
    stored = {"named_guests": [{"name": "sql", "vm_id": RIGHT, "hosts": ["n2"]}]}
    assert GuestNames.of({}, stored).meant == KNOWN
    assert GuestNames.of({}, {}).meant == NOBODY
    other_form = {"named_guests": [{"name": "sql", "vm_id": RIGHT, "host": "n2"}]}
    assert GuestNames.of({}, other_form).meant == NOBODY


@pytest.mark.parametrize(
    ("entries", "vms", "warning"),
    [
        (["sql"], [AT_HOME], None),
        (["sql"], [RENAMED], "sql, whose VM is named sql-old now"),
        (["sql", RIGHT], [AT_HOME], "sql, whose VM also has an entry with its GUID"),
        (["sql"], [place(EVIL, "web", "n1")], "sql, whose VM was last on n2"),
        (["sql"], [place(RIGHT, "sql", "n1", VmState.OFF), place(RIGHT, "old", "n2", VmState.OFF)], None),
        (["web"], [AT_HOME], "web, which is no VM"),
    ],
)
def test_an_entry_without_its_vm_is_a_warning(entries: list[str], vms: list[Place], warning: str | None) -> None:
    told: list[str] = []
    found = names_of(wanted(*entries), KNOWN, listed(*vms, hosts=["n1"]))
    found.warn_of_strangers([vm for vm, _ in vms], told.append)
    assert [neutral(text) for text in told] == ([f"`guests` contains {warning}"] if warning else [])
