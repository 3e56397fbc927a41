"""HostLicense against the simulator."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from avma import errors, keys
from avma.keys import KeyKind
from avma.properties import UNKNOWN
from avma.resources import host_state
from avma.resources.claims import Claims
from avma.resources.host_license.host_properties import HostLicenseOutputs
from avma.resources.host_state import Platform
from avma.resources.machine_license import Attempt
from avma.resources.resource import Stored
from avma.settings import AddressedSettings
from avma.windows.licensing import LicenseChannel, LicenseStatus
from avma.windows.machine import Machines
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
    PASSWORD,
    STANDARD,
    WRONG_EDITION_KEY,
    WRONG_VERSION_KEY,
    Runner,
    published_key,
    stored,
)
from loopback import address
from waiting import Clock, advance_until, wait_until

HV01_ID = "hv01.workgroup/05b6fa1e-ef46-5736-bd7e-6d7559d9d20d"


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
        hyper_v=True,
        license_channel=LicenseChannel.MAK,
        partial_product_key=keys.partial(HOST_KEY),
        machine_id=HV01_ID,
    )
    assert estate.machine("hv01")["status"] == "Licensed"
    assert estate.keys()[keys.partial(HOST_KEY)] == 1


@pytest.mark.parametrize(("host", "name", "most"), [(HV01, "hv01", 12), (KEYLESS, "keyless", 16)])
def test_licensing_a_host_costs_few_requests_and_no_process(estate, run, host, name, most):
    run.license(host)
    counts = estate.counts()[name]
    assert counts["requests"] - counts["handshakes"] <= most
    assert counts["shells"] == counts["processes"] == 0


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


def test_import_reads_everything_from_the_name(estate, run):
    result = run.host.read(LICENSED, None, run.operation())
    assert result is not None
    assert result.inputs == {"host": LICENSED}
    assert run.host.check(result.inputs) == []
    assert run.host.diff(stored(result), result.inputs) == []
    assert run.host.diff(stored(result), {"host": LICENSED, "product_key": OTHER_KEY}) == []


def test_import_of_a_host_that_cannot_be_one_is_refused(estate, run):
    with pytest.raises(errors.Refused, match=rf"{address(12)}:5985: could not import the host: it runs"):
        run.host.read(STANDARD, None, run.operation())


def test_delete_forgets_by_default_and_asks_no_machine(estate, run):
    result = run.license()
    estate.reset_counts()
    run.host.delete(result.identifier, stored(result), run.operation())
    assert estate.counts()["hv01"]["requests"] == 0
    assert "keeps its license" in run.told[-1]


def test_delete_uninstalls_the_key_only_when_no_vm_runs_and_the_key_is_ours(estate, run):
    busy = run.license(on_delete="uninstallKey")
    with pytest.raises(errors.Refused, match=r"VMs are running on the host \(azure01, eval01, .*Move or stop the VMs"):
        run.host.delete(busy.identifier, stored(busy), run.operation())
    idle = run.license(KEYLESS, on_delete="uninstallKey")
    run.host.delete(idle.identifier, stored(idle), run.operation())
    assert estate.machine("keyless")["status"] != "Licensed"
    run.host.delete(idle.identifier, stored(idle), run.operation())
    assert "uninstalled nothing" in run.told[-1]


def test_a_key_that_is_not_the_declared_one_is_never_uninstalled(estate, run):
    mine = run.license(KEYLESS, on_delete="uninstallKey")
    estate.install_key("keyless", OTHER_KEY)
    refreshed = run.host.read(mine.identifier, stored(mine), run.operation())
    run.host.delete(mine.identifier, stored(refreshed), run.operation())
    assert estate.machine("keyless")["partialProductKey"] == keys.partial(OTHER_KEY)
    assert "uninstalled nothing" in run.told[-1]


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


def test_two_resources_for_one_host_activate_it_once(estate, run):
    with ThreadPoolExecutor(2) as threads:
        results = list(threads.map(lambda _: run.license(), range(2)))
    assert results[0].outputs == results[1].outputs
    assert methods(estate, "hv01") == {"InstallProductKey": 1, "Activate": 1}


def test_an_import_by_an_invalid_host_name_is_refused(estate, run):
    with pytest.raises(errors.InvalidInput, match=r"could not import `http://hv01/x`: .* is not a host name"):
        run.host.read("http://hv01/x", None, run.operation())
    with pytest.raises(errors.InvalidInput, match="could not import `a b`: `a b` is not a host name"):
        run.host.read("a b", None, run.operation())
    with pytest.raises(errors.InvalidInput, match=r"you probably mean `10\.0\.0\.11`"):
        run.host.read("10.0.0.011", None, run.operation())


def test_a_timeout_reports_a_requested_activation(tmp_path, configuration):
    file = tmp_path / "slow.yaml"
    account = f"    username: {ADMINISTRATOR}\n"
    file.write_text(ESTATE.replace(account, f"{account}    delays: {{activation: 3600}}\n", 1))
    asked = r"could not activate Windows: the provider requested the activation, but the time limit of 5 s expired"
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


@pytest.mark.parametrize("lost", [{"answer": "garbage", "after": True}, {"answer": "drop", "after": True}])
def test_a_key_that_was_uninstalled_although_its_answer_was_lost_is_gone(estate, run, lost):
    idle = run.license(KEYLESS, on_delete="uninstallKey")
    estate.faults("keyless", [{"operation": "SoftwareLicensingProduct/UninstallProductKey", "times": 1, **lost}])
    run.host.delete(idle.identifier, stored(idle), run.operation())
    assert estate.machine("keyless")["partialProductKey"] is None


def test_a_host_without_internet_is_activated_by_telephone(estate, run):
    estate.online("hv01", False)
    with pytest.raises(errors.PartlyDone, match=r"0x80072EE7.*by telephone") as caught:
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
    with pytest.raises(errors.PartlyDone, match="could not activate Windows by telephone:"):
        run.license(confirmation_id="1" * 48)


def test_the_installed_row_is_chosen_among_several(tmp_path, configuration):
    file = tmp_path / "leftover.yaml"
    account = f"    username: {ADMINISTRATOR}\n"
    file.write_text(ESTATE.replace(account, f"{account}    leftoverKey: {OTHER_KEY}\n", 1))
    with running(load_estate(file)), closing(Machines(4)) as machines:
        runner = Runner(configuration, machines)
        assert runner.license().outputs.partial_product_key == keys.partial(HOST_KEY)


SUBSCRIBED_ESTATE = f"""
keys:
  - {{key: {HOST_KEY}, channel: MAK, version: "2025", edition: Datacenter, activations: 2}}
  - {{key: {OTHER_KEY}, channel: Retail, version: "2025", edition: Datacenter}}
kms: true
hosts:
  - {{name: payg, version: "2025", edition: Datacenter, payAsYouGo: true, address: {HV01}, http: {{port: 5985}},
      username: {ADMINISTRATOR}, password: {PASSWORD},
      vms: [{{name: web01, version: "2022", edition: Standard, address: {address(21)}, http: {{port: 5985}},
              username: {ADMINISTRATOR}, password: {PASSWORD}}}]}}
  - {{name: kms, version: "2025", edition: Datacenter, license: {{key: D764K-2NDRG-47T6Q-P8T8W-YP6DF}},
      address: {STANDARD}, http: {{port: 5985}}, username: {ADMINISTRATOR}, password: {PASSWORD}}}
  - {{name: twofold, version: "2025", edition: Datacenter, license: {{key: {OTHER_KEY}}}, leftoverKey: {HOST_KEY},
      leftoverStatus: Licensed, address: {LICENSED}, http: {{port: 5985}},
      username: {ADMINISTRATOR}, password: {PASSWORD}}}
  - {{name: upgraded, version: "2025", edition: Datacenter, license: {{key: {OTHER_KEY}}}, leftoverKey: {HOST_KEY},
      leftoverStatus: OOBGrace, address: {KEYLESS}, http: {{port: 5985}},
      username: {ADMINISTRATOR}, password: {PASSWORD}}}
"""


@pytest.fixture
def of_2025(tmp_path):
    file = tmp_path / "estate.yaml"
    file.write_text(SUBSCRIBED_ESTATE)
    with running(load_estate(file)) as server:
        yield server


def test_pay_as_you_go_is_no_licence_for_guests(of_2025, run):
    with pytest.raises(
        errors.Refused, match=r"pay-as-you-go licenses Windows on the host but not in its guests.*`product_key`"
    ):
        run.license(HV01, None)
    with pytest.raises(errors.Refused, match=r"the host is not licensed for its guests: Azure Arc pay-as-you-go"):
        run.activate()
    found = run.host.read(HV01, None, run.operation())
    assert (found.outputs.license_status, found.outputs.activates_guests) == (LicenseStatus.LICENSED, False)
    assert run.license(HV01, HOST_KEY).outputs.activates_guests
    assert run.activate().outputs.license_status is LicenseStatus.LICENSED


def test_kms_and_pay_as_you_go_hosts_are_distinguished(of_2025, run):
    outputs = run.license(STANDARD, None).outputs
    assert (outputs.license_channel, outputs.activates_guests) == (LicenseChannel.KMS_CLIENT, True)


def test_of_several_licensed_keys_the_user_has_to_say_which_counts(of_2025, run):
    with pytest.raises(errors.Refused, match=r"several keys as licensed: .*98764 .*`product_key`"):
        run.license(LICENSED, None)


def test_of_several_keys_the_licensed_one_counts(of_2025, run):
    outputs = run.license(KEYLESS, None).outputs
    assert (outputs.partial_product_key, outputs.license_status) == ("98764", LicenseStatus.LICENSED)


def test_a_key_of_another_release_is_found_before_it_is_installed(estate, run):
    wanted = {"host": HV01, "product_key": WRONG_VERSION_KEY, "product_key_version": "2019"}
    with pytest.raises(errors.Refused, match="runs Windows Server 2022 Datacenter, and the declared key is for"):
        run.host.probe(wanted, run.operation())
    (failure,) = run.host.check({"host": HV01, "product_key_version": "2022"})
    assert failure.path == "product_key_version"


def test_a_key_is_uninstalled_while_vms_run_only_by_force(estate, run):
    first = run.license(on_delete="uninstallKey")
    with pytest.raises(errors.Refused, match=r"VMs are running on the host .*`force_destroy: true`"):
        run.host.delete(first.identifier, stored(first), run.operation())
    forced = {**first.inputs, "force_destroy": True}
    run.host.delete(first.identifier, Stored(forced, stored(first).outputs), run.operation())
    assert estate.machine("hv01")["channel"] is None


def test_an_existing_license_with_a_second_key_is_adopted(of_2025, run):
    first = run.license(LICENSED, HOST_KEY, on_delete="uninstallKey")
    assert first.outputs.partial_product_key == "46789"
    now = run.host.read(LICENSED, stored(first), run.operation())
    assert run.host.diff(stored(now), first.inputs) == []
    assert methods(of_2025, "twofold") == {}
    run.host.delete(LICENSED, stored(first), run.operation())
    assert methods(of_2025, "twofold") == {"UninstallProductKey": 1}


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


def test_an_adopted_host_that_comes_to_pay_as_it_goes_is_drift(of_2025, run):
    first = run.license(STANDARD, None)
    drifted = {**stored(first).outputs, "activates_guests": False}
    assert {change.path for change in run.host.diff(Stored(first.inputs, drifted), first.inputs)} == {
        "activates_guests"
    }


def test_importing_a_host_without_a_license_fails(estate, run):
    run.host.read(HV01, None, run.operation())
    (told,) = [text for text in run.told if "imported, but" in text]
    assert "does not activate its guests" in told
    assert "Set `product_key` to the Datacenter key of the host" in told


def test_importing_a_licensed_host_warns_of_nothing(estate, run):
    run.host.read(LICENSED, None, run.operation())
    assert not [text for text in run.told if "imported, but" in text]


def test_a_host_that_is_a_guest_itself_is_named(estate, run):
    key = published_key(KeyKind.AVMA, "2022", "Datacenter")
    estate.install_key("licensed", key)
    estate.set_license("licensed", "Licensed")
    run.license(LICENSED, None)
    (told,) = [text for text in run.told if "its own host activated through AVMA" in text]
    assert "set `product_key` to a Datacenter key" in told
