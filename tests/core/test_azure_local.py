"""HostLicense and VmActivation on machines of Azure Stack HCI / Azure Local, against a simulated estate."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from avma import errors, keys
from avma.keys import KeyKind
from avma.properties import dump
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
PLAIN, SUBSCRIBED, OEM, OLD, LAGGING, KEYED, OTHER = (f"127.43.1.{n}" for n in range(11, 18))


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
clusters:
  - {{name: cl01, nodes: [plain, other], address: 127.43.1.21, http: {{port: 5985}}}}
  - {{name: cl02, nodes: [keyed, subscribed], address: 127.43.1.22, http: {{port: 5985}}}}
"""
CLUSTER, MIXED = "127.43.1.21", "127.43.1.22"
SET = "Set-VMAutomaticActivation"


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
        (PLAIN, {"productKey": KEY_2022, "activate": False}, "no activate: false; leave `activate` out"),
        (PLAIN, {"productKey": KEY_2022, "confirmationId": "1" * 48}, "no confirmationId"),
        (PLAIN, {"productKey": KEY_2022, "onDelete": "uninstallKey"}, "no onDelete: uninstallKey"),
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
            {"ActivationState": "Activated", "Key": "…4678B", "Product version": "Windows Server 2022 Datacenter"},
            "4678B",
            "2022",
            True,
        ),
        ({"State": "Active", "ActivationStatus": "Disabled"}, None, None, None),
        ({"State": "Something new", "Since": "2022", "KeyDate": "2022-01-01"}, None, None, None),
        ({}, None, None, None),
    ],
)
def test_what_the_cmdlet_shows_is_read_where_it_is_unmistakable(shown, partial, version, enabled):
    activation = azure_local.AutomaticActivation(shown, "1.1", None)
    assert (activation.partial_product_key, activation.key_version, activation.enabled) == (partial, version, enabled)


class Mute:
    """A PowerShell whose cmdlet tells neither key nor state."""

    where = "mute"

    def __init__(self, **answer: object) -> None:
        self.answer = answer
        self.documents: list[dict] = []

    def run(self, script, document, secrets, deadline, tried):
        self.documents.append(dict(document))
        return Answers(({"result": [{"Machine": "n1"}], "moduleVersion": "1.1", **self.answer},), "")


def test_a_key_that_windows_does_not_tell_is_the_one_that_was_set_last(estate, run, monkeypatch):
    mute = Mute(subscriptions=[{"SubscriptionName": "Windows Server Subscription", "status": "Active"}])
    server = run.operation().machine(PLAIN, None, run.configuration)
    monkeypatch.setattr(server, "powershell", mute)
    monkeypatch.setattr(server, "automatic_activation", lambda deadline: azure_local.read(mute, deadline))
    first = run.license(PLAIN, KEY_2022)
    assert [document["action"] for document in mute.documents] == ["get", "set", "get"]
    assert (first.outputs.partial_product_key, first.outputs.subscription_status) == ("4678B", "Active")
    again = run.host.update(PLAIN, stored(first), {**first.inputs, "licenseSource": "productKey"}, run.operation())
    assert again.outputs == first.outputs
    assert len(mute.documents) == 4


def test_a_full_key_in_the_output_is_masked():
    mute = Mute(result=[{"ProductKey": KEY_2022, "Value": 5}, {"ProductKey": "x"}])
    activation = azure_local.read(mute, Stub())
    assert activation.shown == {"ProductKey": "…4678B", "Value": "5", "ProductKey2": "x"}
    assert activation.partial_product_key == "4678B"


class Stub:
    """A deadline that never comes."""

    def wait(self, *_: object) -> None:
        return None


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
    fixed = cluster.create({"cluster": CLUSTER, "productKey": KEY_2022}, run.operation())
    assert fixed.outputs.key_version == "2022"


def test_a_machine_that_is_down(estate, run):
    estate.power("other", "off")
    with pytest.raises(errors.PartlyDone, match="bring the node up and run again"):
        ClusterLicense().create({"cluster": CLUSTER, "productKey": KEY_2022}, run.operation())
    assert left(estate, KEY_2022) == 1


def test_a_refused_key_of_the_published_ones_is_named_without_asking(run):
    avma = keys.find(KeyKind.AVMA, "2022", "Datacenter").key
    (failure,) = run.host.check({"host": PLAIN, "productKey": avma})
    assert "licenses nothing by itself" in failure.reason
