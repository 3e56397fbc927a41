"""Machines with several licensed rows: add-ons with their own keys, and semi-annual releases."""

from __future__ import annotations

import pytest

from avma import keys
from avma.windows.licensing import LicenseChannel, LicenseStatus
from avma_simulator import load_estate, running
from core.runner import ADMINISTRATOR, OTHER_KEY, PASSWORD, published_key
from loopback import address

HOST = address(1)
SEMI_ANNUAL = address(2)
ACCOUNT = f"http: {{port: 5985}}, username: {ADMINISTRATOR}, password: {PASSWORD}"
ESTATE = f"""
keys:
  - {{key: {OTHER_KEY}, channel: Retail, version: "2022", edition: Datacenter}}
hosts:
  - {{name: hv01, version: "2022", edition: Datacenter, serverCore: on, address: {HOST}, {ACCOUNT},
      extendedSecurityUpdates: [1, 2], vms: [
      {{name: sac, version: 1909, edition: Standard, address: {SEMI_ANNUAL}, {ACCOUNT}}}]}}
"""


@pytest.fixture
def estate(tmp_path):
    file = tmp_path / "estate.yaml"
    file.write_text(ESTATE)
    with running(load_estate(file)) as server:
        yield server


def test_an_add_on_is_not_taken_for_windows(estate, run):
    result = run.license(HOST, OTHER_KEY)
    assert result.outputs.license_status is LicenseStatus.LICENSED
    assert result.outputs.partial_product_key == keys.partial(OTHER_KEY)
    assert result.outputs.license_channel is LicenseChannel.RETAIL
    assert result.outputs.edition == "Datacenter"


def test_a_guest_of_a_semi_annual_release_takes_the_key_of_the_release_before_it(estate, run):
    run.license(HOST, OTHER_KEY)
    result = run.activate("sac", HOST)
    found = published_key(keys.KeyKind.AVMA, "2019", "Standard")
    assert result.outputs.license_status is LicenseStatus.LICENSED
    assert result.outputs.partial_product_key == keys.partial(found)
