"""Domain accounts, from the provider settings to the accepting machine."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from avma import errors
from avma.configuration import Configuration, GuestDefaults, Transport
from avma.settings import Auth
from avma.windows.licensing import LicenseStatus
from avma.windows.machines import Machines
from avma_simulator import load_estate, running
from core.runner import OTHER_KEY, PASSWORD, Runner
from loopback import address

HOST = address(1)
GUEST = address(2)
ESTATE = rf"""
keys:
  - {{key: {OTHER_KEY}, channel: Retail, version: "2022", edition: Datacenter}}
domains:
  - {{name: LAB, dnsName: lab.example, accounts: [{{username: svc-avma, password: {PASSWORD}}}]}}
hosts:
  - name: hv01
    version: "2022"
    edition: Datacenter
    license: {{key: {OTHER_KEY}}}
    address: {HOST}
    http: {{port: 5985}}
    logons: [ntlm, credssp]
    username: LAB\svc-avma
    password: {PASSWORD}
    vms:
      - {{name: web01, version: "2022", edition: Standard, address: {GUEST}, http: {{port: 5985}},
          username: LAB\svc-avma, password: {PASSWORD}}}
      - {{name: hidden, version: "2022", edition: Standard, network: false, domain: LAB,
          username: Administrator, password: 'Local:Horse:9'}}
"""


@pytest.fixture
def estate(tmp_path):
    file = tmp_path / "estate.yaml"
    file.write_text(ESTATE)
    with running(load_estate(file)) as server:
        yield server


def runner(username: str, password: str = PASSWORD, guest: Transport = Transport.WINRM, **settings: Any) -> Runner:
    account: dict[str, Any] = {"username": username, "password": password}
    defaults = GuestDefaults(transport=guest, https=False, ready_timeout="1s", **account)
    host = {"username": r"LAB\svc-avma", "password": PASSWORD} if guest is Transport.POWERSHELL_DIRECT else account
    return Runner(replace(Configuration(https=False, guest=defaults, **host), **settings), Machines(4))


@pytest.mark.parametrize("username", [r"LAB\svc-avma", r"lab.example\svc-avma", "svc-avma@lab.example", "svc-avma"])
@pytest.mark.parametrize("auth", [Auth.NTLM, Auth.CREDSSP])
def test_an_account_of_the_domain_licenses_the_host_and_its_guests(estate, username, auth):
    run = runner(username, auth=auth)
    assert run.license(HOST, None).outputs.license_status is LicenseStatus.LICENSED
    if auth is Auth.NTLM:
        assert run.activate("web01", HOST).outputs.license_status is LicenseStatus.LICENSED
    run.machines.close()


@pytest.mark.parametrize(
    ("username", "password"),
    [(r"LAB\svc-avma", PASSWORD), ("svc-avma@lab.example", PASSWORD), (r".\Administrator", "Local:Horse:9")],
)
@pytest.mark.parametrize("vm", ["hidden"])
def test_powershell_direct_accepts_accounts_of_the_domain_and_local_ones(estate, username, password, vm):
    run = runner(username, password, Transport.POWERSHELL_DIRECT)
    assert run.activate(vm, HOST).outputs.license_status is LicenseStatus.LICENSED
    run.machines.close()


@pytest.mark.parametrize("username", [r"OTHER\svc-avma", r".\svc-avma", "svc-avma@other.example"])
def test_an_account_of_nowhere_is_refused(estate, username):
    run = runner(username)
    with pytest.raises(errors.LogonRefused):
        run.license(HOST, None)
    run.machines.close()
