"""The functions: two tables, and three reads from simulated machines."""

import pytest

from avma import compatibility, errors, keys
from avma.functions import FUNCTIONS
from avma.properties import dump
from core.runner import HV01, LICENSED, OTHER_KEY, STANDARD
from loopback import address

BY_NAME = {function.name: function for function in FUNCTIONS}


def no_machine():
    raise AssertionError("no machine is to be asked")


def call(name, values, run=None):
    function = BY_NAME[name]
    assert function.check(values) == []
    return function.call(values, run.operation if run else no_machine)


@pytest.mark.parametrize("published", keys.AVMA_KEYS, ids=lambda key: f"{key.version} {key.edition}")
def test_get_avma_key(published):
    found = call("get_avma_key", {"version": published.version, "edition": published.edition})
    assert (found.product_key, found.partial_product_key) == (published.key, keys.partial(published.key))


@pytest.mark.parametrize(
    ("values", "path"),
    [
        ({"version": "2025", "edition": "Essentials"}, "edition"),
        ({"version": "2012", "edition": "Standard"}, "version"),
        ({"version": "2022"}, "edition"),
        ({"version": "2022", "editon": "Standard", "edition": "Standard"}, "editon"),
    ],
)
def test_wrong_arguments_are_named(values, path):
    assert [failure.path for failure in BY_NAME["get_avma_key"].check(values)] == [path]


@pytest.mark.parametrize("host", compatibility.VERSIONS)
@pytest.mark.parametrize("guest", compatibility.VERSIONS)
def test_get_compatibility(host, guest):
    found = call("get_compatibility", {"host_version": host, "guest_version": guest})
    assert found.activates == compatibility.activates(host, guest)
    assert guest in found.reason


@pytest.mark.parametrize(
    ("edition", "version", "reason"),
    [
        ("Essentials", "2022", "there is no AVMA key"),
        ("Datacenter Azure Edition", "2022", "only Azure and Azure Local"),
    ],
)
def test_an_edition_that_a_windows_server_host_does_not_activate(edition, version, reason):
    found = call("get_compatibility", {"host_version": "2025", "guest_version": version, "guest_edition": edition})
    assert not found.activates
    assert reason in found.reason


def test_get_host_license(estate, run):
    assert call("get_host_license", {"host": LICENSED}, run).activates_guests
    standard = call("get_host_license", {"host": STANDARD}, run)
    assert (standard.edition, standard.activates_guests) == ("Standard", False)


def test_get_host_vms_needs_no_guest_account(estate, run):
    estate.power("web01", "off")
    found = call("get_host_vms", {"host": HV01}, run)
    by_name = {vm.vm_name: vm for vm in found.vms}
    assert [vm.vm_name for vm in found.vms] == ["azure01", "eval01", "new01", "twin", "twin", "web01"]
    assert (by_name["web01"].running, by_name["web01"].ip_addresses) == (False, [])
    assert by_name["new01"].ip_addresses == [address(22)]
    assert by_name["new01"].guest_build == "26100"
    assert dump(found)["vms"][0]["vm_name"] == "azure01"
    assert estate.counts()["new01"]["requests"] == 0


def test_get_vm_activation_returns_values_that_change_by_themselves(estate, run):
    run.license(HV01, OTHER_KEY)
    before = call("get_vm_activation", {"host": HV01, "vm_name": "web01"}, run)
    assert before.last_activation_time is None
    run.activate()
    after = call("get_vm_activation", {"host": HV01, "vm_name": "web01"}, run)
    assert after.license_status == "Licensed"
    assert after.minutes_remaining > 0
    assert after.last_activation_time is not None
    estate.power("web01", "off")
    with pytest.raises(errors.NotReady):
        call("get_vm_activation", {"host": HV01, "vm_name": "web01"}, run)
