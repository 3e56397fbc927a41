"""HostLicense and VmActivation on machines of Azure Local."""

from __future__ import annotations

import pytest

from avma import errors
from avma.keys import KeyKind
from avma.properties import dump
from avma.resources.claims import Claims
from avma.resources.host_license.host_properties import HostLicenseOutputs
from avma.resources.host_state import Platform
from avma.resources.resource import Stored
from avma.windows.licensing import LicenseChannel, LicenseStatus
from core.azure_local.lab import (
    KEY_2016,
    KEY_2019,
    KEY_2022,
    KEY_2025,
    KEYED,
    LAGGING,
    OEM,
    OLD,
    PLAIN,
    STANDARD_2022,
    SUBSCRIBED,
    left,
)
from core.runner import published_key, stored


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
        machine_id=result.outputs.machine_id,
    )
    assert result.outputs.machine_id.startswith("plain.workgroup/")
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
        errors.Refused, match=r"the key of its host activates guests only up to Windows Server 2022.*2025"
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


def test_a_subscription_that_has_not_arrived_is_not_bought_again(estate, run):
    with pytest.raises(errors.Refused, match=r"is not in effect .*Sync-AzureStackHCI") as caught:
        run.activate("l22", LAGGING)
    assert "EnableWSSubscription" not in str(caught.value)


def test_a_host_that_the_run_licenses_counts_with_its_new_key(estate, run):
    run.license(KEYED, KEY_2019)
    run.claims = Claims()
    run.host.probe({"host": PLAIN, "product_key": KEY_2025}, run.operation())
    foreseen = run.vm.probe({"host": PLAIN, "vm_name": "g25"}, run.operation())
    assert foreseen["partial_product_key"] == "VCH67"


@pytest.mark.parametrize(("host", "status"), [(SUBSCRIBED, "Active"), (OEM, "Inactive")])
def test_what_activates_guests_already_is_adopted(estate, run, host, status):
    result = run.license(host, None)
    assert (result.outputs.activates_guests, result.outputs.subscription_status) == (True, status)


def test_a_subscription_is_looked_for(estate, run):
    assert run.license(SUBSCRIBED, None, license_source="subscription").outputs.activates_guests
    assert run.activate("s25", SUBSCRIBED).outputs.guest_version == "2025"


@pytest.mark.parametrize(
    ("host", "inputs", "text"),
    [
        # The message of Windows Admin Center: "The key you entered didn't work"
        (
            PLAIN,
            {"product_key": STANDARD_2022},
            r"0xC004F069 .*The activation of the machine is unchanged\. Set a Datacenter key of Windows",
        ),
        (PLAIN, {"product_key": KEY_2016}, r"0xC004F069 .*Datacenter key of Windows Server 2019 or later"),
        (
            KEYED,
            {"product_key": KEY_2016, "product_key_version": "2016"},
            "Azure Local requires a key of 2019 or later",
        ),
        # "Some servers use keys for an older version of Windows Server" is the cluster's, below. "Server is down" too.
        # "To use this feature, install the latest update"
        (OLD, {"product_key": KEY_2022}, "module ServerAVMAManager is missing.*Install the latest update"),
        # "... does not have the latest changes to this setting. We'll apply the changes as soon as the servers sync"
        (LAGGING, {}, "is not in effect on the machine yet .*up to 12 hours for the next sync with Azure"),
        (LAGGING, {"license_source": "subscription"}, "is not in effect on the machine yet .*Sync-AzureStackHCI"),
        (
            PLAIN,
            {"license_source": "subscription"},
            "no active Windows Server subscription.*reports Inactive.*billed.*already on, wait",
        ),
        (PLAIN, {}, "no key and no subscription for guests"),
        (
            PLAIN,
            {"product_key": KEY_2022, "activate": False},
            "does not support `activate: false`: .*Remove `activate`",
        ),
        (PLAIN, {"product_key": KEY_2022, "confirmation_id": "1" * 48}, "does not support `confirmation_id`"),
        (
            PLAIN,
            {"product_key": KEY_2022, "activate": False, "confirmation_id": "1" * 48},
            "Remove `activate` and `confirmation_id`",
        ),
        (PLAIN, {"product_key": KEY_2022, "on_delete": "uninstallKey"}, "does not support `on_delete: uninstallKey`"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_spent(estate, run, host, inputs, text):
    before = estate.keys()
    with pytest.raises(errors.AvmaError, match=text) as caught:
        run.license(host, None, **inputs)
    assert not isinstance(caught.value, errors.PartlyDone)
    assert estate.keys() == before


def test_a_subscription_that_ended_is_drift(estate, run):
    first = run.license(SUBSCRIBED, None, license_source="subscription")
    estate.subscription("subscribed", False)
    now = run.host.read(SUBSCRIBED, stored(first), run.operation())
    paths = {change.path for change in run.host.diff(stored(now), first.inputs)}
    assert paths == {"subscription_status", "activates_guests"}


def test_a_preview_names_the_key_that_is_replaced(estate, run):
    run.host.probe({"host": KEYED, "product_key": KEY_2022}, run.operation())
    assert any("will replace key …46789 (for guests), which licenses the host now" in text for text in run.told)


def test_a_key_is_not_downgraded(estate, run):
    run.license(PLAIN, KEY_2025)
    with pytest.raises(
        errors.Refused, match="for Windows Server 2025, and it accepts no older key, but `product_key_version` is 2022"
    ):
        run.host.probe({"host": PLAIN, "product_key": KEY_2022, "product_key_version": "2022"}, run.operation())
    with pytest.raises(errors.LicensingFault, match=r"0xC004F033 .*not be for an older release than the current one"):
        run.license(PLAIN, KEY_2022)
    assert left(estate, KEY_2022) == 2


def test_drift_is_found_and_repaired_without_another_activation(estate, run):
    first = run.license(SUBSCRIBED, KEY_2022)
    estate.subscription("subscribed", False)
    now = run.host.read(SUBSCRIBED, stored(first), run.operation())
    assert run.host.diff(stored(now), first.inputs) == []
    other = run.license(PLAIN, KEY_2022)
    assert left(estate, KEY_2022) == 0
    drifted = {**dump(other.outputs), "partial_product_key": "46789", "activates_guests": False}
    changes = run.host.diff(Stored(other.inputs, drifted), other.inputs)
    assert {change.path for change in changes} == {"partial_product_key", "activates_guests"}
    repaired = run.host.update(PLAIN, Stored(other.inputs, drifted), other.inputs, run.operation())
    assert repaired.outputs == other.outputs


def test_import_and_delete(estate, run):
    run.license(PLAIN, KEY_2022)
    result = run.host.read(PLAIN, None, run.operation())
    assert result is not None
    assert (result.outputs.platform, result.outputs.partial_product_key) == (Platform.AZURE_LOCAL, "4678B")
    assert run.host.diff(stored(result), result.inputs) == []
    run.host.delete(PLAIN, stored(result), run.operation())
    assert "keeps its license" in run.told[-1]


def test_a_key_is_applied_as_it_was_issued(estate, run):
    assert run.license(PLAIN, KEY_2022.lower().replace("-", "\u2013")).outputs.partial_product_key == "4678B"


def test_a_subscription_that_cannot_be_read_is_not_taken_for_none(estate, run):
    first = run.license(SUBSCRIBED, None, license_source="subscription")
    estate.online("subscribed", False)
    now = run.host.read(SUBSCRIBED, stored(first), run.operation())
    assert now.outputs.subscription_status == "Active"
    assert run.host.diff(stored(now), first.inputs) == []
    assert any(
        "its subscriptions could not be read, so the state keeps the last status: Unable to" in text
        for text in run.told
    )
    with pytest.raises(errors.Refused, match=r"its subscriptions could not be read: Unable to connect.*registered"):
        run.license(SUBSCRIBED, None, license_source="subscription")


def test_without_a_network_the_key_is_not_blamed(estate, run):
    estate.online("plain", False)
    with pytest.raises(errors.LicensingFault, match=r"connection to the internet") as caught:
        run.license(PLAIN, KEY_2022)
    assert "Datacenter key" not in str(caught.value)
    assert "confirmation_id" not in str(caught.value)


def test_the_version_of_a_key_that_is_coming_counts_in_the_preview(estate, run):
    run.claims = Claims()
    run.host.probe({"host": PLAIN, "product_key": KEY_2022, "product_key_version": "2022"}, run.operation())
    with pytest.raises(errors.Refused, match="activates guests only up to Windows Server 2022"):
        run.vm.probe({"host": PLAIN, "vm_name": "g25"}, run.operation())


def test_a_refused_key_of_the_published_ones_is_named_without_asking(run):
    avma = published_key(KeyKind.AVMA, "2022", "Datacenter")
    (failure,) = run.host.check({"host": PLAIN, "product_key": avma})
    assert "does not license a host" in failure.reason
