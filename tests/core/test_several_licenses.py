"""Hosts with several keys, with KMS, and with Azure Arc pay-as-you-go."""

from __future__ import annotations

from contextlib import closing

import pytest

from avma import errors, keys
from avma.resources.resource import Stored
from avma.windows.licensing import LicenseChannel, LicenseStatus
from avma.windows.machines import Machines
from avma_simulator import load_estate, running
from core.runner import (
    ADMINISTRATOR,
    ESTATE,
    HOST_KEY,
    HV01,
    KEYLESS,
    LICENSED,
    OTHER_KEY,
    PASSWORD,
    STANDARD,
    Runner,
    methods,
    stored,
)
from loopback import address


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


def test_an_existing_license_with_a_second_key_is_adopted(of_2025, run):
    first = run.license(LICENSED, HOST_KEY, on_delete="uninstallKey")
    assert first.outputs.partial_product_key == "46789"
    now = run.host.read(LICENSED, stored(first), run.operation())
    assert run.host.diff(stored(now), first.inputs) == []
    assert methods(of_2025, "twofold") == {}
    run.host.delete(LICENSED, stored(first), run.operation())
    assert methods(of_2025, "twofold") == {"UninstallProductKey": 1}


def test_an_adopted_host_that_comes_to_pay_as_it_goes_is_drift(of_2025, run):
    first = run.license(STANDARD, None)
    drifted = {**stored(first).outputs, "activates_guests": False}
    assert {change.path for change in run.host.diff(Stored(first.inputs, drifted), first.inputs)} == {
        "activates_guests"
    }
