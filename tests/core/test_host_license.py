"""HostLicense against a simulated estate."""

import pytest

from avma import errors, keys
from avma.resources.host_license import HostLicenseOutputs, Platform
from avma.windows.licensing import LicenseChannel, LicenseStatus
from core.runner import (
    EVALUATION,
    HOST_KEY,
    HV01,
    KEYLESS,
    LICENSED,
    OTHER_KEY,
    STANDARD,
    WRONG_EDITION_KEY,
    WRONG_VERSION_KEY,
    stored,
)


def methods(estate, name: str) -> dict[str, int]:
    operations = estate.counts()[name]["operations"]
    return {op.rpartition("/")[2]: count for op, count in operations.items() if op.startswith("Invoke")}


def test_a_fresh_host_is_licensed_and_verified(estate, run):
    result = run.license()
    assert result.identifier == HV01
    assert result.outputs == HostLicenseOutputs(
        platform=Platform.WINDOWS_SERVER,
        os_version="2022",
        os_build=20348,
        edition="Datacenter",
        license_status=LicenseStatus.LICENSED,
        activates_guests=True,
        license_channel=LicenseChannel.MAK,
        partial_product_key=keys.partial(HOST_KEY),
    )
    assert estate.machine("hv01")["status"] == "Licensed"
    assert estate.keys()[keys.partial(HOST_KEY)] == 1


@pytest.mark.parametrize(("host", "name", "most"), [(HV01, "hv01", 6), (KEYLESS, "keyless", 7)])
def test_licensing_a_host_costs_few_requests_and_no_process(estate, run, host, name, most):
    run.license(host)
    counts = estate.counts()[name]
    assert counts["requests"] - counts["handshakes"] <= most
    assert counts["shells"] == counts["processes"] == 0


def test_a_host_that_is_licensed_as_wanted_is_adopted_without_a_call(estate, run):
    run.license(LICENSED, OTHER_KEY)
    run.license(LICENSED, None)
    assert methods(estate, "licensed") == {}


def test_another_key_replaces_the_one_that_is_there(estate, run):
    first = run.license(LICENSED, OTHER_KEY)
    result = run.host.update(
        first.identifier, stored(first), {"host": LICENSED, "productKey": HOST_KEY}, run.operation()
    )
    assert result.outputs.partial_product_key == keys.partial(HOST_KEY)
    assert result.outputs.license_status is LicenseStatus.LICENSED


def test_a_key_is_installed_without_activating(estate, run):
    result = run.license(activate=False)
    assert result.outputs.license_status is not LicenseStatus.LICENSED
    assert not result.outputs.activates_guests
    assert methods(estate, "hv01") == {"InstallProductKey": 1}
    assert run.host.diff(stored(result), result.inputs) == []


@pytest.mark.parametrize(
    ("host", "key", "error", "text"),
    [
        (STANDARD, HOST_KEY, errors.Refused, "it runs Windows Server 2022 Standard; only Datacenter hosts"),
        (EVALUATION, HOST_KEY, errors.Refused, "evaluation .*; convert it with DISM"),
        (HV01, None, errors.Refused, "no productKey is declared and its licence status is OOBGrace"),
        (KEYLESS, None, errors.Refused, "no product key is installed; declare the host's Datacenter key"),
        (HV01, WRONG_VERSION_KEY, errors.LicensingFault, "0xC004E016 SL_E_PKEY_INVALID_CONFIG"),
        (HV01, WRONG_EDITION_KEY, errors.LicensingFault, "0xC004F069 SL_E_MISMATCHED_PRODUCT_SKU"),
        (HV01, "BCDFG-HJKMP-PQRTV-WXYN3-46787", errors.LicensingFault, "0xC004F050 SL_E_INVALID_PRODUCT_KEY"),
    ],
)
def test_what_cannot_be_licensed_is_refused_before_anything_is_changed(estate, run, host, key, error, text):
    before = [estate.machine(m["name"]) for m in estate.machines() if m["kind"] == "host"]
    with pytest.raises(error, match=text):
        run.license(host, key)
    assert [estate.machine(m["name"]) for m in estate.machines() if m["kind"] == "host"] == before


def test_a_refused_activation_is_told_with_the_state_that_was_reached(estate, run):
    run.license(LICENSED, HOST_KEY)
    run.license(KEYLESS, HOST_KEY)
    with pytest.raises(errors.PartlyDone, match="0xC004C020 SL_E_CHPA_DMAK_LIMIT_EXCEEDED") as caught:
        run.license(HV01, HOST_KEY)
    reached = caught.value.state
    assert reached.outputs.partial_product_key == keys.partial(HOST_KEY)
    assert reached.outputs.license_status is not LicenseStatus.LICENSED
    repaired = run.host.update(HV01, stored(reached), {"host": HV01, "productKey": OTHER_KEY}, run.operation())
    assert repaired.outputs.license_status is LicenseStatus.LICENSED


def test_drift_is_read_and_repaired(estate, run):
    first = run.license()
    estate.uninstall_key("hv01")
    now = run.host.read(first.identifier, stored(first), run.operation())
    assert now is not None
    assert now.outputs.license_status is LicenseStatus.UNLICENSED
    assert {change.path for change in run.host.diff(stored(now), first.inputs)} == {
        "licenseStatus",
        "partialProductKey",
    }
    repaired = run.host.update(first.identifier, stored(now), first.inputs, run.operation())
    assert repaired.outputs == first.outputs
    assert estate.keys()[keys.partial(HOST_KEY)] == 1


def test_import_reads_everything_from_the_name(estate, run):
    result = run.host.read(LICENSED, None, run.operation())
    assert result is not None
    assert result.inputs == {"host": LICENSED}
    assert run.host.check(result.inputs) == []
    assert run.host.diff(stored(result), result.inputs) == []
    assert run.host.diff(stored(result), {"host": LICENSED, "productKey": OTHER_KEY}) == []


def test_import_of_a_host_that_cannot_be_one_is_refused(estate, run):
    with pytest.raises(errors.Refused, match=r"could not import the host on 127\.43\.0\.12:5985: it runs"):
        run.host.read(STANDARD, None, run.operation())


def test_delete_forgets_by_default_and_asks_no_machine(estate, run):
    result = run.license()
    estate.reset_counts()
    run.host.delete(result.identifier, stored(result), run.operation())
    assert estate.counts()["hv01"]["requests"] == 0
    assert "keeps its licence" in run.told[-1]


def test_delete_uninstalls_the_key_only_when_no_vm_runs_and_the_key_is_ours(estate, run):
    busy = run.license(onDelete="uninstallKey")
    with pytest.raises(errors.Refused, match=r"6 VMs are running there \(azure01, eval01, .*move or stop them"):
        run.host.delete(busy.identifier, stored(busy), run.operation())
    idle = run.license(KEYLESS, onDelete="uninstallKey")
    run.host.delete(idle.identifier, stored(idle), run.operation())
    assert estate.machine("keyless")["status"] != "Licensed"
    run.host.delete(idle.identifier, stored(idle), run.operation())
    assert "nothing was uninstalled" in run.told[-1]
