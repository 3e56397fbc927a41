"""VmActivation against the simulator."""

from dataclasses import replace

import pytest

from avma import errors
from avma.keys import KeyKind
from avma.properties import UNKNOWN
from avma.resources.vm_activation.vm_properties import VmActivationOutputs
from avma.windows.licensing import LicenseChannel, LicenseStatus
from core.runner import HV01, OTHER_KEY, PASSWORD, published_key, stored
from loopback import address

TWIN = "8a1f0c52-6a0e-4b3c-9f61-0c2d4c1f0a11"


@pytest.fixture
def licensed(estate, run):
    run.license(HV01, OTHER_KEY)
    estate.reset_counts()
    return estate


def test_a_guest_is_activated_by_its_host_and_verified(licensed, run):
    result = run.activate()
    vm_id = result.outputs.vm_id
    assert result.identifier == f"{HV01}/{vm_id}"
    assert result.outputs == VmActivationOutputs(
        vm_id=vm_id,
        vm_name="web01",
        guest_version="2022",
        guest_edition="Standard",
        license_status=LicenseStatus.LICENSED,
        license_channel=LicenseChannel.AVMA,
        partial_product_key="78VHK",
        activated_by_host="HV01",
    )
    assert licensed.machine("web01")["channel"] == "VIRTUAL_MACHINE_ACTIVATION"


def test_activating_a_guest_costs_few_requests_and_no_process(licensed, run):
    run.activate()
    counts = licensed.counts()
    assert counts["web01"]["requests"] - counts["web01"]["handshakes"] <= 6
    assert all(machine["shells"] == machine["processes"] == 0 for machine in counts.values())


def test_a_second_time_calls_no_method(licensed, run):
    first = run.activate()
    licensed.reset_counts()
    assert run.activate().outputs == first.outputs
    operations = [op for machine in licensed.counts().values() for op in machine["operations"]]
    assert not [op for op in operations if op.startswith("Invoke")]


def test_a_vm_is_found_by_its_id(licensed, run):
    wanted = {"host": HV01, "vm_id": f"{{{TWIN.upper()}}}"}
    assert run.vm.create(wanted, run.operation()).outputs.vm_name == "twin"


def test_a_guest_with_another_kind_of_key_comes_to_avma(licensed, run):
    licensed.install_key("web01", published_key(KeyKind.KMS_CLIENT, "2022", "Standard"))
    licensed.set_license("web01", "Licensed")
    result = run.activate()
    assert result.outputs.license_channel is LicenseChannel.AVMA


@pytest.mark.parametrize(
    ("vm", "error", "text"),
    [
        ("new01", errors.Refused, "runs Windows Server 2025 Standard and its host runs Windows Server 2022 Datacenter"),
        ("eval01", errors.Refused, "evaluation .*Set-Edition:ServerStandard .*` in the guest with .*KMS client key"),
        ("azure01", errors.Refused, "only Azure and Azure Local can activate"),
        ("twin", errors.Refused, f"2 VMs are named twin: {TWIN}, .*vm_id"),
        ("absent", errors.NotFound, "there is no VM absent"),
    ],
)
def test_what_cannot_be_activated_is_refused_before_anything_is_changed(licensed, run, vm, error, text):
    with pytest.raises(error, match=text):
        run.activate(vm)
    operations = [op for machine in licensed.counts().values() for op in machine["operations"]]
    assert not [op for op in operations if op.startswith("Invoke")]


def test_a_host_without_a_licence_is_named(estate, run):
    with pytest.raises(errors.Refused, match=r"not licensed for its guests: its .* status is OOBGrace .*HostLicense"):
        run.activate()


def test_a_vm_that_is_off_is_named(licensed, run):
    licensed.power("web01", "off")
    with pytest.raises(
        errors.Refused, match=r"web01 was not ready .*its state is Off\). Run `Get-VM -Id \S+ \| Start-VM`"
    ):
        run.activate()


def test_a_key_for_another_guest_is_refused(licensed, run):
    other = published_key(KeyKind.AVMA, "2019", "Standard")
    with pytest.raises(errors.Refused, match="the declared key is for Windows Server 2019 Standard"):
        run.activate(product_key=other)


def test_data_exchange_is_switched_on_where_that_is_allowed(licensed, run):
    licensed.data_exchange("web01", False)
    result = run.activate(manage_data_exchange=True, guest={"address": address(21)})
    assert result.outputs.license_status is LicenseStatus.LICENSED
    assert licensed.machine("web01")["dataExchange"] is True
    assert any("turning on Data Exchange" in text for text in run.told)


def test_a_preview_switches_nothing_on(licensed, run):
    licensed.data_exchange("web01", False)
    wanted = {"host": HV01, "vm_name": "web01", "manage_data_exchange": True, "guest": {"address": address(21)}}
    run.vm.probe(wanted, run.operation())
    assert licensed.machine("web01")["dataExchange"] is False


def test_without_data_exchange_nothing_is_done(licensed, run):
    licensed.data_exchange("web01", False)
    with pytest.raises(errors.Refused, match=r"Data Exchange .*of web01 is off.*manage_data_exchange"):
        run.activate()


def test_a_wrong_guest_password_is_an_error_of_the_guest(licensed, run):
    with pytest.raises(
        errors.LogonRefused,
        match=rf"web01 \({address(21)}:5985\): could not identify the machine: the service rejected the sign-in",
    ):
        run.activate(guest={"password": PASSWORD + "x"})


def test_drift_is_read_and_repaired(licensed, run):
    first = run.activate()
    licensed.install_key("web01", published_key(KeyKind.KMS_CLIENT, "2022", "Standard"))
    now = run.vm.read(first.identifier, stored(first), run.operation())
    assert now is not None
    changes = run.vm.diff(stored(now), first.inputs)
    assert {change.path for change in changes} == {"license_status", "license_channel", "partial_product_key"}
    repaired = run.vm.update(first.identifier, stored(now), first.inputs, run.operation())
    assert repaired.outputs == first.outputs


def test_a_vm_that_is_off_keeps_its_stored_state(licensed, run):
    first = run.activate()
    licensed.power("web01", "off")
    now = run.vm.read(first.identifier, stored(first), run.operation())
    assert now is not None
    assert now.outputs == first.outputs
    assert "could not read its activation" in run.told[-1]


def test_a_vm_is_gone_only_when_its_host_reports_it(licensed, run, new_runner):
    first = run.activate()
    licensed.move("web01", "licensed")
    assert run.vm.read(first.identifier, stored(first), run.operation()) is None
    unreachable = stored(first, connection={"port": 1})
    with pytest.raises(errors.Unreachable):
        run.vm.read(first.identifier, unreachable, run.operation())


@pytest.mark.parametrize("name", ["web01", "WEB01"])
def test_import_by_host_and_vm(licensed, run, name):
    created = run.activate()
    result = run.vm.read(f"{HV01}/{name}", None, run.operation())
    assert result is not None
    assert (result.identifier, result.outputs) == (created.identifier, created.outputs)
    assert run.vm.check(result.inputs) == []
    assert run.vm.diff(stored(result), result.inputs) == []


def test_import_of_a_missing_vm(licensed, run):
    assert run.vm.read(f"{HV01}/absent", None, run.operation()) is None
    with pytest.raises(errors.InvalidInput, match="does not have the form HOST/NAME or HOST/GUID"):
        run.vm.read("web01", None, run.operation())


@pytest.mark.parametrize(
    ("identifier", "text"),
    [
        ("hv01:5986/web01", r"`hv01:5986` has a port.* Write HOST/NAME without a scheme or port, for example"),
        ("hv01/web\u200b01", r"contains an invisible character at position 4 \(.*\)\. Remove it\. See: "),
    ],
)
def test_an_import_with_a_malformed_id_shows_its_form(run, identifier, text):
    with pytest.raises(errors.InvalidInput, match=text):
        run.vm.read(identifier, None, run.operation())


def test_delete_forgets_by_default_and_uninstalls_on_request(licensed, run):
    kept = run.activate()
    licensed.reset_counts()
    run.vm.delete(kept.identifier, stored(kept), run.operation())
    assert licensed.counts()["web01"]["requests"] == 0
    result = run.activate(on_delete="uninstallKey")
    run.vm.delete(result.identifier, stored(result), run.operation())
    assert licensed.machine("web01")["status"] != "Licensed"
    run.vm.delete(result.identifier, stored(result), run.operation())
    licensed.move("web01", "licensed")
    run.vm.delete(result.identifier, stored(result), run.operation())


def test_another_machine_at_the_guests_address_is_never_touched(licensed, run):
    for other in (HV01, address(24)):
        with pytest.raises(errors.Refused, match="is not the VM web01 on"):
            run.activate(guest={"address": other})
    assert licensed.machine("hv01")["channel"] == "RETAIL"
    assert not [op for m in licensed.counts().values() for op in m["operations"] if op.startswith("Invoke")]


def test_a_foreign_key_is_never_uninstalled_not_even_after_a_refresh(licensed, run):
    first = run.activate(on_delete="uninstallKey")
    licensed.install_key("web01", published_key(KeyKind.KMS_CLIENT, "2022", "Standard"))
    refreshed = run.vm.read(first.identifier, stored(first), run.operation())
    run.vm.delete(first.identifier, stored(refreshed), run.operation())
    assert licensed.machine("web01")["channel"] == "VOLUME_KMSCLIENT"
    assert "changed nothing" in run.told[-1]


def test_an_update_never_moves_to_another_vm_with_the_same_name(licensed, run):
    first = run.activate()
    gone = f"{HV01}/00000000-0000-4000-8000-000000000000"
    drifted = stored(first)
    drifted = replace(drifted, outputs={**drifted.outputs, "license_status": "Unlicensed"})
    with pytest.raises(errors.NotFound, match="If the VM was created again, refresh the state first"):
        run.vm.update(gone, drifted, first.inputs, run.operation())


def test_deleting_a_missing_vm_reports_that_no_key_was_uninstalled(licensed, run):
    first = run.activate(on_delete="uninstallKey")
    licensed.move("web01", "licensed")
    run.vm.delete(first.identifier, stored(first), run.operation())
    assert "no longer on its host" in run.told[-1]


def test_on_delete_is_changed_while_the_vm_is_off(licensed, run):
    first = run.activate(on_delete="uninstallKey")
    licensed.power("web01", "off")
    wanted = {**first.inputs, "on_delete": "retain"}
    result = run.vm.update(first.identifier, stored(first), wanted, run.operation())
    assert (result.inputs, result.outputs) == (wanted, first.outputs)


def test_the_kms_client_key_is_restored_on_request(licensed, run):
    result = run.activate(on_delete="restoreKmsClientKey")
    run.vm.delete(result.identifier, stored(result), run.operation())
    state = licensed.machine("web01")
    assert (state["channel"], state["partialProductKey"]) == ("VOLUME_KMSCLIENT", "VMK7H")


def test_a_deletion_contacts_no_machine_if_the_key_of_the_resource_is_unknown(licensed, run):
    first = run.activate(on_delete="uninstallKey")
    unknown = stored(first)
    unknown = replace(unknown, outputs={**unknown.outputs, "guest_version": "build 30000"})
    licensed.reset_counts()
    assert run.vm.undoes(first.identifier, unknown, run.operation()) is None
    run.vm.delete(first.identifier, unknown, run.operation())
    assert "does not know the key of this resource" in run.told[-1]
    assert [machine["requests"] for machine in licensed.counts().values() if machine["requests"]] == []
    assert licensed.machine("web01")["status"] == "Licensed"


def test_a_refused_activation_quotes_the_event_logs(licensed, run):
    class Sabotage(list):
        """The messages to the user. When the key is about to be installed, the host loses its license."""

        def append(self, text):
            super().append(text)
            if "installing key" in text:
                licensed.set_license("hv01", "Notification")

    run.told = Sabotage()
    quoted = r"0xC004FD02.*\. Event 12309 of the guest: Activation Denied.*\. Event 12310 of the host: .*\. Use a Data"
    with pytest.raises(errors.PartlyDone, match=quoted):
        run.activate()


def test_insecure_on_a_resource_warns(licensed, run):
    run.activate(guest={"insecure": True})
    assert any("`guest.insecure: true` is set" in text for text in run.told)


UNKNOWN_PASSWORD = {"host": HV01, "guest": {"username": "Administrator", "password": UNKNOWN}}


def test_without_a_guest_account_a_preview_uses_data_exchange(licensed, run):
    wanted = {**UNKNOWN_PASSWORD, "vm_name": "web01"}
    assert run.vm.askable(wanted)
    foreseen = run.vm.probe(wanted, run.operation())
    told = {name: foreseen[name] for name in ("vm_name", "guest_version", "guest_edition", "partial_product_key")}
    assert told == {
        "vm_name": "web01",
        "guest_version": "2022",
        "guest_edition": "Standard",
        "partial_product_key": "78VHK",
    }
    assert licensed.counts()["web01"]["requests"] == 0
    assert not run.vm.askable({**wanted, "host": UNKNOWN})


@pytest.mark.parametrize(("vm", "text"), [("new01", "Move the VM to a newer host"), ("eval01", "evaluation")])
def test_data_exchange_is_enough_to_refuse_a_guest(licensed, run, vm, text):
    with pytest.raises(errors.Refused, match=text):
        run.vm.probe({**UNKNOWN_PASSWORD, "vm_name": vm}, run.operation())


def test_a_guest_without_data_exchange_is_not_predicted(licensed, run):
    licensed.setup("web01", 60)
    foreseen = run.vm.probe({**UNKNOWN_PASSWORD, "vm_name": "web01"}, run.operation())
    assert foreseen["license_status"] == "Licensed"
    assert "guest_version" not in foreseen
