"""The simulated machines of a random run, and the model of their licenses."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from avma import keys
from avma.windows.licensing import LicenseChannel
from avma_simulator import EstateServer
from loopback import address
from waiting import wait_until

ADMINISTRATOR = "Administrator"
PASSWORD = "Soak-Pass-1"
HOST_KEY = "BCDFG-HJKMN-PQRTV-WXY23-46789"
ACTIVATIONS = 10_000
"""The activations of the key. A run never uses it up."""
HOSTS = {"n1": address(11), "n2": address(12), "h3": address(13)}
CLUSTER, CLUSTER_NAME = address(14), "cl01"
NODES = ("n1", "n2")
"""The first nodes of the cluster. n1 never leaves it."""
VMS = {"a": "n1", "b": "n1", "c": "n2", "d": "h3"}
"""The first VMs, by name, with their hosts."""

_ACCOUNT = {"username": ADMINISTRATOR, "password": PASSWORD}


def vm(name: str) -> dict[str, Any]:
    """Return the declaration of a VM. Only its host reaches it."""
    edition = "Standard" if name == "b" else "Datacenter"
    return {"name": name, "version": "2022", "edition": edition, "network": False, **_ACCOUNT}


def estate() -> dict[str, Any]:
    """Return the estate file: a cluster of two nodes, a third host, and four VMs."""
    hosts = [
        {
            "name": name,
            "version": "2022",
            "edition": "Datacenter",
            "address": at,
            "http": {"port": 5985},
            "vms": [vm(guest) for guest, host in VMS.items() if host == name],
            **_ACCOUNT,
        }
        for name, at in HOSTS.items()
    ]
    key = {
        "key": HOST_KEY,
        "channel": "MAK",
        "version": "2022",
        "edition": "Datacenter",
        "activations": ACTIVATIONS,
    }
    cluster = {"name": CLUSTER_NAME, "nodes": [*NODES], "address": CLUSTER, "http": {"port": 5985}}
    return {"keys": [key], "hosts": hosts, "clusters": [cluster]}


@dataclass
class World:
    """The machines. `spent` is the number of activations that the licenses of the hosts account for."""

    server: EstateServer
    vms: dict[str, str] = field(default_factory=lambda: dict(VMS))
    """The present VMs, by their names at the start, with their hosts."""
    renamed: set[str] = field(default_factory=set)
    """The VMs that have another name now, see `name_of`."""
    nodes: set[str] = field(default_factory=lambda: set(NODES))
    """The nodes of the cluster."""
    licensed: set[str] = field(default_factory=set)
    spent: int = 0
    off: set[str] = field(default_factory=set)
    """The hosts and VMs that are off."""

    def observe(self) -> None:
        """Compare the activations with the licenses of the hosts. A request of a killed command may still be running.

        Between two observations, a host can become licensed once. Each further activation is one too many.
        """
        try:
            wait_until(self._agrees)
        except AssertionError:
            raise AssertionError(f"{self._used()} activations took effect, and {self.spent} were needed") from None

    def _agrees(self) -> bool:
        now = {name for name in HOSTS if self.is_licensed(name)}
        self.spent += len(now - self.licensed)
        self.licensed = now
        return self._used() == self.spent

    def _used(self) -> int:
        counts = self.server.counts()
        return sum(int(counts[name]["activations"]) for name in HOSTS)

    def is_licensed(self, name: str) -> bool:
        """Return True if a host has the key and is activated."""
        state = self.server.machine(name)
        return bool(state["status"] == "Licensed" and state["partialProductKey"] == keys.partial(HOST_KEY))

    def is_activated(self, name: str) -> bool:
        """Return True if a VM is activated by its host."""
        state = self.server.machine(self.name_of(name))
        return bool(state["status"] == "Licensed" and state["channel"] == LicenseChannel.AVMA.value)

    def name_of(self, name: str) -> str:
        """Return the present name of a host or a VM."""
        return f"{name}-renamed" if name in self.renamed else name

    def lose_license(self, name: str) -> None:
        """Remove the key of a host or a VM, like a user at the machine."""
        if self.server.machine(self.name_of(name))["partialProductKey"] is not None:
            self.server.uninstall_key(self.name_of(name))
        self.licensed.discard(name)

    def set_power(self, name: str, on: bool) -> None:
        """Turn a host with its VMs, or a VM, on or off."""
        self.server.power(self.name_of(name), "running" if on else "off")
        (self.off.discard if on else self.off.add)(name)

    def move(self, name: str, host: str) -> None:
        """Move a VM to another host."""
        self.server.move(self.name_of(name), host)
        self.vms[name] = host

    def create(self, name: str, host: str) -> None:
        """Create a VM."""
        self.server.create(host, vm(name))
        self.vms[name] = host

    def delete(self, name: str) -> None:
        """Delete a VM."""
        self.server.delete(self.name_of(name))
        del self.vms[name]
        self.off.discard(name)
        self.renamed.discard(name)

    def rename(self, name: str) -> None:
        """Give a VM another name, or its first name again."""
        before = self.name_of(name)
        self.renamed ^= {name}
        self.server.rename(before, self.name_of(name))

    def change_node(self, name: str) -> None:
        """Let a host join the cluster, or leave it."""
        self.server.change_nodes(CLUSTER_NAME, "remove" if name in self.nodes else "add", name)
        self.nodes ^= {name}

    def hold_node(self, name: str, change: str) -> None:
        """Pause a node, resume it, or let it stay in joining."""
        self.server.change_nodes(CLUSTER_NAME, change, name)

    def heal(self) -> None:
        """Turn everything on, resume all nodes, and remove all faults."""
        for name in self.nodes:
            self.server.change_nodes(CLUSTER_NAME, "resume", name)
        for name in HOSTS:
            self.server.faults(name, [])
            self.server.power(name, "running")
        for name in self.vms:
            self.server.power(self.name_of(name), "running")
        self.off.clear()

    def changes(self) -> int:
        """Return the number of changes that the machines received so far."""
        return sum(
            count
            for counts in self.server.counts().values()
            for operation, count in counts["operations"].items()
            if operation.rpartition("/")[2] in _CHANGES
        )

    def requests(self) -> int:
        """Return the number of requests that the machines received so far."""
        return sum(counts["requests"] for counts in self.server.counts().values())


_CHANGES = ("InstallProductKey", "Activate", "UninstallProductKey", "RefreshLicenseStatus")
