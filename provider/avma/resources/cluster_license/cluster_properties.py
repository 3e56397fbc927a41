"""The inputs and outputs of a ClusterLicense."""

from __future__ import annotations

from dataclasses import dataclass

from avma.addresses import host_name_error
from avma.compatibility import Version
from avma.properties import Choice, declare, redeclare
from avma.resources import preconditions
from avma.resources.machine_license import LicenseOutputs
from avma.settings import AddressedSettings
from avma.windows.licensing import LicenseChannel, LicenseStatus
from avma.wording import setting


class UnreachableNodes(Choice):
    """What the provider does about a node that it cannot reach, but whose license it has verified before."""

    WARN = "warn", "Keep the node's last verified license in the state, with a warning."
    FAIL = "fail", "Report drift in a refresh, and fail in an update."


@dataclass(frozen=True)
class ClusterLicenseInputs:
    """The inputs of a ClusterLicense."""

    cluster: str | None = declare(
        "The DNS name or IP address of the cluster, or of any of its nodes. If you give a name, the provider "
        "connects to the nodes by name, in the same domain. If you give an address, it uses their addresses. Set "
        "either `cluster` or `nodes`.",
        default=None,
        unset="none",
        example="cl01.example.com",
        replaces=True,
        check=host_name_error,
    )
    nodes: list[str] | None = declare(
        "The DNS names or IP addresses of the nodes, if the provider should not ask the cluster for them. Set either "
        "`cluster` or `nodes`.",
        default=None,
        unset="the nodes that `cluster` reports",
        example=["hv01.example.com", "hv02.example.com"],
        check=host_name_error,
    )
    product_key: str | None = declare(
        f"The Windows Server Datacenter volume key for all nodes without a key in {setting('product_keys')}.",
        default=None,
        unset="the existing licenses",
        example="BCDFG-HJKMN-PQRTV-WXY23-46789",
        secret=True,
        check=preconditions.host_key_error,
    )
    product_keys: dict[str, str] | None = declare(
        "The product keys of single nodes, by node name. Use the names in `nodes`, or those that the cluster "
        "reports. Any other name is an error.",
        default=None,
        unset=f"{setting('product_key')} for all nodes",
        example={"hv01": "BCDFG-HJKMN-PQRTV-WXY23-46789"},
        secret=True,
        check=preconditions.host_key_error,
    )
    product_key_version: Version | None = declare(
        "The Windows Server release of the keys. If you set it, a preview rejects keys for the wrong release. On "
        "Azure Local, it also rejects keys older than the existing ones.",
        default=None,
        unset="unknown",
        example="2025",
        applies_later=True,
    )
    activate: bool = declare(
        "Whether to activate Windows after installing the keys. On Azure Local, it must be `true`.", default=True
    )
    unreachable_nodes: UnreachableNodes = declare(
        "What the provider does if it cannot reach a node whose license it has verified before, for example during "
        "maintenance. A node without a verified license is always an error.",
        default=UnreachableNodes.WARN,
        example=UnreachableNodes.FAIL,
        applies_later=True,
    )
    connection: AddressedSettings | None = declare(
        "Connection settings for the cluster and its nodes, where they differ from the provider configuration.",
        default=None,
        unset="the provider configuration",
        example={"username": "LAB\\svc-avma", "password": "${password}"},
        connects=True,
    )


@dataclass(frozen=True)
class NodeLicense:
    """The license of one node, as Windows reports it. Properties that the provider could not read are absent."""

    node: str = declare("The name of the node, in lower case.", example="hv01")
    license_status: LicenseStatus | None = declare(
        "The license status of Windows, in the terms of WMI.", default=None, example="Licensed"
    )
    license_channel: LicenseChannel | None = redeclare(LicenseOutputs, "license_channel")
    partial_product_key: str | None = redeclare(LicenseOutputs, "partial_product_key")
    os_version: str | None = declare(
        "The release of Windows Server or Azure Local, or `build N` for an unknown release.",
        default=None,
        example="2025",
    )
    edition: str | None = declare("The edition of Windows.", default=None, example="Datacenter")
    activates_guests: bool | None = declare("Whether the host can activate guests now.", default=None)
    hyper_v: bool | None = declare(
        "Whether the host has the Hyper-V role. Also `true` if the account is not allowed to see the role. Absent on "
        "Azure Local.",
        default=None,
    )
    key_version: str | None = declare(
        "On Azure Local: the newest Windows Server release that the host's key activates. Absent if the host does "
        "not report it.",
        default=None,
        example="2022",
    )
    machine_id: str | None = declare(
        "The identity of the host: its computer name and firmware UUID. It is the same for each of its names and "
        "addresses.",
        default=None,
        example="hv01.example.com/4c4c4544-0042-3510-8052-b4c04f4d3132",
    )
    error: str | None = declare(
        "Why the provider could not read or license the node.", default=None, example="nothing answers at hv02:5986"
    )


@dataclass(frozen=True)
class ClusterLicenseOutputs:
    """The outputs of a ClusterLicense."""

    node_licenses: list[NodeLicense] = declare("The license of each node, sorted by name.")
    licensed_nodes: int = declare(
        "The number of licensed nodes. On Azure Local, nodes with a license for their guests count.",
        unit="nodes",
        example=4,
    )
    key_version: str | None = declare(
        "On Azure Local: the newest Windows Server release that the keys of all nodes activate. Absent if the nodes "
        "differ.",
        default=None,
        example="2022",
    )
