"""The inventory: records of hosts, VMs and clusters. Their declared properties form the JSON document."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from avma.properties import Choice, declare
from avma.windows.licensing import LicenseChannel, LicenseStatus


class Answer(Choice):
    """The result of reading a machine."""

    ANSWERED = "answered", "It said what is licensed."
    DOWN = "down", "No conversation took place, or its cluster says that it is down."
    FAILED = "failed", "It was there, and could not or would not tell."
    OFF = "off", "A VM that is not running, which cannot be asked."
    NOT_ASKED = "notAsked", "It was not asked: no account is given for it, or it runs no Windows."


_COMPLETE = (Answer.ANSWERED, Answer.OFF, Answer.NOT_ASKED)
"""The results of a VM that leave no license unknown."""


@dataclass(frozen=True, kw_only=True)
class Seen:
    """The data of one machine. Values that it did not report are absent."""

    answer: Answer = declare("What came of asking it.")
    problem: str | None = declare("Why it does not say what is licensed.", default=None)
    remedy: str | None = declare("What to do about that, and the command that explains it.", default=None)
    license_status: LicenseStatus | None = declare("The licence status, in WMI's words.", default=None)
    license_channel: LicenseChannel | None = declare("How the installed key was issued.", default=None)
    partial_product_key: str | None = declare(
        "The last five characters of its key; on Azure Local, of its key for guests.", default=None
    )

    @property
    def licensed(self) -> bool:
        """Whether Windows reported that it is licensed."""
        return self.license_status is LicenseStatus.LICENSED


@dataclass(frozen=True, kw_only=True)
class SeenVm(Seen):
    """A VM: the host's data about it, and the data of Windows inside it."""

    vm_id: str = declare("The VM's GUID, in lower case.")
    vm_name: str = declare("The VM's name.")
    running: bool = declare("Whether the VM is running.")
    guest_name: str | None = declare("The guest's DNS name, as it tells its host through Data Exchange.", default=None)
    guest_os: str | None = declare("Its operating system in its own words, told in the same way.", default=None)
    guest_version: str | None = declare(
        "Its Windows Server release; of a guest that did not answer, as Data Exchange tells it.", default=None
    )
    guest_edition: str | None = declare("Its edition, from the same source.", default=None)
    activated_by_host: str | None = declare(
        "The host that activated it, by that host's own name, as the guest says.", default=None
    )
    last_activation_time: str | None = declare(
        "When its host last activated it, in ISO 8601; Windows renews an activation every seven days.", default=None
    )
    minutes_remaining: int | None = declare(
        "Minutes until the activation has to be renewed; 0 when it does not end.", default=None
    )

    @property
    def activated(self) -> bool:
        """Whether a host has activated it."""
        return self.licensed and self.license_channel is LicenseChannel.AVMA


@dataclass(frozen=True, kw_only=True)
class SeenHost(Seen):
    """A host and its VMs."""

    host: str = declare("The host, by the name that was given, or that its cluster gives it.")
    address: str = declare("The name or address at which it was asked.")
    cluster: str | None = declare("The cluster that named it, as that was given.", default=None)
    cluster_state: str | None = declare("Its state in that cluster: `Up`, `Down`, `Paused`, `Joining`.", default=None)
    os_version: str | None = declare("Its release, of Windows Server or of Azure Local.", default=None)
    edition: str | None = declare("Its edition.", default=None)
    activates_guests: bool | None = declare(
        "Whether it can activate guests now; absent where that is not told.", default=None
    )
    recorded_since: str | None = declare("Since when its licence is under management.", default=None)
    vms: list[SeenVm] = declare("Its VMs, by name.", default=())

    @property
    def covered(self) -> bool:
        """Whether the host has a license for its guests. On Azure Local, its own Windows license does not count."""
        return self.licensed if self.activates_guests is None else self.activates_guests


@dataclass(frozen=True, kw_only=True)
class SeenCluster:
    """A cluster in the request."""

    cluster: str = declare("The cluster, as it was given.")
    answer: Answer = declare("What came of asking it.")
    problem: str | None = declare("Why it does not tell its nodes.", default=None)
    remedy: str | None = declare("What to do about that, and the command that explains it.", default=None)
    recorded_since: str | None = declare("Since when its licences are under management.", default=None)


@dataclass(frozen=True, kw_only=True)
class Inventory:
    """The complete result."""

    taken_at: str = declare("When the last answer had come, in ISO 8601, UTC.")
    clusters: list[SeenCluster] = declare("The clusters that were asked, by name.")
    hosts: list[SeenHost] = declare("The hosts and their VMs, by cluster and name.")

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
