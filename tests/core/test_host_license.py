"""HostLicense against the simulator."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace

import pytest

from avma import errors, keys
from avma.environment import with_sources
from avma.keys import KeyKind
from avma.properties import UNKNOWN
from avma.resources import host_state
from avma.resources.claims import Claims
from avma.resources.host_license.host_properties import HostLicenseOutputs
from avma.resources.host_state import Platform
from avma.resources.machine_license import Attempt
from avma.settings import AddressedSettings
from avma.windows.licensing import LicenseChannel, LicenseStatus
from avma.windows.machines import Machines
from avma_simulator import load_estate, running
from core.runner import (
    ADMINISTRATOR,
    ESTATE,
    EVALUATION,
    HOST_KEY,
    HV01,
    KEYLESS,
    LICENSED,
    OTHER_KEY,
    STANDARD,
    WRONG_EDITION_KEY,
    WRONG_VERSION_KEY,
    Runner,
    methods,
    published_key,
    stored,
)
from waiting import Clock, advance_until, wait_until

HV01_ID = "hv01.workgroup/05b6fa1e-ef46-5736-bd7e-6d7559d9d20d"


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
        hyper_v=True,
        license_channel=LicenseChannel.MAK,
        partial_product_key=keys.partial(HOST_KEY),
        machine_id=HV01_ID,
    )
    assert estate.machine("hv01")["status"] == "Licensed"
    assert estate.keys()[keys.partial(HOST_KEY)] == 1


@pytest.mark.parametrize(("host", "name", "most"), [(HV01, "hv01", 13), (KEYLESS, "keyless", 16)])
def test_licensing_a_host_costs_few_requests_and_one_powershell(estate, run, host, name, most):
    run.license(host)
    counts, of_lock = estate.counts()[name], 6
    assert counts["requests"] - counts["handshakes"] <= most + of_lock
    assert [counts[each] for each in ("pools", "pipelines", "processes", "openShells")] == [1, 1, 0, 0]


def test_a_host_that_is_licensed_as_wanted_is_adopted_without_a_call(estate, run):
    run.license(LICENSED, OTHER_KEY)
    run.license(LICENSED, None)
    assert methods(estate, "licensed") == {}


def test_a_pasted_key_is_sent_as_windows_takes_it_and_shows_no_difference_afterwards(estate, run):
    pasted = f"\ufeffProduct Key: \u201c{HOST_KEY.lower()}\u200b\u201d\n"
    result = run.license(key=pasted)
    assert (result.outputs.license_status, result.inputs["product_key"]) == (LicenseStatus.LICENSED, pasted)
    assert run.host.diff(stored(result), {**result.inputs, "product_key": HOST_KEY}) == []
    run.license()
    assert methods(estate, "hv01") == {"InstallProductKey": 1, "Activate": 1}


def test_another_key_replaces_the_one_that_is_there(estate, run):
    first = run.license(LICENSED, OTHER_KEY)
    result = run.host.update(
        first.identifier, stored(first), {"host": LICENSED, "product_key": HOST_KEY}, run.operation()
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
        (STANDARD, HOST_KEY, errors.Refused, "it runs Windows Server 2022 Standard. Upgrade the host to Datacenter"),
        (EVALUATION, HOST_KEY, errors.Refused, "evaluation .* Run `DISM /Online /Set-Edition:ServerDatacenter "),
        (HV01, None, errors.Refused, "`product_key` is not set, and its license status is OOBGrace"),
        (KEYLESS, None, errors.Refused, "no product key is installed. Set `product_key` to the Datacenter key"),
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


def test_a_rejected_activation_keeps_the_state_so_far(estate, run):
    run.license(LICENSED, HOST_KEY)
    run.license(KEYLESS, HOST_KEY)
    with pytest.raises(errors.PartlyDone, match="0xC004C020 SL_E_CHPA_DMAK_LIMIT_EXCEEDED") as caught:
        run.license(HV01, HOST_KEY)
    reached = caught.value.state
    assert reached.outputs.partial_product_key == keys.partial(HOST_KEY)
    assert reached.outputs.license_status is not LicenseStatus.LICENSED
    repaired = run.host.update(HV01, stored(reached), {"host": HV01, "product_key": OTHER_KEY}, run.operation())
    assert repaired.outputs.license_status is LicenseStatus.LICENSED


def test_drift_is_read_and_repaired(estate, run):
    first = run.license()
    estate.uninstall_key("hv01")
    now = run.host.read(first.identifier, stored(first), run.operation())
    assert now is not None
    assert now.outputs.license_status is LicenseStatus.UNLICENSED
    assert {change.path for change in run.host.diff(stored(now), first.inputs)} == {
        "license_status",
        "partial_product_key",
    }
    repaired = run.host.update(first.identifier, stored(now), first.inputs, run.operation())
    assert repaired.outputs == first.outputs
    assert estate.keys()[keys.partial(HOST_KEY)] == 1


def test_a_change_of_bookkeeping_inputs_connects_to_no_machine(estate, run):
    first = run.license(KEYLESS)
    estate.reset_counts()
    wanted = {**first.inputs, "on_delete": "uninstallKey"}
    result = run.host.update(first.identifier, stored(first), wanted, run.operation())
    assert (result.outputs, result.inputs) == (first.outputs, wanted)
    assert estate.counts()["keyless"]["requests"] == 0


def test_a_preview_warns_before_a_license_is_replaced(estate, run):
    run.host.probe({"host": LICENSED, "product_key": HOST_KEY}, run.operation())
    assert f"will replace key …{keys.partial(OTHER_KEY)} (RETAIL), which licenses the host now" in run.told[-1]


@pytest.mark.parametrize(
    ("own", "named"),
    [({}, "`password` (from AVMA_PASSWORD)"), ({"connection": {"password": "Wrong-Horse-9"}}, "`password`")],
)
def test_a_wrong_password_names_the_variable_of_its_value(estate, run, own, named):
    variables = {"AVMA_PASSWORD": "Wrong-Horse-8"}
    configuration = replace(run.configuration, password=variables["AVMA_PASSWORD"])
    run.configuration = with_sources(configuration, {}, variables)
    with pytest.raises(errors.LogonRefused) as caught:
        run.license(**own)
    assert f"Check `username` and {named}. " in str(caught.value)


def test_two_resources_for_one_host_activate_it_once(estate, run):
    with ThreadPoolExecutor(2) as threads:
        results = list(threads.map(lambda _: run.license(), range(2)))
    assert results[0].outputs == results[1].outputs
    assert methods(estate, "hv01") == {"InstallProductKey": 1, "Activate": 1}


def test_a_timeout_reports_a_requested_activation(tmp_path, configuration):
    file = tmp_path / "slow.yaml"
    account = f"    username: {ADMINISTRATOR}\n"
    file.write_text(ESTATE.replace(account, f"{account}    delays: {{activation: 3600}}\n", 1))
    asked = (
        r"could not activate Windows: the provider requested the activation, but the machine did not finish .*, "
        r"and then could not read the result: the time limit of 5 s expired"
    )
    with running(load_estate(file)) as estate, closing(Machines(4)) as machines, ThreadPoolExecutor(1) as pool:
        clock = Clock()
        licensing = pool.submit(Runner(configuration, machines, seconds=5, clock=clock).license)
        wait_until(lambda: "Activate" in methods(estate, "hv01"))
        clock.now += 6
        advance_until(estate, 6, licensing.done)
        with pytest.raises(errors.PartlyDone, match=asked):
            licensing.result()
        assert methods(estate, "hv01")["Activate"] == 1


@pytest.mark.parametrize("code", ["0xC004FD00", "0xC004E028", "0x803381A6"])
def test_a_timeout_quotes_the_last_answer_of_windows(estate, new_runner, code):
    estate.faults("hv01", [{"operation": "SoftwareLicensingProduct/Activate", "hresult": int(code, 16)}])
    runner = new_runner()
    runner.seconds = 8
    runner.skip_pauses()
    with pytest.raises(errors.PartlyDone, match=rf"{code} .*the time limit") as caught:
        runner.license()
    assert isinstance(caught.value.cause, errors.TimedOut)


@pytest.mark.parametrize(
    "operation", ["SoftwareLicensingProduct/Activate", "SoftwareLicensingService/InstallProductKey"]
)
def test_a_change_that_http_sys_refused_did_not_begin_and_is_asked_for_again(estate, run, operation):
    estate.faults("hv01", [{"operation": operation, "answer": "unavailable", "times": 2}])
    run.skip_pauses()
    assert run.license().outputs.license_status is LicenseStatus.LICENSED
    assert estate.keys()[keys.partial(HOST_KEY)] == 1


def test_a_host_without_internet_is_activated_by_phone(estate, run):
    estate.online("hv01", False)
    with pytest.raises(errors.PartlyDone, match=r"0x80072EE7.*by phone") as caught:
        run.license()
    reached = caught.value.state
    asked = estate.confirmation_id("hv01")
    assert reached.outputs.installation_id == asked["installationId"]
    wanted = {
        **reached.inputs,
        "confirmation_id": "-".join(asked["confirmationId"][i : i + 6] for i in range(0, 48, 6)),
    }
    assert run.host.check(wanted) == []
    result = run.host.update(HV01, stored(reached), wanted, run.operation())
    assert result.outputs.license_status is LicenseStatus.LICENSED
    assert result.outputs.installation_id is None
    assert run.host.diff(stored(result), wanted) == []


def test_a_wrong_confirmation_id_is_refused_by_windows(estate, run):
    with pytest.raises(errors.PartlyDone, match="could not activate Windows by phone:"):
        run.license(confirmation_id="1" * 48)


def test_a_key_of_another_release_is_found_before_it_is_installed(estate, run):
    wanted = {"host": HV01, "product_key": WRONG_VERSION_KEY, "product_key_version": "2019"}
    with pytest.raises(errors.Refused, match="runs Windows Server 2022 Datacenter, but `product_key_version` is"):
        run.host.probe(wanted, run.operation())
    (failure,) = run.host.check({"host": HV01, "product_key_version": "2022"})
    assert failure.path == "product_key_version"


def test_what_another_resource_did_between_look_and_change_is_seen(estate, run):
    operation = run.operation()
    state = host_state.read_host_state(operation.machine(HV01, None, run.configuration), operation)
    run.license()
    other = operation.machine("hv01", AddressedSettings(address=HV01), run.configuration)
    for machine in (state.server, other):
        Attempt(machine, state.found, state.since, operation).license(HOST_KEY, activate=True)
    assert methods(estate, "hv01") == {"InstallProductKey": 1, "Activate": 1}


def test_a_preview_with_a_key_that_is_not_known_yet_looks_at_the_host(estate, run):
    run.claims = Claims()
    wanted = {"host": HV01, "product_key": UNKNOWN}
    assert run.host.askable(wanted)
    assert run.host.probe(wanted, run.operation())["edition"] == "Datacenter"
    assert run.vm.probe({"host": HV01, "vm_name": "web01"}, run.operation())["guest_version"] == "2022"
    with pytest.raises(errors.Refused, match="runs Windows Server 2022 Standard"):
        run.host.probe({"host": STANDARD, "product_key": UNKNOWN}, run.operation())


def test_a_host_that_is_a_guest_itself_is_named(estate, run):
    key = published_key(KeyKind.AVMA, "2022", "Datacenter")
    estate.install_key("licensed", key)
    estate.set_license("licensed", "Licensed")
    run.license(LICENSED, None)
    (told,) = [text for text in run.told if "its own host activated through AVMA" in text]
    assert "set `product_key` to a Datacenter key" in told
