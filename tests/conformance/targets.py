"""The machines of the suite: simulated ones, or the real ones of a host list.

A host list is the file of `avma report`. A host in it can also have the key `vm`: the name or id of the VM for facts
about guests. Passwords come from the environment variables of the provider. `AVMA_USER`
and `AVMA_USER_PASSWORD` name an account without administrator rights.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import yaml

from avma.configuration import Configuration, GuestDefaults
from avma.connection import Connection, resolve
from avma.environment import complete, from_environment
from avma.properties import build
from avma.wsman.script import Credential
from avma_cli.report.source import parse
from avma_conformance.fact import On
from avma_conformance.subject import Target
from loopback import address, relocated

ACCOUNT, PASSWORD, GUEST_PASSWORD = "Administrator", "Correct-Horse-7", "Battery-Staple-8"
KEY = "BCDFG-HJKMN-PQRTV-WXY23-46789"
ANNUAL_KEY = "BCDFG-HJKMN-PQRTV-WXY23-4678B"
_KMS_2012_R2, _KMS_2016 = "W3GGN-FT8W3-Y4M27-J84CP-Q3VJ9", "CB7KF-BWN84-R7R2Y-793K2-8XDDG"
_AVMA_2022 = "YDFWN-MJ9JR-3DYRK-FXXRW-78VHK"
_HOST = f"username: {ACCOUNT}, password: {PASSWORD}, http: {{port: 5985}}"
_GUEST = f"username: {ACCOUNT}, password: {GUEST_PASSWORD}"
MACHINES = {
    "2012 R2": address(12),
    "2016": address(16),
    "2019": address(19),
    "2022": address(22),
    "2025": address(25),
    "Azure Local": address(23),
    "evaluation": address(26),
    "annual": address(27),
}
"""The simulated machines, by their names in the tests."""
_EVERYWHERE = {On.WINDOWS, On.HYPER_V, On.VM, On.USER}
ROLES = {
    "2012 R2": _EVERYWHERE,
    "2016": _EVERYWHERE | {On.GUEST},
    "2019": _EVERYWHERE | {On.GUEST},
    "2022": _EVERYWHERE | {On.GUEST, On.CLUSTER},
    "2025": _EVERYWHERE | {On.GUEST, On.CLUSTER},
    "Azure Local": _EVERYWHERE | {On.GUEST, On.AZURE_LOCAL},
    "evaluation": {On.WINDOWS},
    "annual": {On.WINDOWS},
}
"""The facts that each simulated machine can show. A 2012 R2 host has no PowerShell Direct."""
_GUESTS = {
    "2016": "app16",
    "2019": "app19",
    "2022": "app22",
    "2025": "app25",
    "Azure Local": "app23",
}
"""The VM for facts about guests, by machine."""
_USERS_MACHINE, _NOBODYS_MACHINE = address(30), address(31)
"""A machine has one account, so the accounts without rights are on other machines."""
_NOBODY_ON = "2012 R2"
"""The machine whose other account has no groups."""
ESTATE = f"""
keys:
  - {{key: {KEY}, channel: MAK, version: "2022", edition: Datacenter, activations: 9}}
  - {{key: {ANNUAL_KEY}, channel: MAK, version: 23H2, edition: Datacenter}}
hosts:
  - {{name: hv2012r2, version: "2012 R2", edition: Datacenter, address: {address(12)}, {_HOST},
      license: {{key: {_KMS_2012_R2}, status: Notification}}, extendedSecurityUpdates: [1], vms: [
      {{name: app12, version: "2012 R2", edition: Standard, {_GUEST}}}]}}
  - {{name: hv2016, version: "2016", edition: Datacenter, license: {{key: {_KMS_2016}}}, address: {address(16)},
      {_HOST}, vms: [
      {{name: app16, version: "2016", edition: Standard, {_GUEST}}}]}}
  - {{name: hv2019, version: "2019", edition: Datacenter, address: {address(19)}, language: ja-JP, utcOffset: 540,
      {_HOST}, vms: [
      {{name: app19, version: "2019", edition: Standard, {_GUEST}}}, {{name: off19, version: "2019", edition: Standard,
      state: off}}, {{name: silent19, version: "2019", edition: Standard, dataExchange: false}}]}}
  - {{name: hv2022, version: "2022", edition: Datacenter, license: {{key: {KEY}}}, address: {address(22)}, {_HOST},
      vms: [{{name: app22, version: "2022", edition: Standard, license: {{key: {_AVMA_2022}}}, {_GUEST}}}]}}
  - {{name: hv2025, version: "2025", edition: Datacenter, address: {address(25)}, {_HOST}, vms: [
      {{name: app25, version: "2025", edition: Standard, {_GUEST}}}]}}
  - {{name: local, version: 23H2, edition: Azure Stack HCI, address: {address(23)}, {_HOST}, vms: [
      {{name: app23, version: "2022", edition: Standard, {_GUEST}}}]}}
  - {{name: trial, version: "2025", edition: Datacenter, evaluation: true, address: {address(26)}, {_HOST}}}
  - {{name: annual, version: 23H2, edition: Datacenter, license: {{key: {ANNUAL_KEY}}}, address: {address(27)},
      {_HOST}}}
  - {{name: nobodys, version: "2022", edition: Datacenter, groups: [], address: {_NOBODYS_MACHINE}, {_HOST}}}
  - {{name: users, version: "2022", edition: Datacenter, groups: [Remote Management Users],
      namespaces: {{root/cimv2: read}}, address: {_USERS_MACHINE}, {_HOST}}}
clusters:
  - {{name: cl02, nodes: [users], address: {address(41)}, http: {{port: 5985}}}}
  - {{name: cl01, nodes: [hv2025, hv2022], address: {address(40)}, http: {{port: 5985}}}}
"""


def simulated(name: str, by: int = 0) -> Target:
    """Return a simulated machine. `by` is added to the last number of each address."""
    user = _connection(relocated(_NOBODYS_MACHINE if name == _NOBODY_ON else _USERS_MACHINE, by))
    return Target(
        _connection(relocated(MACHINES[name], by)), user, Credential(ACCOUNT, GUEST_PASSWORD), _GUESTS.get(name)
    )


def _connection(host: str) -> Connection:
    values = {"username": ACCOUNT, "password": PASSWORD, "https": False}
    return resolve(host, build(Configuration, values))


def listed(file: Path, environment: Mapping[str, str] = os.environ) -> dict[str, Target]:
    """Return the machines of a host list, by name."""
    text, vms = _without_vms(file.read_text(encoding="utf-8"))
    source = parse(text, str(file))
    settings = build(Configuration, complete(source.settings, from_environment(Configuration)))
    found = {}
    for request in source.hosts:
        connection = resolve(request.host, request.connection, settings)
        guest = request.guest or settings.guest or GuestDefaults()
        account = Credential(guest.username, guest.password) if guest.username and guest.password else None
        user, secret = environment.get("AVMA_USER"), environment.get("AVMA_USER_PASSWORD")
        other = replace(connection, username=user, password=secret) if user and secret else None
        found[request.host] = Target(connection, other, account, vms.get(request.host))
    return found


def _without_vms(text: str) -> tuple[str, dict[str, str]]:
    """Split a host list into one that `avma report` reads, and the VM of each host."""
    document = yaml.safe_load(text)
    hosts = [host for host in document.get("hosts") or () if isinstance(host, dict)]
    vms = {host["host"]: str(host.pop("vm")) for host in hosts if "vm" in host}
    return yaml.safe_dump(document), vms
