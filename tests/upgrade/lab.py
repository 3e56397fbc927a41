"""The machines and the program of the recordings, and the files with the recordings of each version."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from avma.keys import KeyKind
from e2e.estate import ADMINISTRATOR, HOST_KEY, PASSWORD, SPARE_KEY, machine, published
from loopback import address, relocated
from workspace import Workspace

FIXTURES = Path(__file__).parent / "fixtures"
VERSIONS = sorted(folder.name for folder in FIXTURES.iterdir() if folder.is_dir())
COMMANDS = ("preview", "up", "refresh", "update", "import", "destroy")
"""The recorded commands, in order. Each has a file with the calls of the engine."""
HOST, NODE, AZURE, CLUSTER = (address(number) for number in range(161, 165))
SECOND_HOST, SECOND_NODE, SECOND_CLUSTER = (address(number) for number in range(165, 168))
"""The machines of the resources with all inputs. These name them, and give their addresses as settings."""
_FIXED = re.compile(r"\b127\.(?!0\.0\.)\d+\.\d+\.(\d+)\b")
_CONFIRMATION_ID = "232440112499818761452464342831946927044820790412"
"""The confirmation ID of hv03 with the host key, as the simulator derives it."""
_DB01 = "8a1f0c52-6a0e-4b3c-9f61-0c2d4c1f0a13"
_SETTINGS: dict[str, Any] = {
    "port": 5985,
    "https": False,
    "username": ADMINISTRATOR,
    "password": PASSWORD,
    "auth": "ntlm",
    "insecure": False,
    "caCert": "ca.pem",
    "clientCert": "svc-avma.pem",
    "clientKey": "svc-avma.key",
    "messageEncryption": "auto",
    "kerberosHostname": "hv01.example.com",
    "kerberosKeytab": "svc-avma.keytab",
    "connectTimeout": "10s",
    "operationTimeout": "1m",
}
"""All settings of a connection. NTLM over http does not use those of certificates and Kerberos."""
_HOST_SETTINGS = {**_SETTINGS, "configurationName": "Microsoft.PowerShell"}
_GUEST_SETTINGS = {**_SETTINGS, "transport": "winrm", "readyTimeout": "15m"}
_CONFIGURATION: dict[str, Any] = {
    **_HOST_SETTINGS,
    **{f"guest.{name}": value for name, value in _GUEST_SETTINGS.items()},
    "guest.transport": "powershellDirect",
    "maxConcurrency": 4,
    "readFreshness": "10s",
    "readAhead": False,
    "previewProbe": True,
    "deleteUnreachable": False,
}
_CLUSTER_GUESTS = {
    "cluster": "cl02",
    "include": ["sql*", "off*"],
    "exclude": ["test-*"],
    "guest": _GUEST_SETTINGS,
    "guests": {
        "sql01": {
            **_GUEST_SETTINGS,
            "address": address(174),
            "productKey": published(KeyKind.AVMA, "2022", "Standard"),
        }
    },
    "connection": {**_HOST_SETTINGS, "address": SECOND_CLUSTER},
}


def estate(*, licensed: bool) -> dict[str, Any]:
    """Return the machines, without licenses or with those of the recorded program."""
    datacenter = {"version": "2022", "edition": "Datacenter"}
    azure = {"version": "23H2", "edition": "Azure Stack HCI"}
    host: dict[str, Any] = {"license": {"key": HOST_KEY}} if licensed else {}
    guest: dict[str, Any] = {"license": {"key": published(KeyKind.AVMA, "2022", "Standard")}} if licensed else {}

    def vm(number: int, name: str, **more: Any) -> dict[str, Any]:
        identifier = f"8a1f0c52-6a0e-4b3c-9f61-0c2d4c1f0a{number}"
        return {**machine(name, "2022", "Standard", address(160 + number)), "id": identifier, **more}

    keys = [
        {"key": HOST_KEY, "channel": "MAK", **datacenter, "activations": 9},
        {"key": SPARE_KEY, "channel": "Retail", **datacenter},
    ]
    hosts = [
        machine("hv01", **datacenter, address=HOST, vms=[vm(11, "web01", **guest), vm(12, "app01", **guest)], **host),
        machine("hv02", **datacenter, address=NODE, **host),
        machine("hv03", **datacenter, address=SECOND_HOST, vms=[vm(13, "db01", **guest)], **host),
        machine(
            "hv04",
            **datacenter,
            address=SECOND_NODE,
            vms=[vm(14, "sql01", **guest), vm(15, "off01", state="off")],
            **host,
        ),
        machine("az01", **azure, address=AZURE, **({"serverKey": SPARE_KEY} if licensed else {})),
    ]
    clusters = [
        {"name": "cl01", "nodes": ["hv02"], "address": CLUSTER, "http": {"port": 5985}},
        {"name": "cl02", "nodes": ["hv04"], "address": SECOND_CLUSTER, "http": {"port": 5985}},
    ]
    return {"keys": keys, "hosts": hosts, "clusters": clusters}


def resources(on_delete: str = "retain") -> dict[str, Any]:
    """Return the resources of the program: for each type, some with few inputs and one with all inputs.

    If two inputs exclude each other, one of them is in a resource with few inputs.
    """
    declared: dict[str, dict[str, dict[str, Any]]] = {
        "HostLicense": {
            "hv01": {"host": HOST, "productKey": "${hostKey}"},
            "az01": {"host": AZURE, "productKey": "${azureKey}"},
            "hv03": {
                "host": "hv03.example.com",
                "productKey": HOST_KEY,
                "productKeyVersion": "2022",
                "licenseSource": "productKey",
                "confirmationId": _CONFIRMATION_ID,
                "activate": True,
                "onDelete": "uninstallKey",
                "forceDestroy": True,
                "connection": {**_HOST_SETTINGS, "address": SECOND_HOST},
            },
        },
        "ClusterLicense": {
            "node": {"nodes": [NODE], "productKey": "${hostKey}"},
            "cl02": {
                "cluster": "cl02",
                "productKey": SPARE_KEY,
                "productKeys": {"hv04": HOST_KEY},
                "productKeyVersion": "2022",
                "activate": True,
                "unreachableNodes": "fail",
                "connection": {**_HOST_SETTINGS, "address": SECOND_CLUSTER},
            },
        },
        "VmActivation": {
            "web01": {
                "host": "${hv01.host}",
                "vmName": "web01",
                "guest": {"transport": "winrm"},
                "onDelete": on_delete,
            },
            "app01": {"hosts": ["${hv01.host}"], "vmName": "app01"},
            "db01": {
                "host": "${hv03.host}",
                "vmId": _DB01,
                "guest": {**_GUEST_SETTINGS, "address": address(173)},
                "productKey": published(KeyKind.AVMA, "2022", "Standard"),
                "manageDataExchange": True,
                "onDelete": "restoreKmsClientKey",
                "connection": {**_HOST_SETTINGS, "address": SECOND_HOST},
            },
        },
        "ClusterActivation": {
            "guests": {"hosts": ["${hv01.host}"], "guests": {"web01": {"transport": "winrm"}}},
            "members": {
                **_CLUSTER_GUESTS,
                "cluster": "${cl02.cluster}",
                "manageDataExchange": True,
                "unreachableGuests": "fail",
                "stoppedGuests": "ignore",
                "replaceOtherLicenses": True,
                "onDelete": "uninstallKey",
            },
        },
    }
    return {
        name: {"type": f"avma:{kind}", "properties": properties}
        for kind, each in declared.items()
        for name, properties in each.items()
    }


def variables() -> dict[str, Any]:
    """Return the calls of functions in the program: with few arguments, and with all."""
    connection = {**_HOST_SETTINGS, "address": SECOND_HOST}
    calls: list[tuple[str, dict[str, Any]]] = [
        ("getAvmaKey", {"version": "2022", "edition": "Standard"}),
        ("getCompatibility", {"hostVersion": "2022", "guestVersion": "2019", "guestEdition": "Standard"}),
        ("getHostLicense", {"host": HOST}),
        ("getHostLicense", {"host": "hv03", "connection": connection}),
        ("getHostVms", {"host": HOST}),
        ("getHostVms", {"host": "hv03", "connection": connection}),
        ("getVmActivation", {"hosts": [HOST], "vmName": "web01"}),
        (
            "getVmActivation",
            {
                "host": "hv03",
                "vmId": _DB01,
                "guest": {**_GUEST_SETTINGS, "address": address(173)},
                "connection": connection,
            },
        ),
        ("getClusterGuests", {"hosts": [HOST], "exclude": ["web*"]}),
        ("getClusterGuests", _CLUSTER_GUESTS),
        ("getClusterNodes", {"cluster": CLUSTER}),
        ("getClusterNodes", {"cluster": "cl02", "connection": {**_HOST_SETTINGS, "address": SECOND_CLUSTER}}),
    ]
    return {
        f"{name}{number}": {"fn::invoke": {"function": f"avma:{name}", "arguments": arguments}}
        for number, (name, arguments) in enumerate(calls)
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
    # `yaml.safe_dump` writes aliases, which Pulumi rejects. JSON is YAML too.
    made = Workspace(folder, json.dumps({**program, "resources": resources()}))
    texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in _CONFIGURATION.items()}
    settings = {f"avma:{name}": text for name, text in texts.items()}
    hidden = {name: text for name, text in settings.items() if name.endswith(("password", "clientKey"))}
    made.new_stack("dev", {name: settings[name] for name in settings.keys() - hidden}, {**hidden, **secrets})
    return made


def read(version: str, name: str) -> Any:
    """Return a recorded JSON document, with addresses of this process."""
    return json.loads(relocated((FIXTURES / version / f"{name}.json").read_text("utf-8")))


def write(version: str, name: str, document: Any) -> None:
    """Write a JSON document, with the same addresses in all processes."""
    (FIXTURES / version).mkdir(exist_ok=True)
    text = json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False)
    (FIXTURES / version / f"{name}.json").write_text(_FIXED.sub(r"127.46.0.\1", text) + "\n", "utf-8")
