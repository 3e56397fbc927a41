"""A small estate file as data that each test can change."""

from __future__ import annotations

from typing import Any

from avma import keys
from avma.keys import KeyKind
from loopback import address

ADMINISTRATOR = "Administrator"
PASSWORD = "Tr0ub4dor-and-3"
HOST_KEY = "BCDFG-HJKMN-PQRTV-WXY23-46789"
SPARE_KEY = "GFDCB-NMKJH-VTRQP-32YXW-98764"
SECRETS = [PASSWORD, HOST_KEY, SPARE_KEY, *(key.key for key in keys.AVMA_KEYS)]

HOST = address(11)


def machine(name: str, version: str, edition: str, address: str, **more: Any) -> dict[str, Any]:
    """Return a machine that listens at that address over HTTP."""
    account = {"username": ADMINISTRATOR, "password": PASSWORD}
    fixed = {"name": name, "version": version, "edition": edition, "address": address, "http": {"port": 5985}}
    return {**fixed, **account, **more}


def published(kind: KeyKind, version: str, edition: str) -> str:
    """Return the key that Microsoft publishes for that kind, release and edition."""
    found = keys.find(kind, version, edition)
    assert found is not None
    return found.key


def estate(*vms: dict[str, Any], hosts: tuple[dict[str, Any], ...] = (), **host: Any) -> dict[str, Any]:
    """Return an estate of hv01 (2022 Datacenter, no license yet) with these VMs, and further hosts."""
    first = {**machine("hv01", "2022", "Datacenter", HOST, vms=list(vms)), **host}
    product_keys = [
        {"key": HOST_KEY, "channel": "MAK", "version": first["version"], "edition": "Datacenter", "activations": 1},
        {"key": SPARE_KEY, "channel": "Retail", "version": first["version"], "edition": "Datacenter"},
    ]
    return {"keys": product_keys, "hosts": [first, *hosts]}


def host_license(**properties: Any) -> dict[str, Any]:
    """Return a HostLicense of hv01, as declared in a YAML program."""
    return {"type": "avma:HostLicense", "properties": {"host": HOST, **properties}}


def vm_activation(name: str, **properties: Any) -> dict[str, Any]:
    """Return a VmActivation on hv01 that depends on the host's license."""
    return {"type": "avma:VmActivation", "properties": {"host": "${hv01.host}", "vmName": name, **properties}}
