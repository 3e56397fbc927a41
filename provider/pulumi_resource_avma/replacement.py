"""Replacing a resource: what its deletion undoes, and whether the new one is on the same machine.

A replacement deletes first. A key must not be uninstalled for a new resource that then cannot be created, nor if the
new resource is on the same machine under another name.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from avma import errors
from avma.resources.claims import Claim
from avma.resources.resource import Operation, Resource, Stored, Undoing

Values = Mapping[str, Any]


@dataclass(frozen=True)
class Replacement:
    """A resource as it is stored, and the inputs of the one that takes its place."""

    resource: Resource
    identifier: str
    stored: Stored
    wanted: Values

    def stays(self, operation: Operation) -> bool:
        """Return True if the deletion must undo nothing, because the new resource is on the same machine.

        Raises:
            AvmaError: the new resource cannot be created now, so nothing must be undone for it.
        """
        undoing = self.resource.undoes(self.identifier, self.stored, operation)
        if undoing is None:
            return False
        # A guest that is still starting is waited for later, when the new resource is created.
        with contextlib.suppress(errors.NotReady):
            found = self.resource.probe(self.wanted, operation)
            if self._is_same_machine(undoing, found):
                operation.status(f"{undoing.name}: the new resource is on the same machine, so nothing is undone")
                return True
        return False

    def foretell(self, found: Values, operation: Operation) -> None:
        """Warn in a preview of what the deletion will do; `found` are the outputs of the new resource."""
        try:
            undoing = self.resource.undoes(self.identifier, self.stored, operation)
        except errors.AvmaError as error:
            operation.warn(f"the replacement deletes the old resource first, which will fail: {error}")
            return
        if undoing is None or self._is_same_machine(undoing, found):
            return
        operation.warn(f"{undoing.name}: the replacement first takes the key …{undoing.key} away from it")
        if undoing.obstacle is not None:
            operation.warn(f"{undoing.name}: that will be refused, if nothing changes before: {undoing.obstacle}")

    def _is_same_machine(self, undoing: Undoing, found: Values) -> bool:
        claims: list[Claim] = self.resource.holdings(Stored(self.wanted, found), self.wanted)
        return undoing.machine in [claim.machine for claim in claims]
