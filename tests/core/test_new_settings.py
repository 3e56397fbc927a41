"""New connection settings of an existing resource are tried before they are stored. Wrong ones drop nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from avma import errors
from avma.configuration import GuestDefaults
from avma.resources.cluster_license.cluster_resource import ClusterLicenseResource
from avma.resources.resource import Result, Stored
from avma.wording import NEUTRAL
from core.runner import ADMINISTRATOR, HOST_KEY, HV01, LICENSED, OTHER_KEY, PASSWORD, STANDARD, methods, stored
from loopback import address

WRONG = {"password": "Wrong-Horse-9"}


@pytest.fixture
def active(estate, run) -> Result:
    """Return the activated web01. Requests count from here on."""
    run.license(HV01, HOST_KEY)
    result = run.activate()
    estate.reset_counts()
    return result


def update(run, result, **inputs) -> Result:
    wanted = {name: value for name, value in {**result.inputs, **inputs}.items() if value is not None}
    assert run.vm.check(wanted) == []
    return run.vm.update(result.identifier, stored(result), wanted, run.operation())


def preview(run, result, **inputs):
    wanted = {name: value for name, value in {**result.inputs, **inputs}.items() if value is not None}
    return run.vm.probe_update(result.identifier, stored(result), wanted, run.operation())


@pytest.mark.parametrize("attempt", [update, preview])
@pytest.mark.parametrize(
    ("inputs", "error", "text"),
    [
        ({"host": None, "hosts": [LICENSED]}, errors.NotFound, "no VM"),
        ({"host": None, "hosts": [LICENSED, STANDARD]}, errors.NotFound, "no VM"),
        ({"guest": WRONG}, errors.LogonRefused, "rejected the sign-in"),
        ({"guest": {"port": 1}}, errors.Unreachable, "nothing listens"),
        ({"guest": {"address": address(24)}}, errors.Refused, "is not the VM web01"),
        ({"connection": {"port": 1}}, errors.Unreachable, "nothing listens"),
        ({"connection": WRONG}, errors.LogonRefused, "rejected the sign-in"),
    ],
)
def test_settings_that_do_not_work_fail_and_change_nothing(estate, run, active, attempt, inputs, error, text):
    run.skip_pauses()
    with pytest.raises(error, match=text):
        attempt(run, active, **inputs)
    assert methods(estate, "web01") == methods(estate, "hv01") == {}


@pytest.mark.parametrize(
    "inputs",
    [
        {"host": None, "hosts": [HV01, LICENSED]},
        {"guest": {"address": address(21)}},
        {"connection": {"operation_timeout": "30s"}, "on_delete": "uninstallKey"},
    ],
)
def test_settings_that_work_are_tried_with_reads_only(estate, run, active, inputs):
    preview(run, active, **inputs)
    estate.reset_counts()
    result = update(run, active, **inputs)
    assert (result.outputs, methods(estate, "web01")) == (active.outputs, {})
    assert estate.counts()["web01"]["requests"] > 0
    for name, value in inputs.items():
        assert result.inputs.get(name) == value


def test_a_guest_that_is_off_is_a_warning_and_the_settings_are_stored(estate, run, active):
    estate.power("web01", "off")
    result = update(run, active, guest=WRONG, host=None, hosts=[HV01, LICENSED])
    assert (result.outputs, result.inputs["guest"]) == (active.outputs, WRONG)
    assert "web01: the new settings were not tried in the guest: the state of the VM web01 is Off" in run.told[-1]
    with pytest.raises(errors.NotFound):
        update(run, active, host=None, hosts=[LICENSED, STANDARD], guest=WRONG)


def test_a_license_that_the_new_settings_find_lost_is_repaired(estate, run, active):
    estate.uninstall_key("web01")
    assert update(run, active, guest={"address": address(21)}).outputs == active.outputs


def test_a_preview_refuses_an_account_that_an_update_would_refuse(estate, run):
    """PowerShell Direct reports the same for a wrong account and a guest that starts. This VM has run for long."""
    run.license(HV01, HOST_KEY)
    guest = GuestDefaults(username=ADMINISTRATOR, password=PASSWORD)
    run.configuration = replace(run.configuration, guest=guest)
    active = run.activate()
    with pytest.raises(errors.LogonRefused):
        preview(run, active, guest=WRONG)
    with pytest.raises(errors.LogonUncertain):
        update(run, active, guest=WRONG)


def with_wrong_hosts(result: Result, *hosts: str) -> Stored:
    """Return a state with hosts that never had the VM, as an edited state can contain them."""
    inputs = {"hosts": list(hosts), "vm_name": "web01", "on_delete": "uninstallKey"}
    return Stored(inputs, stored(result).outputs)


@pytest.mark.parametrize("operation", ["read", "delete", "undoes"])
def test_wrong_hosts_in_the_state_are_an_error_and_the_vm_is_not_gone(estate, run, active, operation):
    wrong = with_wrong_hosts(active, LICENSED, STANDARD)
    with pytest.raises(errors.Refused, match=r"web01 is on this host, and the resource does not declare the host") as e:
        getattr(run.vm, operation)(active.identifier, wrong, run.operation())
    assert HV01 in e.value.where
    assert "add the host to `hosts`" in NEUTRAL.render(e.value.remedy)
    assert methods(estate, "web01") == {}


def test_a_vm_that_is_on_neither_the_declared_nor_the_former_hosts_is_gone(estate, run, active):
    estate.delete("web01")
    wrong = with_wrong_hosts(active, LICENSED, STANDARD)
    assert run.vm.read(active.identifier, wrong, run.operation()) is None


def test_a_former_host_that_does_not_answer_proves_nothing(estate, run, active):
    estate.power("hv01", "off")
    run.skip_pauses()
    with pytest.raises(errors.Unreachable):
        run.vm.read(active.identifier, with_wrong_hosts(active, LICENSED), run.operation())


@pytest.mark.parametrize(
    ("connection", "error", "text"),
    [
        ({"port": 1}, errors.Unreachable, "nothing listens"),
        (WRONG, errors.LogonRefused, "rejected the sign-in"),
        ({"address": LICENSED}, errors.Refused, "the new settings lead to the machine licensed"),
    ],
)
def test_a_new_connection_of_a_host_is_tried(estate, run, connection, error, text):
    first = run.license(HV01, OTHER_KEY)
    run.skip_pauses()
    estate.reset_counts()
    wanted = {**first.inputs, "connection": connection}
    with pytest.raises(error, match=text):
        run.host.update(first.identifier, stored(first), wanted, run.operation())
    with pytest.raises(error, match=text):
        run.host.probe_update(first.identifier, stored(first), wanted, run.operation())
    assert methods(estate, "hv01") == methods(estate, "licensed") == {}


def test_a_new_connection_with_a_new_key_does_not_spend_the_key_on_another_host(estate, run):
    first = run.license(HV01, OTHER_KEY)
    wanted = {**first.inputs, "product_key": HOST_KEY, "connection": {"address": LICENSED}}
    with pytest.raises(errors.Refused, match="the new settings lead to the machine licensed"):
        run.host.update(first.identifier, stored(first), wanted, run.operation())
    assert methods(estate, "licensed") == {}


def test_a_new_connection_of_a_cluster_is_tried(estate, run):
    cluster = ClusterLicenseResource()
    wanted = {"nodes": [LICENSED], "product_key": OTHER_KEY}
    first = cluster.create(wanted, run.operation())
    run.skip_pauses()
    estate.reset_counts()
    for connection, error in (({"port": 1}, errors.Unreachable), (WRONG, errors.LogonRefused)):
        with pytest.raises(error):
            cluster.update(first.identifier, stored(first), {**wanted, "connection": connection}, run.operation())
    same = {**wanted, "connection": {"operation_timeout": "30s"}}
    assert cluster.update(first.identifier, stored(first), same, run.operation()).outputs == first.outputs
    assert methods(estate, "licensed") == {}
