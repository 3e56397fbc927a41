"""What a user declares of a ClusterLicense, and what Windows says of its nodes."""

from __future__ import annotations

from dataclasses import dataclass

from avma.addresses import host_name_error
from avma.compatibility import Version
from avma.properties import declare
from avma.resources import rules
from avma.settings import AddressedSettings
from avma.windows.licensing import LicenseChannel, LicenseStatus


@dataclass(frozen=True)
class ClusterLicenseInputs:
    """What a user declares of the licences of a cluster."""

    cluster: str | None = declare(
        "The cluster's name, or any of its nodes; DNS name or IP address. With a name the nodes are reached by their "
        "names, in the same domain; with an address by theirs. Give this or `nodes`.",
        default=None,
        unset="none, where `nodes` is given",
        example="cl01.example.com",
        replaces=True,
        check=host_name_error,
    )
    nodes: list[str] | None = declare(
        "The nodes, where the cluster is not to be asked for them.",
        default=None,
        unset="those that `cluster` tells",
        example=["hv01.example.com", "hv02.example.com"],
        check=host_name_error,
    )
    product_key: str | None = declare(
        "The Windows Server Datacenter volume key for all nodes that `productKeys` does not name.",
        default=None,
        unset="they keep the licence that they have",
        example="BCDFG-HJKMN-PQRTV-WXY23-46789",
        secret=True,
        check=rules.host_key_error,
    )
    product_keys: dict[str, str] | None = declare(
        "The keys of single nodes, by the name that `nodes` gives the node, or the cluster tells. "
        "A name that is no node's is refused.",
        default=None,
        unset="`productKey` is for all nodes",
        example={"hv01": "BCDFG-HJKMN-PQRTV-WXY23-46789"},
        secret=True,
        check=rules.host_key_error,
    )
    product_key_version: Version | None = declare(
        "The Windows Server release that the keys are for. A key does not show it; with it, keys that do not fit are "
        "found in the preview.",
        default=None,
        unset="not known",
        example="2025",
    )
    activate: bool = declare("Whether to activate Windows once the keys are installed.", default=True)
    connection: AddressedSettings | None = declare(
        "How cluster and nodes are reached, where it differs from the provider's configuration.",
        default=None,
        unset="as the provider's configuration says",
        example={"username": "LAB\\svc-avma", "password": "${password}"},
    )


@dataclass(frozen=True)
class NodeLicense:
    """What Windows says of the licence of one node; what could not be asked is absent."""

    node: str = declare("The node's name, in lower case.", example="hv01")
    license_status: LicenseStatus | None = declare(
        "The licence status, in WMI's words.", default=None, example="Licensed"
    )
    license_channel: LicenseChannel | None = declare(
        "How the installed key was issued.", default=None, example="VOLUME_MAK"
    )
    partial_product_key: str | None = declare(
        "The last five characters of the installed key.", default=None, example="46789"
    )
    os_version: str | None = declare("Its release, of Windows Server or of Azure Local.", default=None, example="2025")
    edition: str | None = declare("Its edition.", default=None, example="Datacenter")
    activates_guests: bool | None = declare("Whether it can activate guests now.", default=None)
    hyper_v: bool | None = declare(
        "Whether the Hyper-V role is installed; true if the account may not see it, and absent on Azure Local.",
        default=None,
    )
    key_version: str | None = declare(
        "The newest Windows Server release that its key activates, on Azure Local.", default=None, example="2022"
    )
    machine_id: str | None = declare(
        "Its identity, the same under each name and address: its computer name and its firmware's UUID.",
        default=None,
        example="hv01.example.com/4c4c4544-0042-3510-8052-b4c04f4d3132",
    )
    error: str | None = declare(
        "Why it could not be asked, or not be licensed.", default=None, example="nothing answers at hv02:5986"
    )


@dataclass(frozen=True)
class ClusterLicenseOutputs:
    """What Windows says of the licences of a cluster."""

    node_licenses: list[NodeLicense] = declare("Each node's licence, by name.")
    licensed_nodes: int = declare(
        "How many nodes are licensed; on Azure Local, for their guests.", unit="nodes", example=4
    )
    key_version: str | None = declare(
        "The newest Windows Server release that the keys of all nodes activate, on Azure Local.",
        default=None,
        example="2022",
    )
