"""The rights that each operation needs, and docs/rights.md with these tables.

`python tools/rights.py > docs/rights.md` writes the page. `tests/core/rights` runs each operation with exactly these
rights, and without each of them. A test fails if the committed page is stale.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

PAGE = Path(__file__).resolve().parent.parent / "docs" / "rights.md"


class Right(Enum):
    """A right of an account: its short name in the tables, its meaning, and its words in the error without it."""

    def __init__(self, title: str, meaning: str, *words: str) -> None:
        self.title = title
        self.meaning = meaning
        self.words = words

    ADMINISTRATOR = (
        "administrator",
        "Membership in the group Administrators. It includes all other rights of this list.",
        "administrator of the machine",
    )
    MANAGEMENT = (
        "WinRM",
        "Membership in the group Remote Management Users (SID S-1-5-32-580).",
        "Remote Management Users",
        "S-1-5-32-580",
    )
    CIMV2 = (
        "`root\\cimv2`",
        "Enable Account and Remote Enable on the WMI namespace `root\\cimv2`.",
        "Remote Enable on root/cimv2",
    )
    VIRTUALIZATION = (
        "`root\\virtualization\\v2`",
        "Enable Account and Remote Enable on the WMI namespace `root\\virtualization\\v2`.",
        "Remote Enable on root/virtualization/v2",
    )
    VIRTUALIZATION_METHODS = (
        "methods of `root\\virtualization\\v2`",
        "Execute Methods on the WMI namespace `root\\virtualization\\v2`.",
        "Execute Methods on root/virtualization/v2",
    )
    HYPER_V = (
        "Hyper-V",
        "Membership in the group Hyper-V Administrators (SID S-1-5-32-578).",
        "Hyper-V Administrators",
        "S-1-5-32-578",
    )
    MSCLUSTER = (
        "`root\\mscluster`",
        "Enable Account and Remote Enable on the WMI namespace `root\\mscluster`.",
        "Remote Enable on root/mscluster",
    )
    CLUSTER = ("cluster", "Read access to the failover cluster.", "Grant-ClusterAccess")
    SCRIPTS = (
        "scripts",
        "The right to open a PowerShell session. Members of Remote Management Users have it by default.",
        "PowerShell remoting",
        "Enable-PSRemoting",
    )
    JEA = (
        "JEA",
        "An entry in a session configuration of [`avma jea`](how-to/hardening.md#restrict-powershell-with-jea), and "
        "`configurationName` in the settings of the host.",
        "avma jea",
    )
    GUEST = ("account", "Any account of the guest.", "guest.username")
    GUEST_ADMINISTRATOR = (
        "administrator",
        "Membership in the group Administrators of the guest. It includes all other rights of this list.",
        "administrator of the machine",
    )
    GUEST_MANAGEMENT = (
        "WinRM",
        "Membership in the group Remote Management Users of the guest.",
        "Remote Management Users",
        "S-1-5-32-580",
    )
    GUEST_CIMV2 = (
        "`root\\cimv2`",
        "Enable Account and Remote Enable on `root\\cimv2` of the guest.",
        "Remote Enable on root/cimv2",
    )


Rights = tuple[Right, ...]
_NONE: Rights = ()
_HOST: Rights = (Right.MANAGEMENT, Right.CIMV2)
_VMS: Rights = (Right.MANAGEMENT, Right.VIRTUALIZATION, Right.HYPER_V)
_HOST_AND_VMS: Rights = (Right.MANAGEMENT, Right.CIMV2, Right.VIRTUALIZATION, Right.HYPER_V)
_DIRECT: Rights = (*_HOST_AND_VMS, Right.SCRIPTS)
_CLUSTER: Rights = (Right.MANAGEMENT, Right.MSCLUSTER, Right.CLUSTER)
_CLUSTER_NODES: Rights = (*_HOST, Right.MSCLUSTER, Right.CLUSTER)
_GUEST_OVER_NETWORK: Rights = (Right.GUEST_MANAGEMENT, Right.GUEST_CIMV2)
_ADMINISTRATOR: Rights = (Right.ADMINISTRATOR,)
_GUEST_ADMINISTRATOR: Rights = (Right.GUEST_ADMINISTRATOR,)


@dataclass(frozen=True)
class Row:
    """An operation: its name, and what the account of the host and the account of the guest need."""

    name: str
    host: Rights
    guest: Rights = ()

    @property
    def rights(self) -> Rights:
        """All rights of the operation."""
        return self.host + self.guest


@dataclass(frozen=True)
class Table:
    """The operations of one kind, and notes below their table."""

    title: str
    rows: tuple[Row, ...]
    note: str = ""


def _vm_rows(finding: Rights, read_in_guest: Rights, reading: Rights = ()) -> tuple[Row, ...]:
    """Return the operations of a VmActivation or a ClusterActivation. Only some read the license of the host."""
    reading = reading or (*finding, Right.CIMV2)
    managing = reading if Right.ADMINISTRATOR in reading else (*reading, Right.VIRTUALIZATION_METHODS)
    return (
        Row("preview", reading, read_in_guest),
        Row("refresh", finding, read_in_guest),
        Row("import", finding, read_in_guest),
        Row("create", reading, _GUEST_ADMINISTRATOR),
        Row("update", reading, _GUEST_ADMINISTRATOR),
        Row("create with `manageDataExchange`", managing, _GUEST_ADMINISTRATOR),
        Row("delete with `retain`", _NONE),
        Row("delete with `uninstallKey`", finding, _GUEST_ADMINISTRATOR),
        Row("delete with `restoreKmsClientKey`", finding, _GUEST_ADMINISTRATOR),
    )


def _cluster_rows(reading: Rights, changing: Rights) -> tuple[Row, ...]:
    """Return the operations of a ClusterLicense."""
    return (
        Row("preview", reading),
        Row("refresh", reading),
        Row("import", reading),
        Row("create", changing),
        Row("update", changing),
        Row("delete", _NONE),
    )


_ON_AZURE_LOCAL = (
    "Inferred (server-avma-cmdlets-need-an-administrator): the cmdlets of ServerAVMAManager need an administrator,\n"
    "also to read. The provider rejects `uninstallKey` on Azure Local."
)
_READS_ON_AZURE_LOCAL = (
    "The operations with an administrator read the license of the machine with the cmdlets of ServerAVMAManager."
)
_WITH_JEA = "Write the files with `avma jea --azure-local`."

TABLES = (
    Table(
        "HostLicense on Windows Server",
        (
            Row("preview", _HOST),
            Row("refresh", _HOST),
            Row("import", _HOST),
            Row("create with an existing license", _HOST),
            Row("create", _ADMINISTRATOR),
            Row("update", _ADMINISTRATOR),
            Row("delete with `retain`", _NONE),
            Row("delete with `uninstallKey`", _ADMINISTRATOR),
        ),
    ),
    Table(
        "HostLicense on Azure Local",
        (
            Row("preview", _ADMINISTRATOR),
            Row("refresh", _ADMINISTRATOR),
            Row("import", _ADMINISTRATOR),
            Row("create with an existing license", _ADMINISTRATOR),
            Row("create", _ADMINISTRATOR),
            Row("update", _ADMINISTRATOR),
            Row("delete with `retain`", _NONE),
        ),
        _ON_AZURE_LOCAL,
    ),
    Table(
        "HostLicense on Azure Local with JEA",
        (
            Row("preview", (*_HOST, Right.JEA)),
            Row("refresh", (*_HOST, Right.JEA)),
            Row("import", (*_HOST, Right.JEA)),
            Row("create with an existing license", (*_HOST, Right.JEA)),
            Row("create", (*_HOST, Right.JEA)),
            Row("update", (*_HOST, Right.JEA)),
            Row("delete with `retain`", _NONE),
        ),
        f"The virtual account of the session is the administrator. {_WITH_JEA}",
    ),
    Table(
        "ClusterLicense",
        _cluster_rows(_CLUSTER_NODES, _ADMINISTRATOR),
        "The account needs the rights on each node. With `nodes` instead of `cluster`, no operation reads the cluster.",
    ),
    Table(
        "ClusterLicense on Azure Local",
        _cluster_rows(_ADMINISTRATOR, _ADMINISTRATOR),
        "The account must be an administrator of each node.",
    ),
    Table(
        "ClusterLicense on Azure Local with JEA",
        _cluster_rows((*_CLUSTER_NODES, Right.JEA), (*_CLUSTER_NODES, Right.JEA)),
        f"Register the session configuration on each node. {_WITH_JEA}",
    ),
    Table(
        "ClusterActivation through the hosts (PowerShell Direct)",
        _vm_rows((*_VMS, Right.SCRIPTS), (Right.GUEST,)),
        "The account needs the rights on each host.",
    ),
    Table(
        "ClusterActivation with `cluster` instead of `hosts`",
        _vm_rows((*_VMS, Right.SCRIPTS, Right.MSCLUSTER, Right.CLUSTER), (Right.GUEST,)),
        "The other ways to the guests also need the two additional rights.",
    ),
    Table("ClusterActivation through the hosts with JEA", _vm_rows((*_VMS, Right.JEA), (Right.GUEST,))),
    Table("ClusterActivation over the network (`guest.transport: winrm`)", _vm_rows(_VMS, _GUEST_OVER_NETWORK)),
    Table(
        "ClusterActivation on Azure Local through the hosts",
        _vm_rows((*_VMS, Right.SCRIPTS), (Right.GUEST,), _ADMINISTRATOR),
        _READS_ON_AZURE_LOCAL,
    ),
    Table("ClusterActivation on Azure Local through the hosts with JEA", _vm_rows((*_VMS, Right.JEA), (Right.GUEST,))),
    Table("VmActivation through the host (PowerShell Direct)", _vm_rows((*_VMS, Right.SCRIPTS), (Right.GUEST,))),
    Table("VmActivation through the host with JEA", _vm_rows((*_VMS, Right.JEA), (Right.GUEST,))),
    Table("VmActivation over the network (`guest.transport: winrm`)", _vm_rows(_VMS, _GUEST_OVER_NETWORK)),
    Table(
        "VmActivation on Azure Local through the host",
        _vm_rows((*_VMS, Right.SCRIPTS), (Right.GUEST,), _ADMINISTRATOR),
        _READS_ON_AZURE_LOCAL,
    ),
    Table("VmActivation on Azure Local through the host with JEA", _vm_rows((*_VMS, Right.JEA), (Right.GUEST,))),
    Table(
        "VmActivation on Azure Local over the network",
        _vm_rows(_VMS, _GUEST_OVER_NETWORK, _ADMINISTRATOR),
        _READS_ON_AZURE_LOCAL,
    ),
    Table(
        "VmActivation on Azure Local over the network with JEA",
        _vm_rows(_VMS, _GUEST_OVER_NETWORK, (*_HOST_AND_VMS, Right.JEA)),
    ),
    Table(
        "Functions",
        (
            Row("`getAvmaKey`", _NONE),
            Row("`getCompatibility`", _NONE),
            Row("`getHostLicense`", _HOST),
            Row("`getHostVms`", _VMS),
            Row("`getVmActivation` through the host", (*_VMS, Right.SCRIPTS), (Right.GUEST,)),
            Row("`getVmActivation` over the network", _VMS, _GUEST_OVER_NETWORK),
            Row("`getClusterGuests` through the hosts", (*_VMS, Right.SCRIPTS), (Right.GUEST,)),
            Row("`getClusterGuests` over the network", _VMS, _GUEST_OVER_NETWORK),
            Row("`getClusterNodes` with licenses", _CLUSTER_NODES),
            Row("`getClusterNodes` without licenses", _CLUSTER),
        ),
        "If the account cannot read the license of a node, `getClusterNodes` returns an `error` for this node.",
    ),
    Table(
        "Functions on Azure Local",
        (
            Row("`getHostLicense`", _ADMINISTRATOR),
            Row("`getHostVms`", _VMS),
            Row("`getVmActivation` through the host", (*_VMS, Right.SCRIPTS), (Right.GUEST,)),
            Row("`getVmActivation` over the network", _VMS, _GUEST_OVER_NETWORK),
            Row("`getClusterGuests` through the hosts", (*_VMS, Right.SCRIPTS), (Right.GUEST,)),
            Row("`getClusterGuests` over the network", _VMS, _GUEST_OVER_NETWORK),
            Row("`getClusterNodes` with licenses", _ADMINISTRATOR),
            Row("`getClusterNodes` without licenses", _CLUSTER),
        ),
    ),
    Table(
        "Functions on Azure Local with JEA",
        (
            Row("`getHostLicense`", (*_HOST, Right.JEA)),
            Row("`getHostVms`", _VMS),
            Row("`getVmActivation` through the host", (*_VMS, Right.JEA), (Right.GUEST,)),
            Row("`getVmActivation` over the network", _VMS, _GUEST_OVER_NETWORK),
            Row("`getClusterGuests` through the hosts", (*_VMS, Right.JEA), (Right.GUEST,)),
            Row("`getClusterGuests` over the network", _VMS, _GUEST_OVER_NETWORK),
            Row("`getClusterNodes` with licenses", (*_CLUSTER_NODES, Right.JEA)),
            Row("`getClusterNodes` without licenses", _CLUSTER),
        ),
    ),
    Table(
        "Commands",
        (
            Row("`avma report`", _DIRECT, (Right.GUEST,)),
            Row("`avma report --guest-transport winrm`", _HOST_AND_VMS, _GUEST_OVER_NETWORK),
            Row("`avma doctor`", _DIRECT),
            Row("`avma doctor --guest-transport winrm`", _HOST_AND_VMS),
            Row("`avma doctor` on a node of a cluster", (*_DIRECT, Right.MSCLUSTER, Right.CLUSTER)),
        ),
        "Neither command changes a machine.",
    ),
    Table(
        "Commands on Azure Local",
        (
            Row("`avma report`", _ADMINISTRATOR, (Right.GUEST,)),
            Row("`avma report --guest-transport winrm`", _ADMINISTRATOR, _GUEST_OVER_NETWORK),
            Row("`avma doctor`", _ADMINISTRATOR),
            Row("`avma doctor --guest-transport winrm`", _ADMINISTRATOR),
        ),
    ),
    Table(
        "Commands on Azure Local with JEA",
        (
            Row("`avma report`", (*_HOST_AND_VMS, Right.JEA), (Right.GUEST,)),
            Row("`avma report --guest-transport winrm`", (*_HOST_AND_VMS, Right.JEA), _GUEST_OVER_NETWORK),
            Row("`avma doctor`", (*_HOST_AND_VMS, Right.JEA)),
            Row("`avma doctor --guest-transport winrm`", (*_HOST_AND_VMS, Right.JEA)),
        ),
    ),
)

_HEAD = """\
<!-- Generated by tools/rights.py; do not edit. -->

# Rights of the accounts

This page lists the rights that each operation needs, for the account of the host and for the account of the guest.
[Harden accounts and connections](how-to/hardening.md) has the commands that grant them.

The simulator models these rights. A test runs each operation with exactly the rights in its row, and another one
without each of them. The operation then fails with an error that names the right and the remedy. No test has run on
Windows. [The sources](#sources) say what Microsoft documents, and name the assumptions."""

_SOURCES = """\
## Sources

- **administrator:** the methods of the licensing service need elevated rights (`SL_E_LUA_ACCESSDENIED`, 0xC004F025, and
  Microsoft's Volume Activation guide). The guide also says that standard users can read the licensing classes.
- **WinRM, scripts:** the group Remote Management Users exists for WMI over WS-Management, in namespaces that grant
  access (its description in Windows). It is in the ACL of the session configuration `Microsoft.PowerShell`, besides
  Administrators.
- **WMI namespaces:** "Managing WMI security" on TechNet. By default, administrators have full control, and all others
  have rights on the local computer only.
- **Hyper-V:** without the group, Windows lists no VM and reports no error. Several public reports show it. For
  PowerShell Direct, Microsoft Learn requires a Hyper-V administrator of the host and any valid account of the guest.
- **cluster:** `Grant-ClusterAccess` on Microsoft Learn. Inferred (cluster-shows-nothing-to-a-user): without the right,
  the list is empty.
- **JEA:** "JEA session configurations" on Microsoft Learn. The entries in `RoleDefinitions` become the ACL of the
  session configuration. Inferred (virtual-account-of-hyper-v-administrators-reaches-guests): a virtual account in
  Hyper-V Administrators is enough for PowerShell Direct."""


def page() -> str:
    """Return the whole page."""
    parts = [
        _HEAD,
        "## The rights",
        "On the host:",
        _meanings(_of_host(True)),
        "In the guest:",
        _meanings(_of_host(False)),
    ]
    for table in TABLES:
        parts += [f"## {table.title}", _table(table.rows), *([table.note] if table.note else [])]
    return "\n\n".join([*parts, _SOURCES]) + "\n"


def _of_host(wanted: bool) -> list[Right]:
    return [right for right in Right if right.name.startswith("GUEST") is not wanted]


def _meanings(rights: Iterable[Right]) -> str:
    lines = (f"| {right.title} | {right.meaning} |" for right in rights)
    return "\n".join(["| right | meaning |", "|---|---|", *lines])


def _table(rows: Iterable[Row]) -> str:
    return "\n".join(_lines(rows))


def _lines(rows: Iterable[Row]) -> Iterator[str]:
    yield "| operation | on the host | in the guest |"
    yield "|---|---|---|"
    for row in rows:
        yield f"| {row.name} | {_titles(row.host)} | {_titles(row.guest)} |"


def _titles(rights: Rights) -> str:
    return ", ".join(right.title for right in Right if right in rights) or "nothing"


if __name__ == "__main__":
    print(page(), end="")
