"""The releases and editions of Windows Server and Azure Stack HCI: builds, SKU numbers, captions and license families.

The module knows what Microsoft publishes about them (`Win32_OperatingSystem`, `PRODUCT_*` of winnt.h) and no machine.
"""

from __future__ import annotations

from dataclasses import dataclass

# Oldest first: a host activates guests of its own release and of older ones.
_SERVER = {
    "2012 R2": "6.3.9600",
    "2016": "10.0.14393",
    "2019": "10.0.17763",
    "2022": "10.0.20348",
    "2025": "10.0.26100",
}
_LOCAL = {
    "20H2": "10.0.17784",
    "21H2": "10.0.20348",
    "22H2": "10.0.20349",
    "23H2": "10.0.25398",
    "24H2": "10.0.26100",
}
BUILDS = _SERVER | _LOCAL
VERSIONS = tuple(_SERVER)
LOCAL_VERSIONS = tuple(_LOCAL)
AZURE_EDITION, AZURE_LOCAL = "Datacenter Azure Edition", "Azure Stack HCI"
_FIRST_WITH_SUBSCRIPTIONS = 25398


@dataclass(frozen=True)
class Edition:
    """An edition: its names, its SKU numbers, and the releases that have it."""

    name: str
    family: str
    sku: int
    evaluation_sku: int | None
    versions: tuple[str, ...]


# Inferred: the license family of Datacenter Azure Edition, taken from its EditionID.
EDITIONS = {
    edition.name: edition
    for edition in (
        Edition("Datacenter", "ServerDatacenter", 8, 80, VERSIONS),
        Edition("Standard", "ServerStandard", 7, 79, VERSIONS),
        Edition("Essentials", "ServerSolution", 50, None, ("2012 R2", "2016", "2019")),
        Edition(AZURE_EDITION, "ServerTurbine", 407, None, ("2022", "2025")),
        Edition(AZURE_LOCAL, "ServerAzureStackHCICor", 406, None, LOCAL_VERSIONS),
    )
}


@dataclass(frozen=True)
class Windows:
    """One installation's release and edition."""

    version: str
    edition: str
    evaluation: bool = False

    @property
    def release(self) -> str:
        """The release without the service pack, such as `10.0.26100`."""
        return BUILDS[self.version]

    @property
    def build(self) -> str:
        """The build number."""
        return self.release.rsplit(".", 1)[1]

    @property
    def sku(self) -> int:
        """The `OperatingSystemSKU`."""
        edition = EDITIONS[self.edition]
        return edition.evaluation_sku if self.evaluation and edition.evaluation_sku else edition.sku

    @property
    def azure_local(self) -> bool:
        """Whether this is Azure Stack HCI (Azure Local) and no Windows Server."""
        return self.edition == AZURE_LOCAL

    @property
    def speaks_directly(self) -> bool:
        """Whether it has PowerShell Direct, as a host and as a guest."""
        return self.version != "2012 R2"

    @property
    def knows_subscriptions(self) -> bool:
        """Whether its licensing service has properties of subscriptions."""
        return int(self.build) >= _FIRST_WITH_SUBSCRIPTIONS

    @property
    def family(self) -> str:
        """The `LicenseFamily` of its products."""
        return EDITIONS[self.edition].family + ("Eval" if self.evaluation else "")

    @property
    def product_name(self) -> str:
        """The name of the product, such as `Windows Server 2025 Datacenter`."""
        if self.azure_local:
            return AZURE_LOCAL
        suffix = " Evaluation" if self.evaluation else ""
        return f"Windows Server {self.version} {self.edition}{suffix}"

    def activates(self, guest: Windows) -> bool:
        """Say whether a host of this release of Windows Server activates a guest of that release."""
        return VERSIONS.index(self.version) >= VERSIONS.index(guest.version)
