"""The request for an inventory: hosts and clusters, and the connections to them and their guests."""

from __future__ import annotations

from dataclasses import dataclass, field

from avma.addresses import host_name_error
from avma.configuration import Configuration, GuestDefaults
from avma.properties import declare
from avma.settings import AddressedSettings

_CONNECTION = "Connection settings, where they differ from `settings`."
_GUEST = "Connection settings for Windows inside the VMs, where they differ from `settings.guest`."
_RECORDED = "Since when it is managed, in ISO 8601, as in a stack export."


@dataclass(frozen=True)
class HostRequest:
    """A host to read with its VMs."""

    host: str = declare("The DNS name or IP address of the host.", check=host_name_error)
    connection: AddressedSettings | None = declare(_CONNECTION, default=None)
    guest: GuestDefaults | None = declare(_GUEST, default=None)
    recorded_since: str | None = declare(_RECORDED, default=None)


@dataclass(frozen=True)
class ClusterRequest:
    """A failover cluster to read with its nodes. The provider reads the list of nodes from the cluster."""

    cluster: str = declare("The DNS name or IP address of the cluster, or of any of its nodes.", check=host_name_error)
    connection: AddressedSettings | None = declare(_CONNECTION, default=None)
    guest: GuestDefaults | None = declare(_GUEST, default=None)
    recorded_since: str | None = declare(_RECORDED, default=None)


@dataclass(frozen=True)
class InventoryRequest:
    """The hosts and clusters of an inventory, and the default settings."""

    settings: Configuration = field(default_factory=Configuration)
    hosts: tuple[HostRequest, ...] = ()
    clusters: tuple[ClusterRequest, ...] = ()
