"""getAvmaKey: the published AVMA key for a release and edition."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from avma import keys
from avma.compatibility import Edition, Version
from avma.functions.function import Function
from avma.keys import KeyKind
from avma.properties import InvalidProperty, Values, declare
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

    name = "get_avma_key"
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
