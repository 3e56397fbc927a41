"""Guests without Windows, VMs with a replica on another host, and nested hosts."""

from __future__ import annotations

import pytest

from avma import errors
from avma.windows.licensing import LicenseStatus
from avma_simulator import load_estate, running
from core.runner import ADMINISTRATOR, OTHER_KEY, PASSWORD, stored
from loopback import address

FIRST, SECOND, WEB, NESTED, INNER = (address(number) for number in range(1, 6))
ACCOUNT = f"http: {{port: 5985}}, username: {ADMINISTRATOR}, password: {PASSWORD}"
DATACENTER = f'version: "2022", edition: Datacenter, license: {{key: {OTHER_KEY}}}, {ACCOUNT}'
ESTATE = f"""
keys:
  - {{key: {OTHER_KEY}, channel: Retail, version: "2022", edition: Datacenter, activations: 9}}
hosts:
  - {{name: hv01, address: {FIRST}, {DATACENTER}, vms: [
      {{name: penguin, linux: {{name: Rocky Linux}}}},
      {{name: web01, version: "2022", edition: Standard, address: {WEB}, {ACCOUNT}, replica: hv02}},
      {{name: nested, address: {NESTED}, {DATACENTER}, vms: [
        {{name: inner, version: "2022", edition: Standard, address: {INNER}, {ACCOUNT}}}]}}]}}
  - {{name: hv02, address: {SECOND}, {DATACENTER}}}
"""


@pytest.fixture
def estate(tmp_path):
    file = tmp_path / "estate.yaml"
    file.write_text(ESTATE)
    with running(load_estate(file)) as server:
        yield server


@pytest.mark.parametrize("transport", ["powershellDirect", "winrm"])
def test_a_linux_guest_is_refused_at_once_and_named(estate, run, transport):
    guest = {"transport": transport, "username": "root", "password": PASSWORD, "ready_timeout": "10m"}
    with pytest.raises(errors.Refused, match="penguin runs Rocky Linux, and AVMA activates only Windows Server"):
        run.activate("penguin", FIRST, guest=guest)


def test_a_preview_without_an_account_refuses_a_linux_guest(estate, run):
    wanted = {"host": FIRST, "vm_name": "penguin", "guest": {"password": None}}
    with pytest.raises(errors.Refused, match="Rocky Linux"):
        run.vm.probe(wanted, run.operation())


def test_a_vm_with_a_replica_is_found_where_it_runs(estate, run):
    result = run.activate("web01", None, hosts=[FIRST, SECOND])
    assert (result.outputs.license_status, result.outputs.activated_by_host) == (LicenseStatus.LICENSED, "HV01")
    estate.fail_over("web01")
    now = run.vm.read(result.identifier, stored(result), run.operation())
    assert now.outputs.vm_id == result.outputs.vm_id
    assert (now.outputs.license_status, now.outputs.activated_by_host) == (LicenseStatus.LICENSED, "HV02")


def test_the_replica_alone_does_not_run(estate, run):
    with pytest.raises(errors.NotReady):
        run.activate("web01", SECOND)


def test_a_nested_host_activates_no_guests(estate, run):
    with pytest.raises(errors.PartlyDone, match="0xC004FD02"):
        run.activate("inner", NESTED)
