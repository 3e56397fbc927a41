"""A stack whose every secret is a canary: all kinds of accounts, keys and connections."""

from __future__ import annotations

import json
import stat
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from avma.keys import KeyKind
from avma.windows.session_configuration import SessionConfiguration
from avma_simulator import EstateServer
from avma_simulator.state.estate_state import EstateState
from avma_simulator.state.machine import Machine
from avma_simulator.winrm.wsman_service import Answer, Service
from avma_simulator.wsman import soap, wsman_faults
from core.certificates import holder
from e2e.estate import ADMINISTRATOR, machine, published
from loopback import address
from secret_search import Canary, files_in, key_canary
from workspace import Workspace, version

MACHINES = ("hv01", "hv02", "hv03", "hv04", "hv05", "web01", "app01", "db01", "fs01", "sql01", "az01", "az02")
HOST, NODE, AZURE, RESTRICTED, MEMBER, CLUSTER = (address(number) for number in (141, 142, 145, 146, 147, 148))
PASSPHRASE = "only for this folder"
ECHO = "the machine repeats:"
"""The beginning of an error of a machine that repeats secrets."""
_UNKNOWN = 0x80049999
"""A number without a known meaning. Only then, the provider quotes the text of the machine."""
_QUOTED = "& <\u00e9> \"q\" \\ 'x' %/+="
"""Characters that JSON, XML, HTML, URLs and shells write in another way."""
SECRETS = {
    "password": f"Pr0vider {_QUOTED}",
    "connectionPassword": f"C0nnection {_QUOTED}",
    "guestPassword": f"Gu3sts {_QUOTED}",
    "appPassword": f"Application-0nly {_QUOTED}",
    "memberPassword": f"Memb3rs {_QUOTED}",
    "sqlPassword": f"Databas3s {_QUOTED}",
    "hostKey": "BCDFG-HJKMQ-NPRTV-WXY23-46789",
    "nextKey": "GFDCB-NMKJH-VTRQP-32YXW-98764",
    "nodeKey": "BCDFG-HJKMP-PQRTV-WXY23-4678N",
    "azureKey": "BCDFG-HJKMP-PQRTN-WXY23-46787",
    "restrictedKey": "BCDFG-HJKMV-PQRTN-WXY23-46788",
    "guestKey": published(KeyKind.AVMA, "2022", "Datacenter"),
    "sqlKey": published(KeyKind.AVMA, "2019", "Standard"),
}
"""The secret settings of the program, by name. The client key is made for each stack."""
_SIGN_IN = {"password": "${connectionPassword}", "clientKey": "${clientKey}"}
"""All secrets of a connection. Only the authentication method `certificate` uses the client key."""
_MEMBERS: dict[str, Any] = {
    "hosts": [MEMBER],
    "guest": {"password": "${memberPassword}", "clientKey": "${clientKey}"},
    "guests": {
        "sql01": {
            "username": ADMINISTRATOR,
            "password": "${sqlPassword}",
            "clientKey": "${clientKey}",
            "productKey": "${sqlKey}",
        }
    },
    "connection": _SIGN_IN,
}
RESOURCES: dict[str, Any] = {
    "hv01": {"type": "avma:HostLicense", "properties": {"host": HOST, "productKey": "${hostKey}"}},
    "web01": {
        "type": "avma:VmActivation",
        "properties": {"host": "${hv01.host}", "vmName": "web01", "productKey": "${guestKey}"},
    },
    "app01": {
        "type": "avma:VmActivation",
        "properties": {
            "host": "${hv01.host}",
            "vmName": "app01",
            "guest": {
                "transport": "winrm",
                "https": False,
                "username": ADMINISTRATOR,
                "password": "${appPassword}",
                "clientKey": "${clientKey}",
            },
            "connection": {**_SIGN_IN, "password": "${password}"},
        },
    },
    "node": {
        "type": "avma:ClusterLicense",
        "properties": {
            "nodes": [NODE],
            "productKey": "${nextKey}",
            "productKeys": {NODE: "${nodeKey}"},
            "connection": {**_SIGN_IN, "https": True, "auth": "basic", "caCert": "${caCert}"},
        },
    },
    "hv03": {
        "type": "avma:HostLicense",
        "properties": {
            "host": address(143),
            "connection": {
                **_SIGN_IN,
                "https": True,
                "auth": "certificate",
                "caCert": "${caCert}",
                "clientCert": "${clientCert}",
            },
        },
    },
    "hv04": {
        "type": "avma:HostLicense",
        "properties": {"host": address(144), "productKey": "${nextKey}", "confirmationId": "${confirmationId}"},
    },
    "db01": {
        "type": "avma:VmActivation",
        "properties": {"host": "${hv01.host}", "vmName": "db01", "connection": {"configurationName": "avma"}},
    },
    "az01": {"type": "avma:HostLicense", "properties": {"host": AZURE, "productKey": "${azureKey}"}},
    "az02": {
        "type": "avma:HostLicense",
        "properties": {
            "host": RESTRICTED,
            "productKey": "${restrictedKey}",
            "connection": {"configurationName": "avma"},
        },
    },
    "members": {
        "type": "avma:ClusterActivation",
        "properties": _MEMBERS,
        "options": {"provider": "${other}"},
    },
    "other": {
        "type": "pulumi:providers:avma",
        "properties": {
            **_SIGN_IN,
            "https": False,
            "username": ADMINISTRATOR,
            "guest": {"username": ADMINISTRATOR, "password": "${memberPassword}", "clientKey": "${clientKey}"},
        },
    },
}
CALLS: dict[str, dict[str, Any]] = {
    "getClusterGuests": _MEMBERS,
    "getClusterNodes": {"cluster": CLUSTER, "connection": _SIGN_IN},
    "getHostLicense": {"host": MEMBER, "connection": _SIGN_IN},
    "getHostVms": {"host": MEMBER, "connection": _SIGN_IN},
    "getVmActivation": {
        "host": MEMBER,
        "vmName": "fs01",
        "guest": {"password": "${memberPassword}", "clientKey": "${clientKey}"},
        "connection": _SIGN_IN,
    },
}
"""The arguments of the functions, by name."""


def estate(folder: Path) -> dict[str, Any]:
    """Return the machines of the stack. The certificate of hv03 is in that folder."""
    holder(folder, "svc-avma")
    jea: dict[str, Any] = {"sessionConfigurations": [_session_configuration(folder)]}
    datacenter = {"version": "2022", "edition": "Datacenter"}
    azure = {"version": "23H2", "edition": "Azure Stack HCI"}
    certificate = {"logons": ["certificate"], "clientCertificate": str(folder / "svc-avma.pem")}
    guests = [
        _with("guestPassword", machine("web01", "2022", "Datacenter", address(151))),
        _with("appPassword", machine("app01", "2019", "Datacenter", address(152))),
        _with("guestPassword", machine("db01", "2022", "Datacenter", address(153))),
    ]
    members = [
        _with("memberPassword", machine("fs01", "2022", "Standard", address(154))),
        _with("sqlPassword", machine("sql01", "2019", "Standard", address(155))),
    ]
    hosts = [
        _with("password", machine("hv01", **datacenter, address=HOST, vms=guests, **jea)),
        {
            **_with("connectionPassword", machine("hv02", **datacenter, address=NODE)),
            "https": {"port": 5986},
            "logons": ["basic"],
        },
        {
            **machine("hv03", **datacenter, address=address(143), license={"key": SECRETS["nextKey"]}),
            "https": {"port": 5986},
            **certificate,
        },
        _with("password", machine("hv04", **datacenter, address=address(144), online=False)),
        _with(
            "connectionPassword",
            machine("hv05", **datacenter, address=MEMBER, vms=members, license={"key": SECRETS["nextKey"]}),
        ),
        _with("password", machine("az01", **azure, address=AZURE)),
        _with("password", machine("az02", **azure, address=RESTRICTED, **jea)),
    ]
    keys = [
        {"key": SECRETS["hostKey"], "channel": "MAK", "version": "2022", "edition": "Datacenter", "activations": 1},
        {"key": SECRETS["nextKey"], "channel": "MAK", "version": "2022", "edition": "Datacenter", "activations": 9},
        {"key": SECRETS["nodeKey"], "channel": "MAK", "version": "2022", "edition": "Datacenter", "activations": 1},
        {"key": SECRETS["azureKey"], "channel": "MAK", "version": "2022", "edition": "Datacenter", "activations": 1},
        {
            "key": SECRETS["restrictedKey"],
            "channel": "MAK",
            "version": "2022",
            "edition": "Datacenter",
            "activations": 1,
        },
    ]
    cluster = {"name": "cl01", "nodes": ["hv05"], "address": CLUSTER, "http": {"port": 5985}}
    return {"keys": keys, "hosts": hosts, "clusters": [cluster]}


def _session_configuration(folder: Path) -> str:
    """Write the files of `avma jea`, and return the path of the session configuration."""
    accounts = tuple(f"{host}\\{ADMINISTRATOR}" for host in ("HV01", "AZ02"))
    for path, text in SessionConfiguration("avma", accounts, azure_local=True).files().items():
        (folder / "jea" / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / "jea" / path).write_text(text)
    return str(folder / "jea" / "avma.pssc")


def _with(secret: str, described: dict[str, Any]) -> dict[str, Any]:
    return {**described, "password": SECRETS[secret]}


@dataclass
class Echo:
    """Makes hv01 return its secrets in the texts of its errors, while it is on."""

    on: bool = False

    def service(self, machine: Machine, state: EstateState) -> Service:
        """Return the service of a machine, for `avma_simulator.running`."""
        return _Echoing(self, machine, state) if machine.name == "hv01" else Service(machine, state)


class _Echoing(Service):
    def __init__(self, echo: Echo, machine: Machine, state: EstateState) -> None:
        super().__init__(machine, state)
        self._echo = echo

    async def _answer(self, request: soap.Request) -> Answer:
        if not self._echo.on:
            return await super()._answer(request)
        text = ", ".join(SECRETS[name] for name in ("nextKey", "password", "guestPassword"))
        raise wsman_faults.provider_failed(_UNKNOWN, f"{ECHO} {text}", "MSFT_WmiError")


@dataclass(frozen=True)
class SecretsStack:
    """A Pulumi stack and its canaries."""

    workspace: Workspace
    folder: Path
    canaries: list[Canary]

    def set(self, name: str, value: str) -> None:
        """Change a secret of the program."""
        (self.folder / name).write_text(value)

    @property
    def written(self) -> dict[str, bytes]:
        """All output of the commands, and all files of the stack: state, history, backups, configuration, logs."""
        folder = self.workspace.project.parent
        return {"output": self.workspace.printed.encode(), **files_in(folder)}

    def alter_plugin(self, code: str) -> None:
        """Install a plugin that runs this code before it starts."""
        file = self.workspace.project.parent / "pulumi-resource-avma"
        serve = "from pulumi_resource_avma.__main__ import main\nmain()\n"
        file.write_text(f"#!{sys.executable}\n{code}\n{serve}")
        file.chmod(file.stat().st_mode | stat.S_IXUSR)
        self.workspace.run("plugin", "install", "resource", "avma", version(), "--file", str(file), "--reinstall")
        file.unlink()


def _invoke(function: str, arguments: dict[str, Any]) -> dict[str, Any]:
    return {"fn::invoke": {"function": f"avma:{function}", "arguments": arguments}}


def create(
    folder: Path, server: EstateServer, resources: dict[str, Any], calls: dict[str, dict[str, Any]]
) -> SecretsStack:
    """Create a stack with these resources and calls of functions.

    The engine removes the secrets of its configuration from all output. It does not know those of files and of the
    environment. The program does not mark them as secrets either, so only the provider can protect them.
    """
    server.install_key("hv04", SECRETS["nextKey"])
    digits = server.confirmation_id("hv04")["confirmationId"]
    confirmation = "-".join(digits[start : start + 6] for start in range(0, len(digits), 6))
    client_key = (folder / "svc-avma.key").read_text()
    secrets = {**SECRETS, "clientKey": client_key, "confirmationId": confirmation}
    plain = {"caCert": server.ca_certificate, "clientCert": str(folder / "svc-avma.pem")}
    variables = {name: {"fn::readFile": str(folder / name)} for name in secrets}
    program = {
        "name": "estate",
        "runtime": "yaml",
        "config": {name: {"type": "string"} for name in plain},
        "variables": {**variables, **{name: _invoke(name, arguments) for name, arguments in calls.items()}},
        "resources": resources,
        "outputs": {"key": _invoke("getAvmaKey", {"version": "2022", "edition": "Datacenter"})},
    }
    # `yaml.safe_dump` writes aliases, which Pulumi rejects. JSON is YAML too.
    workspace = Workspace(folder / "pulumi", json.dumps(program))
    workspace.environment["AVMA_GUEST_PASSWORD"] = secrets["guestPassword"]
    configuration = {"https": "false", "username": ADMINISTRATOR, "guest.username": ADMINISTRATOR}
    settings = {f"avma:{name}": value for name, value in configuration.items()}
    workspace.new_stack("dev", {**settings, **plain}, {"avma:password": secrets["password"]})
    keys = [key_canary(name, value) for name, value in secrets.items() if name.endswith("Key") and name != "clientKey"]
    passwords = [Canary(name, value) for name, value in secrets.items() if name.endswith("assword")]
    others = [Canary("clientKey", client_key.splitlines()[2]), Canary("confirmationId", confirmation)]
    stack = SecretsStack(workspace, folder, [*keys, *passwords, *others, Canary("passphrase", PASSPHRASE)])
    for name, value in secrets.items():
        stack.set(name, value)
    return stack
