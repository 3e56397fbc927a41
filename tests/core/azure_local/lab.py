"""Simulated machines of Azure Local, and helpers for their tests."""

from __future__ import annotations

from avma import keys
from avma.resources.resource import Result
from avma_simulator import EstateServer
from core.runner import ADMINISTRATOR, PASSWORD, Runner, stored
from loopback import address

KEY_2019 = "BCDFG-HJKMN-PQRTV-WXY23-46789"
KEY_2022 = "BCDFG-HJKMN-PQRTV-WXY23-4678B"
KEY_2025 = "BCDFG-HJKMN-PQRTV-WXY23-4678C"
STANDARD_2022 = "BCDFG-HJKMN-PQRTV-WXY23-4678D"
KEY_2016 = "BCDFG-HJKMN-PQRTV-WXY23-4678F"
SECRETS = (KEY_2019, KEY_2022, KEY_2025, STANDARD_2022, KEY_2016, PASSWORD)
ACCOUNT = f"username: {ADMINISTRATOR}, password: {PASSWORD}"
PLAIN, SUBSCRIBED, OEM, OLD, LAGGING, KEYED, OTHER, MUTE = (address(n) for n in range(11, 19))


def local(name: str, address: str, more: str = "") -> str:
    fixed = f"version: 23H2, edition: Azure Stack HCI, address: {address}, http: {{port: 5985}}, {ACCOUNT}"
    return f"{{name: {name}, {fixed}{more}}}"


def guest(name: str, version: str, edition: str, number: int) -> str:
    where = f"address: {address(number)}, http: {{port: 5985}}"
    return f'{{name: {name}, version: "{version}", edition: {edition}, {where}, {ACCOUNT}}}'


GUESTS = ", ".join(
    [
        guest("g22", "2022", "Standard", 31),
        guest("g25", "2025", "Datacenter", 32),
        guest("turbine", "2022", "Datacenter Azure Edition", 33),
    ]
)
S25 = guest("s25", "2025", "Datacenter", 34)
L22 = guest("l22", "2022", "Datacenter", 38)
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
  - {local("lagging", LAGGING, f", subscription: true, synced: false, vms: [{L22}]")}
  - {local("keyed", KEYED, f", serverKey: {KEY_2019}")}
  - {local("other", OTHER)}
  - {local("mute", MUTE, f", opaque: true, vms: [{M22}]")}
clusters:
  - {{name: cl01, nodes: [plain, other], address: {address(21)}, http: {{port: 5985}}}}
  - {{name: cl02, nodes: [keyed, mute], address: {address(22)}, http: {{port: 5985}}}}
"""
CLUSTER, MIXED = address(21), address(22)


def left(estate: EstateServer, key: str) -> int:
    return estate.keys()[keys.partial(key)]


def update(run: Runner, result: Result, **inputs: object) -> Result:
    wanted = {**result.inputs, "on_delete": "retain", "license_source": "productKey", **inputs}
    return run.host.update(result.identifier, stored(result), wanted, run.operation())
