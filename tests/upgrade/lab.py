"""The machines and the program of the recordings, and the files with the recordings of each version."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml

from avma.keys import KeyKind
from e2e.estate import ADMINISTRATOR, HOST_KEY, PASSWORD, SPARE_KEY, machine, published
from loopback import address, relocated
from workspace import Workspace

FIXTURES = Path(__file__).parent / "fixtures"
VERSIONS = sorted(folder.name for folder in FIXTURES.iterdir() if folder.is_dir())
COMMANDS = ("preview", "up", "refresh", "update", "import", "destroy")
"""The recorded commands, in order. Each has a file with the calls of the engine."""
HOST, NODE, AZURE, CLUSTER = (address(number) for number in range(161, 165))
_FIXED = re.compile(r"\b127\.(?!0\.0\.)\d+\.\d+\.(\d+)\b")
_CONFIGURATION = {"https": "false", "username": ADMINISTRATOR, "guest.https": "false", "guest.username": ADMINISTRATOR}


def estate(*, licensed: bool) -> dict[str, Any]:
    """Return the machines, without licenses or with those of the recorded program."""
    datacenter = {"version": "2022", "edition": "Datacenter"}
    azure = {"version": "23H2", "edition": "Azure Stack HCI"}
    host: dict[str, Any] = {"license": {"key": HOST_KEY}} if licensed else {}
    guest: dict[str, Any] = {"license": {"key": published(KeyKind.AVMA, "2022", "Standard")}} if licensed else {}
    vms = [
        {**machine("web01", "2022", "Standard", address(171)), "id": "8a1f0c52-6a0e-4b3c-9f61-0c2d4c1f0a11", **guest},
        {**machine("app01", "2022", "Standard", address(172)), "id": "8a1f0c52-6a0e-4b3c-9f61-0c2d4c1f0a12", **guest},
    ]
    keys = [
        {"key": HOST_KEY, "channel": "MAK", **datacenter, "activations": 9},
        {"key": SPARE_KEY, "channel": "Retail", **datacenter},
    ]
    hosts = [
        machine("hv01", **datacenter, address=HOST, vms=vms, **host),
        machine("hv02", **datacenter, address=NODE, **host),
        machine("az01", **azure, address=AZURE, **({"serverKey": SPARE_KEY} if licensed else {})),
    ]
    cluster = {"name": "cl01", "nodes": ["hv02"], "address": CLUSTER, "http": {"port": 5985}}
    return {"keys": keys, "hosts": hosts, "clusters": [cluster]}


def resources(on_delete: str = "retain") -> dict[str, Any]:
    """Return the resources of the program: each type, both transports of guests, and Azure Local."""
    properties = {
        "hv01": {"host": HOST, "productKey": "${hostKey}"},
        "az01": {"host": AZURE, "productKey": "${azureKey}"},
        "node": {"nodes": [NODE], "productKey": "${hostKey}"},
        "web01": {"host": "${hv01.host}", "vmName": "web01", "guest": {"transport": "winrm"}, "onDelete": on_delete},
        "app01": {"host": "${hv01.host}", "vmName": "app01"},
        "guests": {"hosts": ["${hv01.host}"], "guests": {"web01": {"transport": "winrm"}}},
    }
    types = dict.fromkeys(properties, "VmActivation") | {"hv01": "HostLicense", "az01": "HostLicense"}
    types |= {"node": "ClusterLicense", "guests": "ClusterActivation"}
    return {name: {"type": f"avma:{types[name]}", "properties": each} for name, each in properties.items()}


def variables() -> dict[str, Any]:
    """Return the calls of functions in the program."""
    calls = {
        "getAvmaKey": {"version": "2022", "edition": "Standard"},
        "getCompatibility": {"hostVersion": "2022", "guestVersion": "2019", "guestEdition": "Standard"},
        "getHostLicense": {"host": HOST},
        "getHostVms": {"host": HOST},
        "getVmActivation": {"host": HOST, "vmName": "web01"},
        "getClusterGuests": {"hosts": [HOST], "exclude": ["web*"]},
        "getClusterNodes": {"cluster": CLUSTER},
    }
    return {
        name: {"fn::invoke": {"function": f"avma:{name}", "arguments": arguments}} for name, arguments in calls.items()
    }


def imports() -> dict[str, Any]:
    """Return the file of `pulumi import` for one resource of each type."""
    ids = {
        "HostLicense": HOST,
        "ClusterLicense": NODE,
        "VmActivation": f"{HOST}/app01",
        "ClusterActivation": f"{HOST},",
    }
    return {"resources": [{"type": f"avma:index:{kind}", "name": kind, "id": id} for kind, id in ids.items()]}


def new_stack(folder: Path) -> Workspace:
    """Return a new stack with the program."""
    secrets = {"hostKey": HOST_KEY, "azureKey": SPARE_KEY}
    declared = {name: {"type": "string", "secret": True} for name in secrets}
    program = {"name": "estate", "runtime": "yaml", "config": declared, "variables": variables()}
    made = Workspace(folder, yaml.safe_dump({**program, "resources": resources()}))
    accounts = {"avma:password": PASSWORD, "avma:guest.password": PASSWORD}
    made.new_stack("dev", {f"avma:{name}": value for name, value in _CONFIGURATION.items()}, {**accounts, **secrets})
    return made


def read(version: str, name: str) -> Any:
    """Return a recorded JSON document, with addresses of this process."""
    return json.loads(relocated((FIXTURES / version / f"{name}.json").read_text("utf-8")))


def write(version: str, name: str, document: Any) -> None:
    """Write a JSON document, with the same addresses in all processes."""
    (FIXTURES / version).mkdir(exist_ok=True)
    text = json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False)
    (FIXTURES / version / f"{name}.json").write_text(_FIXED.sub(r"127.46.0.\1", text) + "\n", "utf-8")
