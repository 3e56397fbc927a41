"""The inventory: records of hosts, VMs and clusters. Their declared properties form the JSON document."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

from avma.properties import Choice, declare
from avma.windows.licensing import LicenseChannel, LicenseStatus


class Answer(Choice):
    """The result of reading a machine."""

    ANSWERED = "answered", "The machine reported its license."
    DOWN = "down", "The provider could not connect to the machine, or its cluster reports it as down."
    FAILED = "failed", "The machine answered, but the provider could not read its license."
    OFF = "off", "The VM is not running."
    NOT_ASKED = "not_asked", "The machine was not read: no account is set for it, or it does not run Windows."


_COMPLETE = (Answer.ANSWERED, Answer.OFF, Answer.NOT_ASKED)
"""The results of a VM that leave no license unknown."""


@dataclass(frozen=True, kw_only=True)
class Seen:
    """The data of one machine. Values that it did not report are absent."""

    answer: Answer = declare("The result of reading it.")
    problem: str | None = declare("Why the license could not be read.", default=None)
    remedy: str | None = declare("What to do about the problem, and the command that explains it.", default=None)
    license_status: LicenseStatus | None = declare("The license status, in the terms of WMI.", default=None)
    license_channel: LicenseChannel | None = declare("The channel of the installed key.", default=None)
    partial_product_key: str | None = declare(
        "The last five characters of the key. On Azure Local, of the key for guests.", default=None
    )

    @property
    def licensed(self) -> bool:
        """Whether Windows reported that it is licensed."""
        return self.license_status is LicenseStatus.LICENSED


@dataclass(frozen=True, kw_only=True)
class SeenVm(Seen):
    """A VM: the host's data about it, and the data of Windows inside it."""

    vm_id: str = declare("The GUID of the VM, in lower case.")
    vm_name: str = declare("The VM's name.")
    running: bool = declare("Whether the VM is running.")
    guest_name: str | None = declare("The DNS name of the guest, from Data Exchange.", default=None)
    guest_os: str | None = declare("The name of its operating system, from Data Exchange.", default=None)
    guest_version: str | None = declare(
        "The Windows Server release of the guest. If the guest was not read, from Data Exchange.", default=None
    )
    guest_edition: str | None = declare("The edition of the guest, from the same source.", default=None)
    activated_by_host: str | None = declare(
        "The name of the host that activated the guest, as the guest reports it.", default=None
    )
    last_activation_time: str | None = declare(
        "When a host last activated the guest, in ISO 8601. Windows renews an activation every seven days.",
        default=None,
    )
    minutes_remaining: int | None = declare(
        "Minutes until Windows must renew the activation. 0 if the activation does not end.", default=None
    )

    @property
    def activated(self) -> bool:
        """Whether a host has activated it."""
        return self.licensed and self.license_channel is LicenseChannel.AVMA


@dataclass(frozen=True, kw_only=True)
class SeenHost(Seen):
    """A host and its VMs."""

    host: str = declare("The name of the host, from the request or from its cluster.")
    address: str = declare("The name or address that the provider connects to.")
    cluster: str | None = declare("The cluster that lists the host, as named in the request.", default=None)
    cluster_state: str | None = declare(
        "The state of the host in that cluster: `Up`, `Down`, `Paused`, `Joining`.", default=None
    )
    os_version: str | None = declare("The release of Windows Server or Azure Local.", default=None)
    edition: str | None = declare("The edition of Windows.", default=None)
    activates_guests: bool | None = declare(
        "Whether the host can activate guests now. Absent if the host does not report it.", default=None
    )
    recorded_since: str | None = declare("Since when the license is managed, in ISO 8601.", default=None)
    vms: list[SeenVm] = declare("The VMs of the host, sorted by name.", default=())

    @property
    def covered(self) -> bool:
        """Whether the host has a license for its guests. On Azure Local, its own Windows license does not count."""
        return self.licensed if self.activates_guests is None else self.activates_guests


@dataclass(frozen=True, kw_only=True)
class SeenCluster:
    """A cluster in the request."""

    cluster: str = declare("The cluster, as named in the request.")
    answer: Answer = declare("The result of reading it.")
    problem: str | None = declare("Why the nodes could not be read.", default=None)
    remedy: str | None = declare("What to do about the problem, and the command that explains it.", default=None)
    recorded_since: str | None = declare("Since when the licenses are managed, in ISO 8601.", default=None)


@dataclass(frozen=True, kw_only=True)
class Inventory:
    """The complete result."""

    taken_at: str = declare("When the inventory was completed, in ISO 8601 and UTC.")
    clusters: list[SeenCluster] = declare("The clusters in the request, sorted by name.")
    hosts: list[SeenHost] = declare("The hosts with their VMs, sorted by cluster and name.")

    @property
    def vms(self) -> Iterator[tuple[SeenHost, SeenVm]]:
        """All VMs, each with its host."""
        return ((host, vm) for host in self.hosts for vm in host.vms)

    @property
    def complete(self) -> bool:
        """Whether every machine with a license to report has reported it."""
        hosts = [*(cluster.answer for cluster in self.clusters), *(host.answer for host in self.hosts)]
        vms = [vm.answer for _, vm in self.vms]
        return all(answer is Answer.ANSWERED for answer in hosts) and all(answer in _COMPLETE for answer in vms)

    def redacted(self, redact: Callable[[str], str]) -> Inventory:
        """Return the inventory with redacted texts. All names come from machines, and can contain anything."""
        redacted: Inventory = _redacted(self, functools.cache(redact))
        return redacted


def _redacted(value: Any, redact: Callable[[str], str]) -> Any:
    if isinstance(value, str) and not isinstance(value, Choice):
        return redact(value)
    if isinstance(value, list):
        return [_redacted(each, redact) for each in value]
    if not is_dataclass(value) or isinstance(value, type):
        return value
    found = ((name, getattr(value, name)) for name in _names(type(value)))
    changed = {name: new for name, old in found if (new := _redacted(old, redact)) != old}
    return replace(value, **changed) if changed else value


@functools.cache
def _names(record: type) -> tuple[str, ...]:
    return tuple(each.name for each in fields(record))
