"""getCompatibility: whether a host activates guests of another release."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from avma import compatibility, keys
from avma.compatibility import Edition, Version
from avma.functions.function import Function
from avma.keys import KeyKind
from avma.properties import Values, build, declare
from avma.resources.resource import Operation


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

    name = "get_compatibility"
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
