"""The programs of a random run, and what an engine reports about them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from soak.world import ADMINISTRATOR, CLUSTER, HOSTS, PASSWORD

CONFIGURATION: dict[str, Any] = {
    "https": False,
    "username": ADMINISTRATOR,
    "password": PASSWORD,
    "connectTimeout": "1s",
    "operationTimeout": "2s",
    "guest": {"username": ADMINISTRATOR, "password": PASSWORD, "readyTimeout": "1s"},
}


@dataclass(frozen=True)
class Declared:
    """A resource of a program."""

    kind: str
    properties: dict[str, Any]

    @property
    def token(self) -> str:
        """The type of the resource in requests."""
        return f"avma:index:{self.kind}"

    @property
    def licenses_hosts(self) -> bool:
        """Whether it licenses hosts, and not guests."""
        return self.kind in ("HostLicense", "ClusterLicense")


@dataclass(frozen=True)
class Kept:
    """A resource in the state of a stack."""

    kind: str
    identifier: str
    inputs: dict[str, Any]
    outputs: dict[str, Any]


@dataclass
class Outcome:
    """The end of a command, with its messages."""

    done: bool = True
    messages: list[str] = field(default_factory=list)
    """The errors of the provider. An empty one is the loss of a killed plugin."""
    printed: str = ""

    def fail(self, message: str) -> None:
        """Record a failure."""
        self.done = False
        self.messages.append(message)


class Engine(Protocol):
    """A stack and the commands on it. `after` ends the command by force after that many requests to machines."""

    program: dict[str, Declared]

    def up(self, after: int | None = None) -> Outcome:
        """Run `pulumi up` without a refresh."""

    def preview(self) -> Outcome:
        """Run `pulumi preview --expect-no-changes`. It fails if the preview has a change."""

    def refresh(self, after: int | None = None) -> Outcome:
        """Run `pulumi refresh`."""

    def destroy(self, after: int | None = None) -> Outcome:
        """Run `pulumi destroy`."""

    def adopt(self, name: str, identifier: str, after: int | None = None) -> Outcome:
        """Run `pulumi import` for a declared resource that is not in the state."""

    def state(self) -> dict[str, Kept]:
        """Return the stored resources by name."""


def host_license(name: str, key: str) -> Declared:
    """Return the license of a host."""
    return Declared("HostLicense", {"host": HOSTS[name], "productKey": key})


def cluster_license(key: str) -> Declared:
    """Return the license of the cluster."""
    return Declared("ClusterLicense", {"cluster": CLUSTER, "productKey": key})


def vm_activation(name: str, on_delete: str = "retain") -> Declared:
    """Return the activation of a VM that may run on each host."""
    return Declared("VmActivation", {"hosts": list(HOSTS.values()), "vmName": name, "onDelete": on_delete})


def cluster_activation(on_delete: str = "retain") -> Declared:
    """Return the activation of all VMs of all hosts."""
    return Declared("ClusterActivation", {"hosts": list(HOSTS.values()), "onDelete": on_delete})


def edited(declared: Declared, **properties: Any) -> Declared:
    """Return a resource with other properties."""
    return replace(declared, properties={**declared.properties, **properties})
