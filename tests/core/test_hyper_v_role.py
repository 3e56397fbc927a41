"""Machines without the Hyper-V role: they can hold a license, but activate no guests.

A VM without VMs serves as such a machine. It runs Windows Server Datacenter without Hyper-V.
"""

import pytest

from avma.windows.licensing import LicenseStatus
from avma_simulator import load_estate, running
from core.runner import ADMINISTRATOR, HOST_KEY, PASSWORD, stored
from loopback import address

HOST, PLAIN = address(1), address(2)
ACCOUNT = f"version: '2022', edition: Datacenter, http: {{port: 5985}}, username: {ADMINISTRATOR}, password: {PASSWORD}"
ESTATE = f"""
keys: [{{key: {HOST_KEY}, channel: MAK, version: "2022", edition: Datacenter, activations: 4}}]
hosts:
  - name: hv01
    address: {HOST}
    {ACCOUNT.replace(", ", chr(10) + "    ")}
    license: {{key: {HOST_KEY}}}
    vms: [{{name: plain, address: {PLAIN}, {ACCOUNT}}}]
"""


@pytest.fixture
def estate(tmp_path):
    file = tmp_path / "estate.yaml"
    file.write_text(ESTATE)
    with running(load_estate(file)) as server:
        yield server


def test_a_machine_without_the_hyper_v_role_activates_no_guests(estate, run):
    wanted = {"host": PLAIN, "product_key": HOST_KEY}
    predicted = run.host.probe(wanted, run.operation())
    assert (predicted["hyper_v"], predicted["activates_guests"]) == (False, False)
    result = run.license(PLAIN, HOST_KEY)
    outputs = result.outputs
    assert (outputs.license_status, outputs.hyper_v, outputs.activates_guests) == (LicenseStatus.LICENSED, False, False)
    assert len([text for text in run.told if "Install-WindowsFeature Hyper-V" in text]) == 2


def test_what_no_key_mends_is_no_drift(estate, run):
    result = run.license(PLAIN, HOST_KEY)
    assert run.host.diff(stored(result), result.inputs) == []


def test_a_host_with_the_role(estate, run):
    outputs = run.host.read(HOST, None, run.operation()).outputs
    assert (outputs.hyper_v, outputs.activates_guests) == (True, True)


def test_an_account_that_may_not_see_hyper_v_does_not_hide_the_role(estate, run):
    estate.rights("hv01", "wmi")
    outputs = run.host.read(HOST, None, run.operation()).outputs
    assert (outputs.hyper_v, outputs.activates_guests) == (True, True)
