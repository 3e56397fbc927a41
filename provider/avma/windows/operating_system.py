"""Which Windows a machine runs: WMI class `Win32_OperatingSystem`."""

from __future__ import annotations

from dataclasses import dataclass

from avma import compatibility, errors
from avma.deadline import Deadline
from avma.windows import required_rows
from avma.windows.wmi import Wmi

NAMESPACE = "root/cimv2"

_TRIED = "read the operating system"


@dataclass(frozen=True)
class System:
    """A Windows Server or Azure Stack HCI: its build number, its edition, and whether it is an evaluation."""

    build: int
    edition: str
    evaluation: bool

    @property
    def version(self) -> str:
        """The release: "2022", whose keys it takes, or "23H2" of Azure Local; "build N" when no table names it."""
        table = compatibility.local_release_of_build if self.azure_local else compatibility.version_of_build
        return table(self.build) or f"build {self.build}"

    @property
    def azure_local(self) -> bool:
        """Whether it is Azure Stack HCI / Azure Local, and no Windows Server."""
        return self.edition == compatibility.AZURE_LOCAL

    def __str__(self) -> str:
        if self.azure_local:
            return f"{self.edition} {self.version}"
        suffix = " Evaluation" if self.evaluation else ""
        return f"Windows Server {self.version} {self.edition}{suffix}"


def read(wmi: Wmi, deadline: Deadline) -> System:
    """Ask the machine which Windows it runs: one request.

    Raises:
        Refused: it is not a Windows Server of a known edition.
        EmptyAnswer: the account may not read it.
        AvmaError: the machine could not be asked.
    """
    query = "SELECT Version,OperatingSystemSKU FROM Win32_OperatingSystem"
    rows = wmi.query(NAMESPACE, query, deadline, _TRIED)
    required_rows.require(rows, required_rows.OPERATING_SYSTEM, _TRIED, wmi.where)
    row = rows[0]
    build = build_of(row.text("Version") or "")
    if build is None:
        remedy = "look at the class Win32_OperatingSystem there"
        raise errors.UnexpectedAnswer(_TRIED, wmi.where, "WMI tells no version", remedy)
    sku = row.integer("OperatingSystemSKU") or 0
    edition = compatibility.edition_of_sku(sku)
    if edition is None:
        answer = f"it runs an edition of Windows (SKU {sku}, build {build}) that has no part in automatic activation"
        raise errors.Refused(_TRIED, wmi.where, answer, "declare a Windows Server here")
    return System(build, edition, evaluation=sku in compatibility.EVALUATION_SKUS)


def firmware_uuid(wmi: Wmi, deadline: Deadline) -> str:
    """Return the UUID of the machine's firmware: `Win32_ComputerSystemProduct.UUID`.

    Raises:
        EmptyAnswer: the account may not read it.
        AvmaError: the machine could not be asked.
    """
    tried = "identify the machine"
    rows = wmi.query(NAMESPACE, "SELECT UUID FROM Win32_ComputerSystemProduct", deadline, tried)
    required_rows.require(rows, required_rows.COMPUTER, tried, wmi.where)
    return next((row.text("UUID") or "" for row in rows), "")


def build_of(version: str) -> int | None:
    """Return the build number in a version such as "10.0.20348.1"."""
    parts = version.split(".")
    return int(parts[2]) if len(parts) > 2 and parts[2].isdigit() else None
