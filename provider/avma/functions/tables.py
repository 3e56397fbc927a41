"""Functions for Microsoft's published tables. They connect to no machine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from avma import compatibility, keys
from avma.compatibility import Edition, Version
from avma.functions.function import Function
from avma.keys import KeyKind
from avma.properties import InvalidProperty, Values, build, declare
from avma.resources.resource import Operation


@dataclass(frozen=True)
class GetAvmaKeyInputs:
    """The inputs of getAvmaKey."""

    version: Version = declare("The Windows Server release of the guest.", example="2022")
    edition: Edition = declare("The edition of the guest.", example="Standard")


@dataclass(frozen=True)
class GetAvmaKeyOutputs:
    """The outputs of getAvmaKey."""

    product_key: str = declare(
        "The AVMA key, for example for an answer file. The key alone licenses nothing.",
        example="YDFWN-MJ9JR-3DYRK-FXXRW-78VHK",
        secret=True,
    )
    partial_product_key: str = declare("The last five characters of the key.", example="78VHK")


class GetAvmaKey(Function):
    """Return the published AVMA key for a release and edition."""

    name = "getAvmaKey"
    description = (
        "Returns the AVMA key that Microsoft publishes for a Windows Server release and edition. Connects to no "
        "machine."
    )
    inputs = GetAvmaKeyInputs
    outputs = GetAvmaKeyOutputs

    def check(self, values: Values) -> list[InvalidProperty]:
        """See `Function.check`."""
        failures = super().check(values)
        if failures or keys.find(KeyKind.AVMA, values["version"], values["edition"]):
            return failures
        return [
            InvalidProperty("edition", f"`{values['edition']}` has no AVMA key for Windows Server {values['version']}")
        ]

    def call(self, values: Values, operation: Callable[[], Operation]) -> GetAvmaKeyOutputs:
        """See `Function.call`."""
        published = keys.find(KeyKind.AVMA, values["version"], values["edition"])
        key = published.key if published else ""
        return GetAvmaKeyOutputs(key, keys.partial(key))


@dataclass(frozen=True)
class GetCompatibilityInputs:
    """The inputs of getCompatibility."""

    host_version: Version = declare(
        "The Windows Server release of the host. The host must run a Datacenter edition.", example="2025"
    )
    guest_version: Version = declare("The Windows Server release of the guest.", example="2022")
    guest_edition: Edition = declare("The edition of the guest.", default=Edition.DATACENTER, example="Standard")


@dataclass(frozen=True)
class GetCompatibilityOutputs:
    """The outputs of getCompatibility."""

    activates: bool = declare("Whether a licensed host of this release can activate the guest.")
    reason: str = declare("The reason, in one sentence.", example="a 2025 Datacenter host activates 2022 guests")


class GetCompatibility(Function):
    """Return whether a host of one release activates guests of another."""

    name = "getCompatibility"
    description = (
        "Returns whether a Datacenter host of one release activates guests of another. Connects to no machine."
    )
    inputs = GetCompatibilityInputs
    outputs = GetCompatibilityOutputs

    def call(self, values: Values, operation: Callable[[], Operation]) -> GetCompatibilityOutputs:
        """See `Function.call`."""
        asked = build(GetCompatibilityInputs, values)
        host, guest, edition = asked.host_version.value, asked.guest_version.value, asked.guest_edition.value
        if keys.find(KeyKind.AVMA, guest, edition) is None:
            return GetCompatibilityOutputs(False, f"there is no AVMA key for Windows Server {guest} {edition}")
        if edition == compatibility.AZURE_EDITION:
            return GetCompatibilityOutputs(False, "only Azure and Azure Local hosts activate Azure Edition")
        if not compatibility.activates(host, guest):
            return GetCompatibilityOutputs(False, f"a {host} host activates guests up to {host}, and {guest} is newer")
        return GetCompatibilityOutputs(True, f"a {host} Datacenter host activates {guest} guests")
