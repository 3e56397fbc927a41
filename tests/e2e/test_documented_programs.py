"""The YAML programs in docs/programs, run by the real engine against matching machines."""

import json
import re
from typing import Any

import pytest
import yaml

import programs
from avma.keys import KeyKind
from e2e.estate import HOST, HOST_KEY, PASSWORD, SPARE_KEY, machine, published
from loopback import address

ADDRESSES = {
    "hv01.example.com": HOST,
    "hv02.example.com": address(12),
    "node01.example.com": address(13),
    "cl01.example.com": address(50),
}
SECRETS = {"productKey": HOST_KEY, "firstKey": HOST_KEY, "secondKey": SPARE_KEY}
SECRETS |= {"guestPassword": PASSWORD, "databasePassword": PASSWORD}
LICENSED = {"license": {"key": HOST_KEY}}
EXPECTED: dict[str, dict[str, Any]] = {
    "HostLicense/a-key-from-the-configuration": {"activatesGuests": True},
    "HostLicense/an-existing-license": {"licenseChannel": "VOLUME_MAK"},
    "HostLicense/azure-local-with-a-subscription": {"subscriptionStatus": "Active"},
    "ClusterActivation/a-whole-cluster": {"activated": 1},
    "ClusterActivation/settings-for-single-guests": {"notActivated": 0},
    "ClusterLicense/one-key-for-all-nodes": {"licensedNodes": 2},
    "ClusterLicense/a-key-for-each-node": {"licensedNodes": 2},
    "VmActivation/a-vm-on-its-host": {"activatedByHost": "HV01"},
    "VmActivation/a-vm-that-moves-in-a-cluster": {},
    "getAvmaKey/a-key-for-an-answer-file": {"productKey": published(KeyKind.AVMA, "2022", "Standard")},
    "getClusterGuests/the-guests-of-a-cluster": {"activated": 0, "notActivated": 1},
    "getClusterNodes/the-state-of-a-node": {"firstNode": "hv01", "state": "Up"},
    "getCompatibility/check-a-guest-upgrade": {"activates": False},
    "getHostLicense/the-license-of-a-host": {"edition": "Datacenter", "osVersion": "2025"},
    "getHostVms/the-vms-of-a-host": {"firstVm": "web01", "running": True},
    "getVmActivation/the-activation-of-a-vm": {"guestVersion": "2022", "minutesRemaining": 43200},
}
"""A part of the outputs of each program."""


@pytest.fixture
def server(serve, request):
    hosts = [
        machine("hv01", "2025", "Datacenter", ADDRESSES["hv01.example.com"]),
        machine("hv02", "2025", "Datacenter", ADDRESSES["hv02.example.com"]),
        machine("node01", "23H2", "Azure Stack HCI", ADDRESSES["node01.example.com"]),
    ]
    hosts[0]["vms"] = [machine("web01", "2022", "Standard", address(21))]
    if "productKey" not in source(request.param):
        hosts[0] |= LICENSED
        hosts[1] |= LICENSED
    product_keys = [
        {"key": key, "channel": "MAK", "version": "2025", "edition": "Datacenter", "activations": 2}
        for key in (HOST_KEY, SPARE_KEY)
    ]
    listening = {"address": ADDRESSES["cl01.example.com"], "http": {"port": 5985}}
    cluster = {"name": "cl01", "nodes": ["hv01", "hv02"], **listening}
    started = serve({"keys": product_keys, "hosts": hosts, "clusters": [cluster]})
    started.subscription("node01", True)
    return started


def source(name: str) -> str:
    """Return a YAML program with addresses instead of names, because there is no DNS here."""
    text = (programs.FOLDER / f"{name}.yaml").read_text()
    return re.sub("|".join(ADDRESSES), lambda found: ADDRESSES[found[0]], text)


ALL = [f"{file.parent.name}/{file.stem}" for file in sorted(programs.FOLDER.rglob("*.pp"))]


@pytest.mark.parametrize(("server", "name"), [(name, name) for name in ALL], ids=ALL, indirect=["server"])
def test_a_documented_program_does_what_it_says(server, name, workspace):
    program = source(name)
    secrets = {name: SECRETS[name] for name in yaml.safe_load(program).get("config", {})}
    stack = workspace({}, secrets)
    (stack.project / "Pulumi.yaml").write_text(re.sub("^name: .*", "name: estate", program))
    stack.run("up", "--yes")
    given = json.loads(stack.run("stack", "output", "--json", "--show-secrets").stdout)
    stack.printed = stack.printed.replace(given.get("productKey", "\0"), "")
    assert {**given, **EXPECTED[name]} == given
    stack.run("preview", "--expect-no-changes")
