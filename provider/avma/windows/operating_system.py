"""The Windows release and edition of a machine: WMI class `Win32_OperatingSystem`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from avma import compatibility, errors
from avma.context import Context
from avma.deadline import Deadline
from avma.windows import required_rows
from avma.windows.wmi import Wmi
from avma.wsman.instance import Instance

NAMESPACE = "root/cimv2"

TRIED = "read the operating system"


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


QUERY = "SELECT Version,OperatingSystemSKU FROM Win32_OperatingSystem"


def read(wmi: Wmi, deadline: Deadline) -> System:
    """Read the Windows release and edition of the machine, in one request.

    Raises:
        Refused: it is not a Windows Server of a known edition.
        EmptyAnswer: the account may not read it.
        AvmaError: the machine could not be queried.
    """
    context = Context(TRIED, wmi.where, deadline)
    return of_rows(context, wmi.query(context, NAMESPACE, QUERY))


def of_rows(context: Context, rows: Sequence[Instance], family: str = "") -> System:
    """Return the Windows described by the rows of `QUERY`.

    If no table has the SKU, the license family determines the edition.

    Raises:
        Refused: it is not a Windows Server of a known edition.
        EmptyAnswer: the account may not read it.
        UnexpectedAnswer: the row does not contain a version.
    """
    required_rows.require(context, rows, required_rows.OPERATING_SYSTEM)
    build, sku = build_of(rows[0].text("Version") or ""), rows[0].integer("OperatingSystemSKU") or 0
    if build is None:
        remedy = "check the class Win32_OperatingSystem on the machine"
        raise context.error(errors.UnexpectedAnswer, "WMI reports no version", remedy)
    edition = compatibility.edition_of_sku(sku) or compatibility.edition_of_family(family)
    if edition is None:
        answer = f"it runs an edition of Windows (SKU {sku}, build {build}) that does not support automatic activation"
        raise context.error(errors.Refused, answer, "declare a machine with Windows Server")
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
    required_rows.require(context, rows, required_rows.COMPUTER)
    return next((row.text("UUID") or "" for row in rows), "")


def build_of(version: str) -> int | None:
    """Return the build number in a version such as "10.0.20348.1". None if the text has no build number."""
    parts = version.split(".")
    return int(parts[2]) if len(parts) > 2 and parts[2].isdigit() else None
