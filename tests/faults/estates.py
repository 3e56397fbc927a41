"""The estates of the scenarios, and the configuration of the provider for them."""

from __future__ import annotations

import functools
from typing import Any

import yaml

from avma import keys
from avma.configuration import Configuration, GuestDefaults, Transport
from avma.keys import KeyKind
from avma.settings import Auth
from avma_simulator.estate import Estate
from loopback import address

ADMINISTRATOR = "Administrator"
PASSWORD = "Correct-Horse-7"
GUEST_PASSWORD = "Battery-Staple-8"
HOST_KEY = "BCDFG-HJKMN-PQRTV-WXY23-46789"
SPARE_KEY = "GFDCB-NMKJH-VTRQP-32YXW-98764"
KEY_2025 = "BCDFG-HJKMN-PQRTV-WXY23-4678C"
SECRETS = (PASSWORD, GUEST_PASSWORD, HOST_KEY, SPARE_KEY, KEY_2025)
_ACCOUNT = f"username: {ADMINISTRATOR}, password: {PASSWORD}, logons: [ntlm, kerberos]"
_GUEST = f"username: {ADMINISTRATOR}, password: {GUEST_PASSWORD}"
_KEYS = f"""
keys:
  - {{key: {HOST_KEY}, channel: MAK, version: "2022", edition: Datacenter, activations: 9}}
  - {{key: {SPARE_KEY}, channel: Retail, version: "2022", edition: Datacenter, activations: 9}}
  - {{key: {KEY_2025}, channel: MAK, version: "2025", edition: Datacenter, activations: 9}}
"""


def _host(name: str, number: int, more: str = "") -> str:
    where = f"address: {address(number)}, http: {{port: 5985}}, https: {{port: 5986}}, {_ACCOUNT}"
    return f'- {{name: {name}, version: "2022", edition: Datacenter, {where}{more}}}'


def _guest(name: str, number: int, more: str = "") -> str:
    where = f"address: {address(number)}, http: {{port: 5985}}, https: {{port: 5986}}, {_GUEST}"
    return f'{{name: {name}, version: "2022", edition: Standard, {where}{more}}}'


def _licensed(vms: str = "") -> str:
    return f", license: {{key: {SPARE_KEY}}}, vms: [{vms}]"


_HOSTS = f"""{_KEYS}
hosts:
  {_host("hv01", 11)}
  {_host("hv02", 12)}
  {_host("hv03", 13, _licensed())}
"""
_GUESTS = f"""{_KEYS}
hosts:
  {_host("hv03", 13, _licensed(_guest("web01", 21) + ", " + _guest("app01", 22)))}
  {_host("hv04", 14, _licensed())}
"""
_ONE_GUEST = f"""{_KEYS}
hosts:
  {_host("hv01", 11, f", vms: [{_guest('web01', 21, ', dataExchange: false')}]")}
"""
_CLUSTER = f"""{_KEYS}
hosts:
  {_host("n1", 31)}
  {_host("n2", 32)}
  {_host("n3", 33)}
clusters:
  - {{name: cl01, nodes: [n1, n2], address: {address(30)}, http: {{port: 5985}}, https: {{port: 5986}}}}
"""
_CLUSTER_WITH_GUESTS = f"""{_KEYS}
hosts:
  {_host("n1", 31, _licensed(_guest("web01", 21)))}
  {_host("n2", 32, _licensed(_guest("app01", 22)))}
clusters:
  - {{name: cl01, nodes: [n1, n2], address: {address(30)}, http: {{port: 5985}}, https: {{port: 5986}}}}
"""


def _local(name: str, number: int, more: str = "") -> str:
    where = f"address: {address(number)}, http: {{port: 5985}}, https: {{port: 5986}}, {_ACCOUNT}"
    return f"- {{name: {name}, version: 23H2, edition: Azure Stack HCI, {where}{more}}}"


_AZURE_LOCAL = f"""{_KEYS}
hosts:
  {_local("node1", 41, f", vms: [{_guest('web01', 21)}]")}
  {_local("node2", 42)}
  {_local("node3", 43, f", serverKey: {HOST_KEY}, vms: [{_guest('app01', 22)}]")}
  {_local("node4", 44, ", opaque: true")}
clusters:
  - {{name: cl02, nodes: [node1, node2], address: {address(40)}, http: {{port: 5985}}, https: {{port: 5986}}}}
"""
NODES = {"cl01": ("n1", "n2"), "cl02": ("node1", "node2")}
"""The nodes of each cluster."""
_TEXTS = {
    "hosts": _HOSTS,
    "guests": _GUESTS,
    "one guest": _ONE_GUEST,
    "cluster": _CLUSTER,
    "cluster with guests": _CLUSTER_WITH_GUESTS,
    "azure local": _AZURE_LOCAL,
}


@functools.cache
def declared(name: str) -> Estate:
    """Return an estate by its name."""
    return Estate.model_validate(yaml.safe_load(_TEXTS[name]))


@functools.cache
def names_of(name: str) -> frozenset[str]:
    """Return the names and addresses of the machines and clusters of an estate."""
    estate = declared(name)
    guests = (guest for host in estate.hosts for guest in host.vms)
    owners: list[Any] = [*estate.hosts, *guests, *estate.clusters]
    return frozenset(each for owner in owners for each in (owner.name, *owner.addresses))


def hosts_of(name: str) -> frozenset[str]:
    """Return the names of the hosts of an estate."""
    return frozenset(host.name for host in declared(name).hosts)


def avma_key() -> str:
    """Return the AVMA key of the guests."""
    found = keys.find(KeyKind.AVMA, "2022", "Standard")
    assert found is not None
    return found.key


def configuration(transport: Transport, https: bool = False, **settings: Any) -> Configuration:
    """Return the configuration of the provider. Requests over https differ in their errors."""
    fixed: dict[str, Any] = {"https": https, "username": ADMINISTRATOR, "auth": Auth.NTLM, **settings}
    guest = GuestDefaults(transport=transport, ready_timeout="30s", password=GUEST_PASSWORD, **fixed)
    return Configuration(password=PASSWORD, guest=guest, **fixed)
