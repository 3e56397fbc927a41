"""The provider follows a VM that moves between hosts."""

from dataclasses import replace

import pytest

from avma import errors
from avma.windows.licensing import LicenseStatus
from core.runner import HOST_KEY, HV01, LICENSED, OTHER_KEY, stored
from loopback import address

BOTH = [HV01, LICENSED]


@pytest.fixture
def nodes(estate, run):
    run.license(HV01, HOST_KEY)
    run.license(LICENSED, OTHER_KEY)
    return estate


def activate(run, **inputs):
    wanted = {"hosts": BOTH, "vm_name": "web01", **inputs}
    assert run.vm.check(wanted) == []
    return run.vm.create(wanted, run.operation())


def test_the_vm_is_found_on_whichever_host_it_is(nodes, run):
    first = activate(run)
    assert first.identifier == f"{HV01},{LICENSED}/{first.outputs.vm_id}"
    assert first.outputs.activated_by_host == "HV01"
    nodes.move("web01", "licensed")
    now = run.vm.read(first.identifier, stored(first), run.operation())
    assert now is not None
    assert now.outputs.license_status is LicenseStatus.LICENSED
    assert run.vm.diff(stored(now), first.inputs) == []
    run.vm.delete(first.identifier, stored(first), run.operation())


def test_the_status_names_no_host_before_the_vm_is_found(nodes, run):
    run.told.clear()
    activate(run)
    assert run.told[0] == "web01: looking for the VM on 2 hosts"
    assert [text for text in run.told if "looking for" in text] == run.told[:1]
    assert not [text for text in run.told if LICENSED in text or "licensed (" in text]


def test_it_is_activated_where_it_is_after_a_move(nodes, run):
    nodes.move("web01", "licensed")
    assert activate(run).outputs.activated_by_host == "LICENSED"


def test_one_host_that_cannot_be_reached_is_an_error_unless_the_vm_is_elsewhere(nodes, run):
    run.skip_pauses()
    first = activate(run)
    present = stored(first, hosts=[HV01, address(99)])
    assert run.vm.read(first.identifier, present, run.operation()) is not None
    nodes.move("web01", "licensed")
    with pytest.raises(errors.Unreachable, match=address(99)):
        run.vm.read(first.identifier, present, run.operation())


def test_a_vm_is_gone_when_no_host_lists_it(nodes, run):
    first = activate(run)
    nodes.move("web01", "standard")
    assert run.vm.read(first.identifier, stored(first), run.operation()) is None


def test_a_name_on_two_hosts_is_ambiguous_only_for_two_vms(nodes, run):
    with pytest.raises(errors.Refused, match="2 VMs are named twin"):
        activate(run, vm_name="twin")


def test_import_names_all_hosts(nodes, run):
    created = activate(run)
    result = run.vm.read(f"{HV01},{LICENSED}/web01", None, run.operation())
    assert result is not None
    assert (result.identifier, result.outputs) == (created.identifier, created.outputs)
    assert result.inputs == {"hosts": BOTH, "vm_name": "web01"}
    assert run.vm.diff(stored(result), result.inputs) == []


def test_an_import_names_the_host_that_is_listed_twice(run):
    with pytest.raises(errors.InvalidInput, match="the list contains `HV01` twice"):
        run.vm.read("hv01,hv02,HV01/web01", None, run.operation())


def listings(estate, host):
    return estate.counts()[host]["operations"].get("Enumerate", 0)


def test_an_activation_reads_only_the_host_that_recently_listed_the_vm(nodes, run):
    activate(run)
    before = listings(nodes, "licensed")
    activate(run)
    assert listings(nodes, "licensed") == before


def test_a_recent_listing_does_not_hide_a_move(nodes, run):
    activate(run)
    nodes.move("web01", "licensed")
    assert activate(run).outputs.activated_by_host == "LICENSED"


def test_an_old_listing_does_not_count(nodes, run):
    activate(run)
    run.configuration = replace(run.configuration, read_freshness="0")
    before = listings(nodes, "licensed")
    activate(run)
    assert listings(nodes, "licensed") > before
