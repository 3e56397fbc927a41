"""A computer as WMI describes it: its Windows release and edition, its firmware UUID, and its identity.

The identity of a host is independent of the name or address of the connection. The firmware UUID
(`Win32_ComputerSystemProduct.UUID`, SMBIOS structure 1) is not enough. Firmware without a UUID reports all zeros or all
F (DMTF DSP0134 7.2.1). FOGProject/fogproject#196 shows many machines with all F. Some products ship one UUID in every
unit (tianocore/edk2-platforms#276). So the computer name and its domain (`Win32_ComputerSystem`) are part of the
identity. Two names of one machine report the same pair, and two machines with one UUID differ by name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from avma import compatibility, errors
from avma.context import Context
from avma.deadline import Deadline
from avma.windows.wmi import COMPUTER, COMPUTER_SYSTEM, OPERATING_SYSTEM, Wmi, require_row
from avma.wsman.instance import Instance

NAMESPACE = "root/cimv2"

READ_SYSTEM = "read the operating system"


@dataclass(frozen=True)
class System:
    """A Windows Server or Azure Stack HCI.

    Attributes:
        build: the build number.
        edition: the edition.
        evaluation: whether it is an evaluation edition.
        core: whether it is installed as Server Core, as far as known.
        semi_annual: whether it is a semi-annual release, as far as known.
    """

    build: int
    edition: str
    evaluation: bool
    core: bool = False
    semi_annual: bool = False

    @property
    def version(self) -> str:
        """The release: "2022" as in the key tables, "23H2" for Azure Local, or "build N" for an unknown build."""
        table = compatibility.local_release_of_build if self.azure_local else compatibility.version_of_build
        return table(self.build) or f"build {self.build}"

    @property
    def azure_local(self) -> bool:
        """Whether it is Azure Stack HCI / Azure Local, not Windows Server."""
        return self.edition == compatibility.AZURE_LOCAL

    def __str__(self) -> str:
        if self.azure_local:
            return f"{self.edition} {self.version}"
        suffix = " Evaluation" if self.evaluation else ""
        return f"Windows Server {self.version} {self.edition}{suffix}"


SYSTEM_QUERY = "SELECT Version,OperatingSystemSKU FROM Win32_OperatingSystem"


def read_system(wmi: Wmi, deadline: Deadline) -> System:
    """Read the Windows release and edition of the machine, in one request.

    Raises:
        NotEligible: it is not a Windows Server of a known edition.
        EmptyAnswer: the account may not read it.
        AvmaError: the machine could not be queried.
    """
    context = Context(READ_SYSTEM, wmi.where, deadline)
    return system_of(context, wmi.query(context, NAMESPACE, SYSTEM_QUERY))


def system_of(context: Context, rows: Sequence[Instance], family: str = "") -> System:
    """Return the Windows described by the rows of `SYSTEM_QUERY`.

    If no table has the SKU, the license family determines the edition.

    Raises:
        NotEligible: it is not a Windows Server of a known edition.
        EmptyAnswer: the account may not read it.
        UnexpectedAnswer: the row does not contain a version.
    """
    require_row(context, rows, OPERATING_SYSTEM)
    build, sku = build_of(rows[0].text("Version") or ""), rows[0].integer("OperatingSystemSKU") or 0
    if build is None:
        remedy = "run `(Get-CimInstance Win32_OperatingSystem).Version` on the machine, and check its output"
        raise context.error(errors.UnexpectedAnswer, "WMI reports no version", remedy)
    edition = compatibility.edition_of_sku(sku) or compatibility.edition_of_family(family)
    if edition is None:
        answer = f"it runs an edition of Windows (SKU {sku}, build {build}) that does not support automatic activation"
        raise context.error(errors.NotEligible, answer, "declare a machine with Windows Server")
    evaluation, core = sku in compatibility.EVALUATION_SKUS, sku in compatibility.CORE_SKUS
    return System(
        build,
        edition,
        evaluation=evaluation or "Eval" in family,
        core=core or family.endswith(("Cor", "Core")),
        semi_annual=sku in compatibility.SEMI_ANNUAL_SKUS,
    )


def firmware_uuid(wmi: Wmi, deadline: Deadline) -> str:
    """Return the firmware UUID of the machine: `Win32_ComputerSystemProduct.UUID`.

    Raises:
        EmptyAnswer: the account may not read it.
        AvmaError: the machine could not be queried.
    """
    context = Context("identify the machine", wmi.where, deadline)
    rows = wmi.query(context, NAMESPACE, "SELECT UUID FROM Win32_ComputerSystemProduct")
    require_row(context, rows, COMPUTER)
    return next((row.text("UUID") or "" for row in rows), "")


def build_of(version: str) -> int | None:
    """Return the build number in a version such as "10.0.20348.1". None if the text has no build number."""
    parts = version.split(".")
    return int(parts[2]) if len(parts) > 2 and parts[2].isdigit() else None


_IDENTITY_QUERIES = (
    "SELECT UUID FROM Win32_ComputerSystemProduct",
    "SELECT Name,Domain FROM Win32_ComputerSystem",
)


def read_identity(wmi: Wmi, deadline: Deadline) -> str:
    """Return the identity of a host, such as `hv01.example.com/4c4c4544-0042-3510-8052-b4c04f4d3132`.

    Without a usable firmware UUID, the identity is the computer name and domain alone.

    Raises:
        EmptyAnswer: the account may not read it. Without its UUID, the host would seem to be another machine.
        AvmaError: the host could not be queried.
        UnexpectedAnswer: the host reports no computer name.
    """
    context = Context("identify the machine", wmi.where, deadline)
    products, systems = wmi.query_all(context, NAMESPACE, _IDENTITY_QUERIES)
    require_row(context, products, COMPUTER)
    require_row(context, systems, COMPUTER_SYSTEM)
    firmware, system = (products[0].text("UUID") or "").strip("{} ").lower(), systems[0]
    name = (system.text("Name") or "").lower()
    if not name:
        remedy = "run `(Get-CimInstance Win32_ComputerSystem).Name` on the machine, and check its output"
        raise context.error(errors.UnexpectedAnswer, "WMI reports no computer name", remedy)
    domain = (system.text("Domain") or "").lower()
    full_name = f"{name}.{domain}" if domain else name
    return f"{full_name}/{firmware}" if _usable(firmware) else full_name


def may_be_same(first: str, second: str) -> bool:
    """Return True if two identities can belong to one machine: they are equal, or share a firmware UUID.

    The computer name can have changed since an identity was stored.
    """
    if first == second:
        return True
    firmware = [identity.partition("/")[2] for identity in (first, second)]
    return bool(firmware[0]) and firmware[0] == firmware[1]


def _usable(firmware: str) -> bool:
    return len(set(firmware) - {"-", "0"}) > 0 and set(firmware) != {"f", "-"}
