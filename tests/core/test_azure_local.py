"""HostLicense and VmActivation on machines of Azure Stack HCI / Azure Local, against a simulated estate."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from avma import errors, keys
from avma.connection import AddressedSettings
from avma.keys import KeyKind
from avma.properties import dump
from avma.resources import hosts
from avma.resources.azure_local import Application
from avma.resources.cluster_license import ClusterLicense
from avma.resources.host_properties import HostLicenseOutputs
from avma.resources.hosts import Platform
from avma.resources.resource import Stored
from avma.windows import azure_local
from avma.windows.licensing import LicenseChannel, LicenseStatus
from avma.windows.powershell import Answers
from avma_simulator import EstateServer, load_estate, running
from core.runner import ADMINISTRATOR, PASSWORD, stored

KEY_2019 = "BCDFG-HJKMN-PQRTV-WXY23-46789"
KEY_2022 = "BCDFG-HJKMN-PQRTV-WXY23-4678B"
KEY_2025 = "BCDFG-HJKMN-PQRTV-WXY23-4678C"
STANDARD_2022 = "BCDFG-HJKMN-PQRTV-WXY23-4678D"
KEY_2016 = "BCDFG-HJKMN-PQRTV-WXY23-4678F"
SECRETS = (KEY_2019, KEY_2022, KEY_2025, STANDARD_2022, KEY_2016, PASSWORD)
ACCOUNT = f"username: {ADMINISTRATOR}, password: {PASSWORD}"
PLAIN, SUBSCRIBED, OEM, OLD, LAGGING, KEYED, OTHER, MUTE = (f"127.43.1.{n}" for n in range(11, 19))


def local(name: str, address: str, more: str = "") -> str:
    fixed = f"version: 23H2, edition: Azure Stack HCI, address: {address}, http: {{port: 5985}}, {ACCOUNT}"
    return f"{{name: {name}, {fixed}{more}}}"


def guest(name: str, version: str, edition: str, number: int) -> str:
    where = f"address: 127.43.1.{number}, http: {{port: 5985}}"
    return f'{{name: {name}, version: "{version}", edition: {edition}, {where}, {ACCOUNT}}}'


GUESTS = ", ".join(
    [
        guest("g22", "2022", "Standard", 31),
        guest("g25", "2025", "Datacenter", 32),
        guest("turbine", "2022", "Datacenter Azure Edition", 33),
    ]
)
S25 = guest("s25", "2025", "Datacenter", 34)
M22 = guest("m22", "2022", "Standard", 35)
ESTATE = f"""
keys:
  - {{key: {KEY_2016}, channel: MAK, version: "2016", edition: Datacenter, activations: 9}}
  - {{key: {KEY_2019}, channel: MAK, version: "2019", edition: Datacenter, activations: 9}}
  - {{key: {KEY_2022}, channel: MAK, version: "2022", edition: Datacenter, activations: 2}}
  - {{key: {KEY_2025}, channel: MAK, version: "2025", edition: Datacenter, activations: 9}}
  - {{key: {STANDARD_2022}, channel: MAK, version: "2022", edition: Standard, activations: 9}}
hosts:
  - {local("plain", PLAIN, f", vms: [{GUESTS}]")}
  - {local("subscribed", SUBSCRIBED, f", subscription: true, vms: [{S25}]")}
  - {local("oem", OEM, ", oemLicense: true")}
  - {local("old", OLD, ', module: "none"')}
  - {local("lagging", LAGGING, ", subscription: true, synced: false")}
  - {local("keyed", KEYED, f", serverKey: {KEY_2019}")}
  - {local("other", OTHER)}
  - {local("mute", MUTE, f", opaque: true, vms: [{M22}]")}
clusters:
  - {{name: cl01, nodes: [plain, other], address: 127.43.1.21, http: {{port: 5985}}}}
  - {{name: cl02, nodes: [keyed, mute], address: 127.43.1.22, http: {{port: 5985}}}}
"""
CLUSTER, MIXED = "127.43.1.21", "127.43.1.22"


@pytest.fixture
def estate(tmp_path) -> Iterator[EstateServer]:
    file = tmp_path / "estate.yaml"
    file.write_text(ESTATE)
    with running(load_estate(file)) as server:
        yield server


@pytest.fixture(autouse=True)
def no_key_is_told(run) -> Iterator[None]:
    yield
    assert not [text for text in run.told if any(secret in text for secret in SECRETS)]


def left(estate: EstateServer, key: str) -> int:
    return estate.keys()[keys.partial(key)]


def test_a_key_is_applied_for_the_guests_of_a_machine(estate, run):
    result = run.license(PLAIN, KEY_2022)
    assert result.identifier == PLAIN
    assert result.outputs == HostLicenseOutputs(
        platform=Platform.AZURE_LOCAL,
        os_version="23H2",
        os_build=25398,
        edition="Azure Stack HCI",
        license_status=LicenseStatus.LICENSED,
        license_channel=LicenseChannel.RETAIL,
        partial_product_key="4678B",
        activates_guests=True,
        key_version="2022",
        subscription_status="Inactive",
    )
    assert estate.machine("plain")["automaticActivation"]["Source"] == "ProductKey"
    assert left(estate, KEY_2022) == 1


def test_a_key_that_is_there_is_not_applied_again(estate, run):
    first = run.license(PLAIN, KEY_2022)
    told = len(run.told)
    assert run.license(PLAIN, KEY_2022).outputs == first.outputs
    assert not [text for text in run.told[told:] if "applying" in text]


def test_guests_are_activated_up_to_the_version_of_the_key(estate, run):
    run.license(PLAIN, KEY_2022)
    assert run.activate("g22", PLAIN).outputs.activated_by_host == "PLAIN"
    with pytest.raises(
        errors.Refused, match=r"the key of its host activates guests up to Windows Server 2022 only.*2025"
    ):
        run.activate("g25", PLAIN)
    run.license(PLAIN, KEY_2025)
    assert run.activate("g25", PLAIN).outputs.activated_by_host == "PLAIN"


def test_azure_edition_is_left_for_windows_to_judge(estate, run):
    run.license(PLAIN, KEY_2025)
    with pytest.raises(errors.PartlyDone, match="0xC004FD03"):
        run.activate("turbine", PLAIN)
    estate.subscription("plain", True)
    assert run.activate("turbine", PLAIN).outputs.guest_edition == "Datacenter Azure Edition"


def test_without_a_key_no_guest_is_activated(estate, run):
    with pytest.raises(
        errors.Refused, match=r"no key and no subscription for guests .*HostLicense.*EnableWSSubscription"
    ):
        run.activate("g22", PLAIN)


def test_a_host_that_the_run_licenses_counts_with_its_new_key(estate, run):
    run.license(KEYED, KEY_2019)
    run.host.probe({"host": PLAIN, "productKey": KEY_2025}, run.operation())
    foreseen = run.vm.probe({"host": PLAIN, "vmName": "g25"}, run.operation())
    assert foreseen["partialProductKey"] == "VCH67"


@pytest.mark.parametrize(("host", "status"), [(SUBSCRIBED, "Active"), (OEM, "Inactive")])
def test_what_activates_guests_already_is_adopted(estate, run, host, status):
    result = run.license(host, None)
    assert (result.outputs.activates_guests, result.outputs.subscription_status) == (True, status)


def test_a_subscription_is_looked_for(estate, run):
    assert run.license(SUBSCRIBED, None, licenseSource="subscription").outputs.activates_guests
    assert run.activate("s25", SUBSCRIBED).outputs.guest_version == "2025"


@pytest.mark.parametrize(
    ("host", "inputs", "text"),
    [
        # What Windows Admin Center says: "The key you entered didn't work"
        (
            PLAIN,
            {"productKey": STANDARD_2022},
            "0xC004F069 .*its activation stays as it was.*Datacenter key of Windows",
        ),
        (PLAIN, {"productKey": KEY_2016}, r"0xC004F069 .*Datacenter key of Windows Server 2019 or later"),
        (KEYED, {"productKey": KEY_2016, "productKeyVersion": "2016"}, "Azure Local takes keys from 2019 on"),
        # "Some servers use keys for an older version of Windows Server" is the cluster's, below; "Server is down" too
        # "To use this feature, install the latest update"
        (OLD, {"productKey": KEY_2022}, "module ServerAVMAManager is missing.*install the latest update"),
        # "... does not have the latest changes to this setting. We'll apply the changes as soon as the servers sync"
        (LAGGING, {}, "is bought and has not arrived there yet .*sync with Azure, every 12 hours"),
        (LAGGING, {"licenseSource": "subscription"}, "is bought and has not arrived there yet .*Sync-AzureStackHCI"),
        (PLAIN, {"licenseSource": "subscription"}, "no active Windows Server subscription .*shows: Inactive.*billed"),
        (PLAIN, {}, "no key and no subscription for guests"),
        (PLAIN, {"productKey": KEY_2022, "activate": False}, "stays; no `activate: false` there; leave `activate` out"),
        (PLAIN, {"productKey": KEY_2022, "confirmationId": "1" * 48}, "no `confirmationId` there"),
        (PLAIN, {"productKey": KEY_2022, "onDelete": "uninstallKey"}, "no `onDelete: uninstallKey` there"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_spent(estate, run, host, inputs, text):
    before = estate.keys()
    with pytest.raises(errors.AvmaError, match=text) as caught:
        run.license(host, None, **inputs)
    assert not isinstance(caught.value, errors.PartlyDone)
    assert estate.keys() == before


def test_a_subscription_that_ended_is_drift(estate, run):
    first = run.license(SUBSCRIBED, None, licenseSource="subscription")
    estate.subscription("subscribed", False)
    now = run.host.read(SUBSCRIBED, stored(first), run.operation())
    paths = {change.path for change in run.host.diff(stored(now), first.inputs)}
    assert paths == {"subscriptionStatus", "activatesGuests"}


def test_a_preview_says_which_key_gives_way(estate, run):
    run.host.probe({"host": KEYED, "productKey": KEY_2022}, run.operation())
    assert any("is licensed by key …46789 (for guests), which will be replaced" in text for text in run.told)


def test_a_key_is_not_downgraded(estate, run):
    run.license(PLAIN, KEY_2025)
    with pytest.raises(
        errors.Refused, match="for Windows Server 2025, and the declared one for 2022: keys are not down"
    ):
        run.host.probe({"host": PLAIN, "productKey": KEY_2022, "productKeyVersion": "2022"}, run.operation())
    with pytest.raises(errors.LicensingFault, match=r"0xC004F033 .*no older than the one in place"):
        run.license(PLAIN, KEY_2022)
    assert left(estate, KEY_2022) == 2


def test_drift_is_found_and_repaired_without_another_activation(estate, run):
    first = run.license(SUBSCRIBED, KEY_2022)
    estate.subscription("subscribed", False)
    now = run.host.read(SUBSCRIBED, stored(first), run.operation())
    assert run.host.diff(stored(now), first.inputs) == []
    other = run.license(PLAIN, KEY_2022)
    assert left(estate, KEY_2022) == 0
    drifted = {**dump(other.outputs), "partialProductKey": "46789", "activatesGuests": False}
    changes = run.host.diff(Stored(other.inputs, drifted), other.inputs)
    assert {change.path for change in changes} == {"partialProductKey", "activatesGuests"}
    repaired = run.host.update(PLAIN, Stored(other.inputs, drifted), other.inputs, run.operation())
    assert repaired.outputs == other.outputs


def test_import_and_delete(estate, run):
    run.license(PLAIN, KEY_2022)
    result = run.host.read(PLAIN, None, run.operation())
    assert result is not None
    assert (result.outputs.platform, result.outputs.partial_product_key) == (Platform.AZURE_LOCAL, "4678B")
    assert run.host.diff(stored(result), result.inputs) == []
    run.host.delete(PLAIN, stored(result), run.operation())
    assert "keeps its licence" in run.told[-1]


@pytest.mark.parametrize(
    ("shown", "partial", "version", "enabled"),
    [
        (
            {"AutomaticVMActivation": "Enabled", "PartialProductKey": "4678B", "KeyVersion": "2022"},
            "4678B",
            "2022",
            True,
        ),
        ({"Status": "Not Activated", "ProductKey": ""}, None, None, False),
        (
            {"ActivationState": "Activated", "Key": "…4678B", "Key version": "Windows Server 2022 Datacenter"},
            "4678B",
            "2022",
            True,
        ),
        ({"State": "Active", "ActivationStatus": "Disabled"}, None, None, None),
        ({"State": "Something new", "Since": "2022", "KeyDate": "2022-01-01"}, None, None, None),
        ({"ProductKey": "*****-*****-*****-*****-4678b", "OSVersion": "2025"}, "4678B", None, None),
        ({"LastActivationError": "None", "SubscriptionStatus": "Inactive", "OsState": "Off"}, None, None, None),
        ({}, None, None, None),
    ],
)
def test_what_the_cmdlet_shows_is_read_where_it_is_unmistakable(shown, partial, version, enabled):
    activation = azure_local.AutomaticActivation(shown, None)
    assert (activation.partial_product_key, activation.key_version, activation.enabled) == (partial, version, enabled)


@pytest.fixture
def sets(monkeypatch) -> list[str]:
    """Return the keys that were applied, by their last five characters, in their order."""
    applied: list[str] = []
    original = azure_local.set_product_key

    def set_product_key(powershell, product_key, deadline):
        original(powershell, product_key, deadline)
        applied.append(keys.partial(product_key))

    monkeypatch.setattr(azure_local, "set_product_key", set_product_key)
    return applied


def update(run, result, **inputs):
    wanted = {**result.inputs, "onDelete": "retain", "licenseSource": "productKey", **inputs}
    return run.host.update(result.identifier, stored(result), wanted, run.operation())


def test_a_key_that_windows_does_not_tell_is_the_one_that_was_set_last(estate, run, sets):
    first = run.license(MUTE, KEY_2022)
    assert (first.outputs.partial_product_key, first.outputs.activates_guests) == ("4678B", True)
    assert update(run, first).outputs == first.outputs
    now = run.host.read(MUTE, stored(first), run.operation())
    assert now.outputs == first.outputs
    assert sets == ["4678B"]
    assert run.activate("m22", MUTE).outputs.activated_by_host == "MUTE"


def test_what_activates_guests_and_does_not_say_so_is_adopted_with_a_warning(estate, run):
    result = run.license(MUTE, None)
    assert result.outputs.activates_guests is None
    assert any("does not tell whether it activates guests: PSComputerName MUTE" in text for text in run.told)


@pytest.fixture
def lost(monkeypatch, sets) -> None:
    """Lose the next answer to the cmdlet, after it has done its work."""
    counting = azure_local.set_product_key

    def lose(powershell, product_key, deadline):
        monkeypatch.setattr(azure_local, "set_product_key", counting)
        counting(powershell, product_key, deadline)
        raise errors.AnswerLost("apply the Windows Server key", powershell.where, "gone", "run again")

    monkeypatch.setattr(azure_local, "set_product_key", lose)


@pytest.mark.usefixtures("lost")
def test_a_key_whose_answer_was_lost_is_not_applied_twice(estate, run, sets):
    with pytest.raises(
        errors.PartlyDone, match=r"counts as applied, so that it is not used up twice.*--replace"
    ) as caught:
        run.license(MUTE, KEY_2022)
    reached = caught.value.state
    assert reached.outputs.partial_product_key == "4678B"
    assert update(run, reached).outputs.partial_product_key == "4678B"
    assert sets == ["4678B"]


@pytest.mark.usefixtures("lost")
def test_a_lost_answer_is_no_matter_where_the_key_shows(estate, run, sets):
    assert run.license(PLAIN, KEY_2022).outputs.partial_product_key == "4678B"
    assert sets == ["4678B"]


@pytest.mark.parametrize("host", [PLAIN, MUTE])
def test_when_the_look_afterwards_fails_the_new_key_is_kept(estate, run, sets, monkeypatch, host):
    first = run.license(host, KEY_2022)
    server = run.operation().machine(host, None, run.configuration)
    look, looks = server.automatic_activation, iter((True, False))

    def once(deadline):
        if next(looks):
            return look(deadline)
        raise errors.Unreachable("read", host, "gone", "run again")

    monkeypatch.setattr(server, "automatic_activation", once)
    with pytest.raises(errors.PartlyDone) as caught:
        update(run, first, productKey=KEY_2025)
    monkeypatch.setattr(server, "automatic_activation", look)
    reached = caught.value.state
    assert reached.outputs.partial_product_key in ("4678C", "4678B" if host == PLAIN else "4678C")
    assert update(run, reached).outputs.partial_product_key == "4678C"
    assert sets == ["4678B", "4678C"]


@pytest.mark.parametrize("host", [PLAIN, MUTE])
@pytest.mark.parametrize("answer", ["garbage", "accessDenied", "drop"])
def test_a_key_counts_as_applied_when_the_end_of_the_script_is_not_seen(estate, run, sets, host, answer):
    name = "plain" if host == PLAIN else "mute"

    class Sabotage(list):
        """What is told; when the key is about to be applied, the answers to Receive are lost once it is done."""

        def append(self, text):
            super().append(text)
            if "applying key" in text:
                estate.faults(name, [{"operation": "Shell/Receive", "answer": answer, "times": 1}])

    run.told = Sabotage()
    try:
        result = run.license(host, KEY_2022)
    except errors.PartlyDone as partly:
        result = partly.state
    assert result.outputs.partial_product_key == "4678B"
    assert update(run, result).outputs.partial_product_key == "4678B"
    assert left(estate, KEY_2022) == 1


def test_two_that_license_one_machine_apply_the_key_once(estate, run, sets):
    operation = run.operation()
    state = hosts.look(operation.machine(PLAIN, None, run.configuration), operation)
    run.license(PLAIN, KEY_2022)
    other = operation.machine("plain", AddressedSettings(address=PLAIN), run.configuration)
    for machine in (state.server, other):
        Application(replace(state, server=machine), operation).apply(KEY_2022)
    assert sets == ["4678B"]


def test_a_key_is_applied_as_it_was_issued(estate, run):
    assert run.license(PLAIN, KEY_2022.lower().replace("-", "\u2013")).outputs.partial_product_key == "4678B"


def test_a_subscription_that_cannot_be_read_is_not_taken_for_none(estate, run):
    first = run.license(SUBSCRIBED, None, licenseSource="subscription")
    estate.online("subscribed", False)
    now = run.host.read(SUBSCRIBED, stored(first), run.operation())
    assert now.outputs.subscription_status == "Active"
    assert run.host.diff(stored(now), first.inputs) == []
    assert any("its subscriptions cannot be read, so the last status stays: Unable to" in text for text in run.told)
    with pytest.raises(errors.Refused, match=r"its subscriptions cannot be read: Unable to connect.*registered"):
        run.license(SUBSCRIBED, None, licenseSource="subscription")


def test_without_a_network_the_key_is_not_blamed(estate, run):
    estate.online("plain", False)
    with pytest.raises(errors.LicensingFault, match=r"way to the internet") as caught:
        run.license(PLAIN, KEY_2022)
    assert "Datacenter key" not in str(caught.value)
    assert "confirmationId" not in str(caught.value)


def test_the_version_of_a_key_that_is_coming_counts_in_the_preview(estate, run):
    run.host.probe({"host": PLAIN, "productKey": KEY_2022, "productKeyVersion": "2022"}, run.operation())
    with pytest.raises(errors.Refused, match="activates guests up to Windows Server 2022 only"):
        run.vm.probe({"host": PLAIN, "vmName": "g25"}, run.operation())


def test_a_full_key_in_the_output_is_masked():
    activation = azure_local.read(Console([{"ProductKey": KEY_2022.lower(), "Value": 5}, {"ProductKey": "x"}]), None)
    assert activation.shown == {"ProductKey": "…4678b", "Value": "5", "ProductKey2": "x"}
    assert activation.partial_product_key == "4678B"


class Console:
    """A PowerShell in which the cmdlet shows these objects."""

    where = "n1"

    def __init__(self, rows: list[dict]) -> None:
        self.rows = rows

    def run(self, script, document, secrets, deadline, tried):
        return Answers(({"result": self.rows},), "")


def test_a_cluster_gets_keys_of_one_version(estate, run):
    cluster = ClusterLicense()
    result = cluster.create({"cluster": CLUSTER, "productKey": KEY_2022}, run.operation())
    assert result.outputs.key_version == "2022"
    assert {node.partial_product_key for node in result.outputs.node_licenses} == {"4678B"}
    assert left(estate, KEY_2022) == 0
    again = cluster.update(result.identifier, stored(result), result.inputs, run.operation())
    assert again.outputs == result.outputs
    imported = cluster.read(CLUSTER, None, run.operation())
    assert imported.outputs == result.outputs
    assert cluster.diff(stored(imported), imported.inputs) == []


def test_mixed_key_versions_in_a_cluster_are_refused_before_the_first_change(estate, run):
    cluster, before = ClusterLicense(), estate.keys()
    wanted = {"cluster": CLUSTER, "productKeys": {"plain": KEY_2022}, "productKeyVersion": "2022"}
    run.license(OTHER, KEY_2019)
    before = estate.keys()
    with pytest.raises(errors.Refused, match=r"some machines use keys for an older version .*other 2019, plain 2022"):
        cluster.create(wanted, run.operation())
    assert estate.keys() == before
    with pytest.raises(errors.PartlyDone, match=r"some machines use keys for an older version"):
        cluster.create({**wanted, "productKeyVersion": None}, run.operation())
    assert estate.keys() != before
    fixed = cluster.create({"cluster": CLUSTER, "productKey": KEY_2022}, run.operation())
    assert fixed.outputs.key_version == "2022"


def test_a_machine_that_is_down(estate, run):
    estate.power("other", "off")
    with pytest.raises(errors.PartlyDone, match="bring the node up and run again"):
        ClusterLicense().create({"cluster": CLUSTER, "productKey": KEY_2022}, run.operation())
    assert left(estate, KEY_2022) == 1


def test_the_key_of_a_machine_that_is_down_stays_known(estate, run, sets):
    cluster = ClusterLicense()
    first = cluster.create({"cluster": MIXED, "productKey": KEY_2022}, run.operation())
    estate.power("mute", "off")
    now = cluster.read(first.identifier, stored(first), run.operation())
    assert [node.partial_product_key for node in now.outputs.node_licenses] == ["4678B", "4678B"]
    estate.power("mute", "running")
    again = cluster.update(first.identifier, stored(now), first.inputs, run.operation())
    assert again.outputs == first.outputs
    assert sets == ["4678B", "4678B"]


def test_a_refused_key_of_the_published_ones_is_named_without_asking(run):
    avma = keys.find(KeyKind.AVMA, "2022", "Datacenter").key
    (failure,) = run.host.check({"host": PLAIN, "productKey": avma})
    assert "licenses nothing by itself" in failure.reason
