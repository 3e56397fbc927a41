"""Guests reached through their host: PowerShell Direct against the simulator."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest

from avma import errors
from avma.configuration import Transport
from avma.keys import KeyKind
from avma.resources.resource import Stored
from avma.windows.licensing import LicenseStatus
from core.powershell_direct.lab import HOST, INSTALL, MANY, OLD_HOST, at_once
from core.runner import published_key, stored
from loopback import address


def test_a_guest_without_a_network_is_activated_in_few_runs(estate, run):
    result = run.activate("web01", HOST)
    assert result.outputs.license_status is LicenseStatus.LICENSED
    assert (result.outputs.guest_version, result.outputs.activated_by_host) == ("2022", "HV01")
    host = estate.counts()["hv01"]
    assert host["pools"] == host["shells"] == 1
    assert host["pipelines"] <= 3
    assert "requests" not in estate.counts()["web01"] or estate.counts()["web01"]["requests"] == 0


def test_a_guest_needs_no_data_exchange(estate, run):
    # The simulator requires Data Exchange for an activation, so this test only reads the guest.
    found = run.vm.read(f"{HOST}/mute01", None, run.operation())
    assert found.outputs.license_status is LicenseStatus.OOB_GRACE


def test_guests_that_are_asked_at_once_share_script_runs(estate, run):
    results = at_once([partial(run.activate, name, HOST) for name in MANY])
    assert {result.outputs.license_status for result in results} == {LicenseStatus.LICENSED}
    assert estate.counts()["hv01"]["pipelines"] <= 6
    estate.reset_counts()
    at_once([partial(run.vm.read, each.identifier, stored(each), run.operation()) for each in results])
    assert estate.counts()["hv01"]["pipelines"] <= 2
    assert estate.counts()["hv01"]["pools"] == 0


def test_a_guest_that_fails_does_not_take_the_others_along(estate, run):
    wrong = {"guest": {"password": "Wrong-Horse-9", "ready_timeout": "10s"}}
    estate.faults("app02", [{"operation": INSTALL, "hresult": 0xC004F050}])
    first, second, third = at_once(
        [
            lambda: run.activate("app00", HOST),
            lambda: run.activate("app01", HOST, **wrong),
            lambda: run.activate("app02", HOST),
        ]
    )
    assert first.outputs.license_status is LicenseStatus.LICENSED
    assert isinstance(second, errors.LogonRefused)
    assert isinstance(third, errors.LicensingFault)


def test_a_vm_is_in_a_run_once(estate, run):
    results = at_once([lambda: run.activate("web01", HOST), lambda: run.activate("web01", HOST)])
    assert {result.outputs.license_status for result in results} == {LicenseStatus.LICENSED}
    assert estate.counts()["web01"]["operations"][f"Invoke {INSTALL}"] == 1


def test_without_an_account_of_the_guest_nothing_is_asked_of_it(estate, run):
    run.configuration = replace(run.configuration, guest=None)
    with pytest.raises(errors.InvalidInput, match=r"Set `guest.username` and `guest.password`"):
        run.activate("web01", HOST)
    assert estate.counts()["hv01"]["pools"] == 0


def test_a_vm_that_is_off(estate, run):
    estate.power("web01", "off")
    with pytest.raises(errors.NotReady, match=r"web01 was not ready .*its state is Off"):
        run.activate("web01", HOST)
    assert estate.counts()["hv01"]["pools"] == 0


@pytest.mark.parametrize(
    ("vm", "host", "text"),
    [
        ("old01", HOST, "Windows Server 2016 or later, and the guest runs build 9600.*`guest.transport: winrm`"),
        ("on-old", OLD_HOST, "Windows Server 2016 or later, and the host .* runs build 9600.*`guest.transport: winrm`"),
    ],
)
@pytest.mark.usefixtures("estate")
def test_an_error_names_a_release_before_powershell_direct(run, vm, host, text):
    with pytest.raises(errors.Refused, match=text):
        run.vm.read(f"{host}/{vm}", None, run.operation())


def test_drift_is_read_and_repaired(estate, run):
    first = run.activate("web01", HOST)
    estate.install_key("web01", published_key(KeyKind.KMS_CLIENT, "2022", "Standard"))
    now = run.vm.read(first.identifier, stored(first), run.operation())
    changes = run.vm.diff(stored(now), first.inputs)
    assert {change.path for change in changes} == {"license_status", "license_channel", "partial_product_key"}
    assert run.vm.update(first.identifier, stored(now), first.inputs, run.operation()).outputs == first.outputs


def test_import_by_host_and_vm_returns_the_outputs_of_create(estate, run):
    created = run.activate("web01", HOST)
    found = run.vm.read(f"{HOST}/WEB01", None, run.operation())
    assert (found.identifier, found.outputs) == (created.identifier, created.outputs)
    assert run.vm.diff(stored(found), found.inputs) == []


def test_the_key_is_uninstalled_on_request(estate, run):
    result = run.activate("web01", HOST, on_delete="uninstallKey")
    run.vm.delete(result.identifier, stored(result), run.operation())
    assert estate.machine("web01")["status"] != "Licensed"


def test_unused_network_settings_cause_a_warning(estate, run):
    run.activate("web01", HOST, guest={"address": address(99), "port": 1})
    assert any("ignores `guest.address`, `guest.port` (only for `guest.transport: winrm`)" in text for text in run.told)


def test_winrm_on_a_resource_wins(estate, run):
    declared = {"host": HOST, "vm_name": "mute01", "guest": {"transport": Transport.WINRM.value}}
    with pytest.raises(errors.Refused, match=r"has not reported an IP address .*guest\.address"):
        run.vm.read(f"{HOST}/mute01", Stored(declared, {}), run.operation())
