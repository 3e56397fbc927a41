"""The releases and editions of Windows Server and Azure Stack HCI: builds, SKU numbers, captions and license families.

The sources are `Win32_OperatingSystem` and `PRODUCT_*` of winnt.h. The keys of each release are from "Automatic Virtual
Machine Activation" and "KMS client setup keys" at learn.microsoft.com.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Release:
    """A release of Windows Server.

    `like` is the release with long-term support whose activation rules apply. It determines the guests that a host
    activates. `avma` and `kms` name the release of the accepted published keys, or None without such keys.
    """

    name: str
    number: str
    like: str
    avma: str | None
    kms: str | None
    semi_annual: bool = False


def _long_term(name: str, number: str) -> Release:
    return Release(name, number, name, name, name)


def _semi_annual(name: str, number: str, like: str, avma: str | None, kms: str | None) -> Release:
    return Release(name, number, like, avma, kms, semi_annual=True)


# Oldest first. Inferred (semi-annual-release-after-1909-accepts-no-avma-key): Microsoft publishes no AVMA key for 2004
# and later semi-annual releases, so they accept none.
_SERVER = {
    release.name: release
    for release in (
        _long_term("2012 R2", "6.3.9600"),
        _long_term("2016", "10.0.14393"),
        _semi_annual("1709", "10.0.16299", "2016", avma="2016", kms="1709"),
        _semi_annual("1803", "10.0.17134", "2016", avma="2016", kms="1803"),
        _long_term("2019", "10.0.17763"),
        _semi_annual("1903", "10.0.18362", "2019", avma="2019", kms="20H2"),
        _semi_annual("1909", "10.0.18363", "2019", avma="2019", kms="20H2"),
        _semi_annual("2004", "10.0.19041", "2019", avma=None, kms="20H2"),
        _semi_annual("20H2", "10.0.19042", "2019", avma=None, kms="20H2"),
        _long_term("2022", "10.0.20348"),
        _semi_annual("23H2", "10.0.25398", "2022", avma=None, kms=None),  # the Annual Channel
        _long_term("2025", "10.0.26100"),
    )
}
_LOCAL = {
    name: Release(name, number, "2019", None, None)
    for name, number in {
        "20H2": "10.0.17784",
        "21H2": "10.0.20348",
        "22H2": "10.0.20349",
        "23H2": "10.0.25398",
        "24H2": "10.0.26100",
    }.items()
}
VERSIONS = tuple(name for name, release in _SERVER.items() if not release.semi_annual)
SEMI_ANNUAL = tuple(name for name, release in _SERVER.items() if release.semi_annual)
LOCAL_VERSIONS = tuple(_LOCAL)
AZURE_EDITION, AZURE_LOCAL = "Datacenter Azure Edition", "Azure Stack HCI"
_FIRST_WITH_SUBSCRIPTIONS = 25398
_ANNUAL = "23H2"


@dataclass(frozen=True)
class Edition:
    """An edition: its names, its SKU numbers, and its releases. `core` numbers are for Server Core."""

    name: str
    family: str
    sku: int
    evaluation_sku: int | None
    versions: tuple[str, ...]
    core_sku: int | None = None
    core_evaluation_sku: int | None = None
    semi_annual_sku: int | None = None


# Inferred (license-family-names-the-edition): the license family of Datacenter Azure Edition, taken from its EditionID.
EDITIONS = {
    edition.name: edition
    for edition in (
        Edition("Datacenter", "ServerDatacenter", 8, 80, (*VERSIONS, *SEMI_ANNUAL), 12, 159, 145),
        Edition(
            "Standard",
            "ServerStandard",
            7,
            79,
            (*VERSIONS, *(name for name in SEMI_ANNUAL if name != _ANNUAL)),
            13,
            160,
            146,
        ),
        Edition("Essentials", "ServerSolution", 50, None, ("2012 R2", "2016", "2019")),
        Edition(AZURE_EDITION, "ServerTurbine", 407, None, ("2022", "2025"), 408),
        Edition(AZURE_LOCAL, "ServerAzureStackHCICor", 406, None, LOCAL_VERSIONS),
    )
}


@dataclass(frozen=True)
class Windows:
    """The release and edition of one installation."""

    version: str
    edition: str
    evaluation: bool = False
    server_core: bool = False
    """Whether this is Server Core. A semi-annual release always is."""

    @property
    def _release(self) -> Release:
        return (_LOCAL if self.azure_local else _SERVER)[self.version]

    @property
    def release(self) -> str:
        """The release without the service pack, such as `10.0.26100`."""
        return self._release.number

    @property
    def avma_keys(self) -> str | None:
        """The release of the accepted AVMA keys, or None."""
        return self._release.avma

    @property
    def kms_client_keys(self) -> str | None:
        """The release of the accepted KMS client keys, or None."""
        return self._release.kms

    @property
    def build(self) -> str:
        """The build number."""
        return self.release.rsplit(".", 1)[1]

    @property
    def sku(self) -> int:
        """The `OperatingSystemSKU`."""
        edition = EDITIONS[self.edition]
        if self._release.semi_annual and edition.semi_annual_sku:
            return edition.semi_annual_sku
        wanted = (
            (edition.core_evaluation_sku if self.evaluation else edition.core_sku)
            if self._of_core
            else (edition.evaluation_sku if self.evaluation else None)
        )
        return wanted or edition.sku

    @property
    def _of_core(self) -> bool:
        """Whether the edition itself is a Server Core edition.

        Inferred (server-core-shows-in-family-and-sku): 2012 R2 converts to Server Core and back, so it has no such
        editions.
        """
        return self.server_core and self.version != "2012 R2"

    @property
    def azure_local(self) -> bool:
        """Whether this is Azure Stack HCI (Azure Local) instead of Windows Server."""
        return self.edition == AZURE_LOCAL

    @property
    def supports_powershell_direct(self) -> bool:
        """Whether this release has PowerShell Direct, as a host and as a guest."""
        return self.version != "2012 R2"

    @property
    def knows_subscriptions(self) -> bool:
        """Whether the licensing service has subscription properties."""
        return int(self.build) >= _FIRST_WITH_SUBSCRIPTIONS

    @property
    def family(self) -> str:
        """The `LicenseFamily` of the products, such as `ServerDatacenterEvalCor` (the EditionID)."""
        family = EDITIONS[self.edition].family
        if self._release.semi_annual:
            return f"{family}ACor"
        return family + ("Eval" if self.evaluation else "") + ("Cor" if self._of_core else "")

    @property
    def product_name(self) -> str:
        """The name of the product, such as `Windows Server 2025 Datacenter`."""
        if self.azure_local:
            return AZURE_LOCAL
        if self._release.semi_annual:
            # Inferred (semi-annual-release-has-no-number-in-its-name)
            return f"Windows Server {self.edition}"
        suffix = " Evaluation" if self.evaluation else ""
        return f"Windows Server {self.version} {self.edition}{suffix}"

    def activates(self, guest: Windows) -> bool:
        """Return True if a Windows Server host of this release activates a guest of that release."""
        return self.is_of(guest._release.like)

    def is_of(self, version: str) -> bool:
        """Return True if this is the long-term release of that name, or a later one."""
        return VERSIONS.index(self._release.like) >= VERSIONS.index(version)
