"""The search for a VM on several hosts: recent listings save requests, and never decide alone."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, cast

import pytest

from avma import errors
from avma.configuration import Configuration
from avma.deadline import Deadline
from avma.resources.placement import Placement, find_vm
from avma.resources.resource import Operation
from avma.windows.hyperv import VirtualMachine, VmState

ON = VirtualMachine("11111111-1111-1111-1111-111111111111", "web", VmState.RUNNING)
OFF = replace(ON, state=VmState.OFF)
NAMESAKE = VirtualMachine("22222222-2222-2222-2222-222222222222", "web", VmState.OFF)
RENAMED = replace(ON, name="old")


@dataclass(eq=False)
class Host:
    """A host: its VMs now, its last listing, and the number of its new listings."""

    name: str
    vms: tuple[VirtualMachine, ...] | errors.AvmaError
    recent: tuple[VirtualMachine, ...] | None
    listings: int = field(default=0)

    @property
    def where(self) -> str:
        return self.name

    def recent_virtual_machines(self, _age: float) -> tuple[VirtualMachine, ...] | None:
        return self.recent

    def has_fresh_virtual_machines(self, _deadline: Deadline) -> bool:
        return False

    def virtual_machines(self, _deadline: Deadline) -> tuple[VirtualMachine, ...]:
        self.listings += 1
        if isinstance(self.vms, errors.AvmaError):
            raise self.vms
        return self.vms


def find(*hosts: Host, name_or_id: str = "web", max_age: float = 0) -> Placement | None:
    machines: Any = None
    deadline = Deadline(5, max_age=max_age)
    operation = Operation(Configuration(), machines, deadline, lambda _: None, lambda _: None)
    return find_vm(cast(Any, list(hosts)), name_or_id, operation)


def test_only_the_likely_host_is_read_again() -> None:
    first, second = Host("h1", (ON,), (ON,)), Host("h2", (), ())
    found = find(first, second)
    assert found is not None
    assert (found.host.where, first.listings, second.listings) == ("h1", 1, 0)


@pytest.mark.parametrize(
    ("recent", "now"),
    [
        (((ON,), (NAMESAKE,)), ((ON,), (NAMESAKE,))),
        (((ON, NAMESAKE), ()), ((ON, NAMESAKE), ())),
        (((ON,), None), ((ON,), (NAMESAKE,))),
    ],
    ids=["on another host, off", "on the same host", "on a host without a recent listing"],
)
def test_a_name_of_two_vms_is_refused_with_and_without_recent_listings(recent: Any, now: Any) -> None:
    for known in (recent, (None, None)):
        hosts = [Host(f"h{number}", vms, listed) for number, (vms, listed) in enumerate(zip(now, known, strict=True))]
        with pytest.raises(errors.Refused, match="2 VMs are named"):
            find(*hosts)


@pytest.mark.parametrize(
    "now", [(), (OFF,), errors.Unreachable("list", "h1", "no route", "check it")], ids=["gone", "off", "down"]
)
def test_a_vm_that_moved_is_found_on_its_new_host(now: Any) -> None:
    found = find(Host("h1", now, (ON,)), Host("h2", (ON,), ()))
    assert found is not None
    assert found.host.where == "h2"


def test_a_namesake_on_another_host_is_still_known() -> None:
    found = find(Host("h1", (RENAMED,), (RENAMED,)), Host("h2", (NAMESAKE,), (NAMESAKE,)), name_or_id=ON.id)
    assert found is not None
    assert found.namesake("web") == NAMESAKE


def test_without_recent_listings_all_hosts_are_read() -> None:
    hosts = [Host("h1", (ON,), None), Host("h2", (), ())]
    find(*hosts)
    assert [host.listings for host in hosts] == [1, 1]


def test_a_vm_with_the_id_of_another_one_as_its_name_is_not_that_one() -> None:
    trap = replace(NAMESAKE, name=ON.id)
    assert find(Host("h1", (trap,), None), Host("h2", (ON,), None), name_or_id=ON.id) is not None
    assert find(Host("h1", (trap,), None), Host("h2", (), None), name_or_id=ON.id) is None


def test_a_vm_that_may_be_on_a_silent_host_is_no_missing_vm() -> None:
    down = errors.Unreachable("list", "h1", "no route", "check it")
    with pytest.raises(errors.Unreachable, match=r"no route, and the VM may be on this host.* in maintenance, move"):
        find(Host("h1", down, None), Host("h2", (), None))
    away = errors.Unreachable("list", "h3", "no route", "check it")
    with pytest.raises(errors.Unreachable, match="may be on this host or on h3, because no other host lists it"):
        find(Host("h1", down, None), Host("h2", (), None), Host("h3", away, None))
    canceled = errors.Cancelled("list", "h1", "the run was canceled", "run again")
    for hosts in ((canceled, ()), (down, canceled)):
        with pytest.raises(errors.Cancelled, match=r"list: the run was canceled[.] Run again"):
            find(Host("h1", hosts[0], None), Host("h2", hosts[1], None))
    with pytest.raises(errors.Unreachable, match=r"no route[.] Check it"):
        find(Host("h1", down, None))
