"""The request for an inventory: hosts and clusters, and the connections to them and their guests."""

from __future__ import annotations

from dataclasses import dataclass, field

from avma.addresses import host_name_error
from avma.configuration import Configuration, GuestDefaults
from avma.properties import declare
from avma.settings import AddressedSettings

_CONNECTION = "How it is reached, where it differs from `settings`."
_GUEST = "How the Windows inside its VMs is reached, where it differs from `settings.guest`."
_RECORDED = "Since when it is under management, in ISO 8601; a stack export tells it."


@dataclass(frozen=True)
class HostRequest:
    """A host to read with its VMs."""

    host: str = declare("The host's DNS name or IP address.", check=host_name_error)
    connection: AddressedSettings | None = declare(_CONNECTION, default=None)
    guest: GuestDefaults | None = declare(_GUEST, default=None)
    recorded_since: str | None = declare(_RECORDED, default=None)


@dataclass(frozen=True)
class ClusterRequest:
    """A failover cluster to read with its nodes. The provider reads the list of nodes from the cluster."""

    cluster: str = declare("The cluster's name, or any of its nodes; DNS name or IP address.", check=host_name_error)
    connection: AddressedSettings | None = declare(_CONNECTION, default=None)
    guest: GuestDefaults | None = declare(_GUEST, default=None)
    recorded_since: str | None = declare(_RECORDED, default=None)


@dataclass(frozen=True)
class InventoryRequest:
    """The hosts and clusters of an inventory, and the default settings."""

    settings: Configuration = field(default_factory=Configuration)
    hosts: tuple[HostRequest, ...] = ()
    clusters: tuple[ClusterRequest, ...] = ()
