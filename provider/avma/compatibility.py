"""Windows Server releases and editions, and the guests that each host can activate.

Source: learn.microsoft.com/windows-server/get-started/automatic-vm-activation. The row for a 2025 host follows from its
license terms (2016 to 2025) and, for 2012 R2, from the general rule that a host activates guests up to its own version.
Semi-annual releases use the keys of the long-term release before them.
"""

from __future__ import annotations

import re

from avma.properties import Choice

DATACENTER = "Datacenter"
STANDARD = "Standard"
ESSENTIALS = "Essentials"
AZURE_EDITION = "Datacenter Azure Edition"
AZURE_LOCAL = "Azure Stack HCI"


class Version(Choice):
    """A Windows Server release. Each semi-annual release belongs to the long-term release before it."""

    R2012 = "2012 R2", "Windows Server 2012 R2."
    R2016 = "2016", "Windows Server 2016, 1709 and 1803."
    R2019 = "2019", "Windows Server 2019, 1809, 1903 and 1909."
    R2022 = "2022", "Windows Server 2022."
    R2025 = "2025", "Windows Server 2025."


class Edition(Choice):
    """An edition of Windows Server with AVMA keys."""

    DATACENTER = DATACENTER, "Datacenter."
    STANDARD = STANDARD, "Standard."
    ESSENTIALS = ESSENTIALS, "Essentials, up to 2019."
    AZURE = AZURE_EDITION, "Datacenter: Azure Edition, from 2022."


VERSIONS = tuple(version.value for version in Version)

_BUILDS = {
    9600: "2012 R2",
    14393: "2016",
    16299: "2016",
    17134: "2016",
    17763: "2019",
    18362: "2019",
    18363: "2019",
    20348: "2022",
    26100: "2025",
}

# Builds whose KMS client keys are not those of their release in `_BUILDS`. Semi-annual releases have their own keys.
# From 1809 on, they share the keys of 20H2. Source: "KMS client activation keys" at learn.microsoft.com.
_KMS_RELEASES = {16299: "1709", 17134: "1803", 18362: "20H2", 18363: "20H2", 19041: "20H2", 19042: "20H2"}
_FIRST_SHARED_WITH_2019 = 17763
"""The build of Windows Server 2019, and of the semi-annual release 1809."""

# Azure Stack HCI / Azure Local. Windows Server has some of the same builds, so check the edition first.
_LOCAL_BUILDS = {
    17784: "20H2",
    20348: "21H2",
    20349: "22H2",
    25398: "23H2",
    26100: "24H2",
}

_ACTIVATES = {
    "2012 R2": ("2012 R2",),
    "2016": ("2012 R2", "2016"),
    "2019": ("2012 R2", "2016", "2019"),
    "2022": ("2012 R2", "2016", "2019", "2022"),
    "2025": ("2012 R2", "2016", "2019", "2022", "2025"),
}

# Win32_OperatingSystem.OperatingSystemSKU, PRODUCT_* in winnt.h
_SKUS = {
    7: STANDARD,
    13: STANDARD,
    79: STANDARD,
    146: STANDARD,
    8: DATACENTER,
    12: DATACENTER,
    80: DATACENTER,
    145: DATACENTER,
    147: DATACENTER,
    148: STANDARD,
    159: DATACENTER,
    160: STANDARD,
    50: ESSENTIALS,
    406: AZURE_LOCAL,
    407: AZURE_EDITION,
    408: AZURE_EDITION,
}

SEMI_ANNUAL_SKUS = frozenset({145, 146})
EVALUATION_SKUS = frozenset({79, 80, 159, 160})
CORE_SKUS = frozenset({12, 13, 145, 146, 147, 148, 159, 160, 406, 408})
"""The SKUs of Server Core. DISM has separate edition names for them."""

# SoftwareLicensingProduct.LicenseFamily without its suffixes: Core or Cor, A for semi-annual releases, Eval
_FAMILIES = {
    "ServerDatacenter": DATACENTER,
    "ServerStandard": STANDARD,
    "ServerSolution": ESSENTIALS,
    "ServerTurbine": AZURE_EDITION,
    "ServerAzureStackHCI": AZURE_LOCAL,
}

# Inferred (license-family-names-the-edition): WS, from names such as PRODUCT_DATACENTER_WS_SERVER_CORE.
_FAMILY_SUFFIXES = re.compile(r"(?:Eval|A|WS)?(?:Core?)?(?:Eval)?$")


def version_of_build(build: int) -> str | None:
    """Return the release whose keys a Windows Server build takes, or None for an unknown build."""
    return _BUILDS.get(build)


def kms_release_of_build(build: int, semi_annual: bool = False) -> str | None:
    """Return the release whose KMS client keys a Windows Server build takes, or None for an unknown build."""
    if semi_annual and build == _FIRST_SHARED_WITH_2019:
        return _KMS_RELEASES[18362]
    return _KMS_RELEASES.get(build) or _BUILDS.get(build)


def local_release_of_build(build: int) -> str | None:
    """Return the Azure Stack HCI / Azure Local release of a build, or None for an unknown build."""
    return _LOCAL_BUILDS.get(build)


def edition_of_sku(sku: int) -> str | None:
    """Return the edition of an `OperatingSystemSKU`, or None for an unknown SKU."""
    return _SKUS.get(sku)


def edition_of_family(family: str) -> str | None:
    """Return the edition of a `LicenseFamily`, or None for an unknown name."""
    return _FAMILIES.get(_FAMILY_SUFFIXES.sub("", family))


def dism_target(edition: str, core: bool) -> str:
    """Return DISM's name of a full edition, for `/Set-Edition`."""
    family = next(name for name, known in _FAMILIES.items() if known == edition)
    return f"{family}Cor" if core else family


def activates(host: str, guest: str) -> bool:
    """Return True if a Datacenter host of that version activates guests of that version."""
    return guest in _ACTIVATES.get(host, ())
