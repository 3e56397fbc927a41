"""Simulated machines whose accounts have single rights, and the operations of the table of rights."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from avma.configuration import Configuration, GuestDefaults, Transport
from avma.windows.machines import Machines
from avma.windows.session_configuration import SessionConfiguration
from avma_simulator import EstateServer
from core.runner import HOST_KEY, OTHER_KEY, Runner
from loopback import address
from rights import Right

ACCOUNT, PASSWORD = "svc-avma", "Correct-Horse-7"
GUEST_ACCOUNT, GUEST_PASSWORD = "license-admin", "Battery-Staple-8"
LICENSED, BARE, LOCAL, NODE, SECOND = (address(number) for number in range(31, 36))
CLUSTER, LICENSED_CLUSTER, MEMBER, SECOND_MEMBER = address(37), address(38), address(39), address(40)
LICENSED_LOCAL, SECOND_LOCAL, LOCAL_NODE, LOCAL_CLUSTER = (address(number) for number in range(51, 55))
_SERVERS = ("licensed", "second", "bare", "node", "member", "second-member")
_MACHINES = ("local", "licensed-local", "second-local", "local-node")
HOSTS = _SERVERS + _MACHINES
_PLACES = ("", "-on-local", "-in-cluster")
GUESTS = tuple(f"{name}{place}" for name in ("active", "fresh", "dark") for place in _PLACES)
_HOST = f"http: {{port: 5985}}, username: {ACCOUNT}, password: {PASSWORD}, sessionConfigurations: [SERVER]"
_LOCAL_HOST = _HOST.replace("SERVER", "AZURE_LOCAL")
_LOCAL = "version: 23H2, edition: Azure Stack HCI"
_GUEST = f'version: "2022", edition: Standard, username: {GUEST_ACCOUNT}, password: {GUEST_PASSWORD}'
_ESTATE = f"""
keys:
  - {{key: {HOST_KEY}, channel: MAK, version: "2022", edition: Datacenter, activations: 9}}
  - {{key: {OTHER_KEY}, channel: MAK, version: "2022", edition: Datacenter, activations: 9}}
hosts:
  - {{name: licensed, version: "2022", edition: Datacenter, license: {{key: {OTHER_KEY}}}, address: {LICENSED},
      {_HOST}, vms: [
        {{name: active, {_GUEST}, address: {address(41)}, http: {{port: 5985}}}},
        {{name: fresh, {_GUEST}, address: {address(42)}, http: {{port: 5985}}}}]}}
  - {{name: second, version: "2022", edition: Datacenter, license: {{key: {OTHER_KEY}}}, address: {SECOND},
      {_HOST}, vms: [{{name: dark, {_GUEST}, address: {address(43)}, http: {{port: 5985}}, dataExchange: false}}]}}
  - {{name: bare, version: "2022", edition: Datacenter, address: {BARE}, {_HOST}}}
  - {{name: node, version: "2022", edition: Datacenter, address: {NODE}, {_HOST}}}
  - {{name: member, version: "2022", edition: Datacenter, license: {{key: {OTHER_KEY}}}, address: {MEMBER},
      {_HOST}, vms: [
        {{name: active-in-cluster, {_GUEST}, address: {address(47)}, http: {{port: 5985}}}},
        {{name: fresh-in-cluster, {_GUEST}, address: {address(48)}, http: {{port: 5985}}}}]}}
  - {{name: second-member, version: "2022", edition: Datacenter, license: {{key: {OTHER_KEY}}},
      address: {SECOND_MEMBER}, {_HOST}, vms: [
        {{name: dark-in-cluster, {_GUEST}, address: {address(49)}, http: {{port: 5985}}, dataExchange: false}}]}}
  - {{name: local, {_LOCAL}, address: {LOCAL}, {_LOCAL_HOST}}}
  - {{name: licensed-local, {_LOCAL}, serverKey: {OTHER_KEY}, address: {LICENSED_LOCAL}, {_LOCAL_HOST}, vms: [
        {{name: active-on-local, {_GUEST}, address: {address(44)}, http: {{port: 5985}}}},
        {{name: fresh-on-local, {_GUEST}, address: {address(45)}, http: {{port: 5985}}}}]}}
  - {{name: second-local, {_LOCAL}, serverKey: {OTHER_KEY}, address: {SECOND_LOCAL}, {_LOCAL_HOST}, vms: [
        {{name: dark-on-local, {_GUEST}, address: {address(46)}, http: {{port: 5985}}, dataExchange: false}}]}}
  - {{name: local-node, {_LOCAL}, address: {LOCAL_NODE}, {_LOCAL_HOST}}}
clusters:
  - {{name: cl01, nodes: [node], address: {CLUSTER}, http: {{port: 5985}}}}
  - {{name: cl03, nodes: [member, second-member], address: {LICENSED_CLUSTER}, http: {{port: 5985}}}}
  - {{name: cl02, nodes: [local-node], address: {LOCAL_CLUSTER}, http: {{port: 5985}}}}
"""
_GROUPS = {
    Right.ADMINISTRATOR: "Administrators",
    Right.MANAGEMENT: "Remote Management Users",
    Right.HYPER_V: "Hyper-V Administrators",
    Right.GUEST_ADMINISTRATOR: "Administrators",
    Right.GUEST_MANAGEMENT: "Remote Management Users",
}
_NAMESPACES = {
    Right.CIMV2: "root/cimv2",
    Right.VIRTUALIZATION: "root/virtualization/v2",
    Right.MSCLUSTER: "root/mscluster",
    Right.GUEST_CIMV2: "root/cimv2",
}


class Problem(Exception):
    """A command reported a problem. The text is that of the command."""


def estate_of(directory: Path, permitted: str = ACCOUNT) -> Path:
    """Write the estate file, and the session configurations that permit this account. Return the estate file."""
    accounts = tuple(f"{host}\\{permitted}" for host in HOSTS)
    text = _ESTATE
    for system, azure_local in (("SERVER", False), ("AZURE_LOCAL", True)):
        folder = directory / system
        for path, content in SessionConfiguration("avma", accounts, azure_local).files().items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(content, encoding="utf-8-sig")
        text = text.replace(f"[{system}]", f"[{folder / 'avma.pssc'}]")
    file = directory / "estate.yaml"
    file.write_text(text)
    return file


def granted(rights: Iterable[Right], of_host: bool) -> dict[str, Any]:
    """Return the fields of an estate file for an account with exactly these rights."""
    held = [right for right in rights if right.name.startswith("GUEST") is not of_host]
    namespaces = {_NAMESPACES[right]: "read" for right in held if right in _NAMESPACES}
    if Right.VIRTUALIZATION_METHODS in held and Right.VIRTUALIZATION in held:
        namespaces["root/virtualization/v2"] = "full"
    return {
        "groups": [_GROUPS[right] for right in held if right in _GROUPS],
        "namespaces": namespaces,
        "clusterAccess": Right.CLUSTER in held,
        "remotePowerShell": not of_host or bool({Right.SCRIPTS, Right.JEA, Right.ADMINISTRATOR} & set(held)),
    }


def without(rights: Iterable[Right], right: Right) -> list[Right]:
    """Return the rights except one. An account that is no administrator keeps every other right of that machine."""
    rest = [each for each in rights if each is not right]
    if right is Right.ADMINISTRATOR:
        rest += [each for each in Right if not each.name.startswith("GUEST") and each not in (right, Right.JEA)]
    if right is Right.GUEST_ADMINISTRATOR:
        rest += [Right.GUEST, Right.GUEST_MANAGEMENT, Right.GUEST_CIMV2]
    return rest


@dataclass
class Bench:
    """A simulated environment, and runners that connect to it."""

    estate: EstateServer
    transport: Transport = Transport.POWERSHELL_DIRECT
    jea: bool = False
    runners: list[Runner] = field(default_factory=list)

    def configuration(self, guest_account: str = GUEST_ACCOUNT) -> Configuration:
        account: dict[str, Any] = {"username": guest_account, "password": GUEST_PASSWORD}
        guest = GuestDefaults(transport=self.transport, https=False, ready_timeout="1s", **account)
        return Configuration(https=False, username=ACCOUNT, password=PASSWORD, guest=guest)

    def administrator(self) -> Runner:
        """Return a runner for what must exist before the operation. It does not use the session configuration."""
        return self._runner(self.configuration())

    def runner(self, rights: Iterable[Right]) -> Runner:
        """Give the accounts exactly these rights, and return a runner for the operation."""
        held = list(rights)
        for names, of_host in ((HOSTS, True), (GUESTS, False)):
            for name in names:
                self.estate.grant(name, **granted(held, of_host))
        guest_account = (
            GUEST_ACCOUNT if {Right.GUEST, Right.GUEST_ADMINISTRATOR, *_OVER_NETWORK} & set(held) else "nobody"
        )
        return self._runner(replace(self.configuration(guest_account), configuration_name="avma" if self.jea else None))

    def _runner(self, configuration: Configuration) -> Runner:
        runner = Runner(configuration, Machines(4))
        runner.skip_pauses(self.estate)
        self.runners.append(runner)
        return runner

    def close(self) -> None:
        for runner in self.runners:
            runner.machines.close()


_OVER_NETWORK = {Right.GUEST_MANAGEMENT, Right.GUEST_CIMV2}
Act = Callable[[Runner], object]
Prepare = Callable[[Bench], Act]
"""Prepares the machines with all rights, and returns the operation."""
