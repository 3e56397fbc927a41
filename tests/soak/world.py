"""The simulated machines of a random run, and the model of their licenses."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from avma import keys
from avma.windows.licensing import LicenseChannel
from avma_simulator import EstateServer
from loopback import address
from waiting import wait_until

ADMINISTRATOR = "Administrator"
PASSWORD = "Soak-Pass-1"
HOST_KEYS = ("BCDFG-HJKMN-PQRTV-WXY23-46789", "CDFGH-JKMNP-QRTVW-XY234-6789B")
"""Two keys. Each of them licenses each host."""
ACTIVATIONS = 10_000
"""The activations of a key. A run never uses them up."""
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
    shared = {"channel": "MAK", "version": "2022", "edition": "Datacenter", "activations": ACTIVATIONS}
    cluster = {"name": CLUSTER_NAME, "nodes": [*NODES], "address": CLUSTER, "http": {"port": 5985}}
    return {"keys": [{"key": key, **shared} for key in HOST_KEYS], "hosts": hosts, "clusters": [cluster]}


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
    licensed: set[tuple[str, str]] = field(default_factory=set)
    """The licensed hosts, each with its key."""
    spent: int = 0
    uninstalled: int = 0
    """The number of keys that the provider has uninstalled on hosts so far."""
    off: set[str] = field(default_factory=set)
    """The hosts and VMs that are off."""

    def observe(self) -> None:
        """Compare the activations with the licenses of the hosts. A request of a killed command may still be running.

        Between two observations, a host can become licensed with a key once. Each further activation is one too many,
        unless one of two stacks has uninstalled the key meanwhile.
        """
        try:
            wait_until(self._agrees)
        except AssertionError:
            raise AssertionError(f"{self._used()} activations took effect, and {self.spent} were needed") from None
        self.spent, self.uninstalled = self._used(), self._uninstalled()

    def _agrees(self) -> bool:
        now = {(name, key) for name in HOSTS if (key := self.key_of(name)) is not None}
        self.spent += len(now - self.licensed)
        self.licensed = now
        return self.spent <= self._used() <= self.spent + self._uninstalled() - self.uninstalled

    def _used(self) -> int:
        counts = self.server.counts()
        return sum(int(counts[name]["activations"]) for name in HOSTS)

    def _uninstalled(self) -> int:
        counts = self.server.counts()
        return sum(int(counts[name]["operations"].get(_UNINSTALL, 0)) for name in HOSTS)

    def key_of(self, name: str) -> str | None:
        """Return the key that a host is licensed with, None without a license."""
        state = self.server.machine(name)
        found = (key for key in HOST_KEYS if state["partialProductKey"] == keys.partial(key))
        return next(found, None) if state["status"] == "Licensed" else None

    def id_of(self, name: str) -> str | None:
        """Return the id of a VM, None if it does not exist."""
        return str(self.server.machine(self.name_of(name))["id"]).lower() if name in self.vms else None

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
        self.licensed = {(host, key) for host, key in self.licensed if host != name}

    def set_power(self, name: str, on: bool) -> None:
        """Turn a host with its VMs, or a VM, on or off."""
        self.server.power(self.name_of(name), "running" if on else "off")
        (self.off.discard if on else self.off.add)(name)

    def move(self, name: str, host: str) -> None:
        """Move a VM to another host."""
        self.server.move(self.name_of(name), host)
        self.vms[name] = host

    def create(self, name: str, host: str) -> None:
        """Create a VM. It has another id than an earlier one with its name."""
        self.server.create(host, {**vm(name), "id": str(uuid.uuid4())})
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

    @contextmanager
    def faulty(self, faults: Sequence[tuple[str, dict[str, Any]]]) -> Iterator[None]:
        """Let machines have faults for a while. A VM that does not exist has none."""
        present = [(name, rule) for name, rule in faults if name in HOSTS or name in self.vms]
        for machine in {name for name, _ in present}:
            self.server.faults(self.name_of(machine), [rule for name, rule in present if name == machine])
        yield
        for machine in {name for name, _ in present}:
            self.server.faults(self.name_of(machine), [])

    def heal(self) -> None:
        """Turn everything on, and let the first nodes be in the cluster again."""
        for name in set(NODES) - self.nodes:
            self.change_node(name)
        for name in self.nodes:
            self.server.change_nodes(CLUSTER_NAME, "resume", name)
        for name in HOSTS:
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


_UNINSTALL = "Invoke SoftwareLicensingProduct/UninstallProductKey"
_CHANGES = ("InstallProductKey", "Activate", "UninstallProductKey", "RefreshLicenseStatus")
