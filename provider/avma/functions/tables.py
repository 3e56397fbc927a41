"""The look-ups in what Microsoft publishes: they ask no machine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from avma import compatibility, keys
from avma.compatibility import Edition, Version
from avma.functions.function import Function
from avma.keys import KeyKind
from avma.properties import Failure, Values, build, declare
from avma.resources.resource import Operation


@dataclass(frozen=True)
class GetAvmaKeyInputs:
    """Which AVMA key is wanted."""

    version: Version = declare("The guest's Windows Server release.", example="2022")
    edition: Edition = declare("The guest's edition.", example="Standard")


@dataclass(frozen=True)
class GetAvmaKeyOutputs:
    """A published AVMA key."""

    product_key: str = declare(
        "The AVMA key that Microsoft publishes, for an answer file, say. It licenses nothing by itself.",
        example="YDFWN-MJ9JR-3DYRK-FXXRW-78VHK",
        secret=True,
    )
    partial_product_key: str = declare("Its last five characters.", example="78VHK")


class GetAvmaKey(Function):
    """The published AVMA key of a release and edition."""

    name = "getAvmaKey"
    description = "The AVMA key that Microsoft publishes for a Windows Server release and edition. Asks no machine."
    inputs = GetAvmaKeyInputs
    outputs = GetAvmaKeyOutputs

    def check(self, values: Values) -> list[Failure]:
        """See `Function.check`."""
        failures = super().check(values)
        if failures or keys.find(KeyKind.AVMA, values["version"], values["edition"]):
            return failures
        return [Failure("edition", f"`{values['edition']}` has no AVMA key for Windows Server {values['version']}")]

    def call(self, values: Values, operation: Callable[[], Operation]) -> GetAvmaKeyOutputs:
        """See `Function.call`."""
        published = keys.find(KeyKind.AVMA, values["version"], values["edition"])
        key = published.key if published else ""
        return GetAvmaKeyOutputs(key, keys.partial(key))


@dataclass(frozen=True)
class GetCompatibilityInputs:
    """A host and a guest to compare."""

    host_version: Version = declare("The Windows Server release of the host, which must be Datacenter.", example="2025")
    guest_version: Version = declare("The guest's Windows Server release.", example="2022")
    guest_edition: Edition = declare("The guest's edition.", default=Edition.DATACENTER, example="Standard")


@dataclass(frozen=True)
class GetCompatibilityOutputs:
    """Whether the host can activate the guest."""

    activates: bool = declare("Whether a licensed Datacenter host of that release activates such guests.")
    reason: str = declare("Why, in a sentence.", example="a 2025 Datacenter host activates 2022 guests")


class GetCompatibility(Function):
    """Whether a host of one release activates guests of another."""

    name = "getCompatibility"
    description = "Whether a Datacenter host of one release activates guests of another. Asks no machine."
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
