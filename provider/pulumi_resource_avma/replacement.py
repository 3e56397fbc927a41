"""The replacement of a resource: the effects of its deletion, and the location of the new resource.

A replacement deletes first. The deletion must not uninstall a key if the new resource cannot be created. The same is
true if the new resource is on the same machine under another name.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from avma import errors
from avma.resources.claims import Claim, replaced
from avma.resources.resource import Operation, Resource, Stored, Undoing
from avma.windows.computer import may_be_same

Values = Mapping[str, Any]


@dataclass(frozen=True)
class Replacement:
    """A stored resource and the inputs of its successor.

    Without inputs, there is no successor, or another provider instance has it.
    """

    resource: Resource
    identifier: str
    stored: Stored
    wanted: Values | None

    def stays(self, operation: Operation) -> bool:
        """Return True if the deletion must undo nothing. The new resource is, or may be, on the same machine.

        Raises:
            AvmaError: the new resource cannot be created now, so the deletion must not happen.
        """
        elsewhere = self.wanted is None and _replaced_elsewhere(self.resource, self.identifier, operation)
        if self.wanted is None and not elsewhere:
            return False
        undoing = self.resource.undoes(self.identifier, self.stored, operation)
        if self.wanted is None:
            if undoing is None:
                return False
            operation.warn(
                f"{undoing.name}: the new resource has another provider instance and may be on the same machine, so "
                f"the key …{undoing.key} stays installed"
            )
            return True
        return self._stays_here(undoing, self.wanted, operation)

    def _stays_here(self, undoing: Undoing | None, wanted: Values, operation: Operation) -> bool:
        try:
            found = self.resource.probe(wanted, operation)
        except errors.NotReady:
            return False  # creation waits for a guest that is still starting
        except (errors.Unreachable, errors.TimedOut) as error:
            if undoing is None:
                return False  # a machine that is still starting may answer later, and the deletion undoes nothing
            raise _until_then(error, undoing) from error
        except errors.AvmaError as error:
            raise _until_then(error, undoing) from error
        if undoing is None:
            return False
        if self._is_same_machine(undoing, found):
            operation.status(f"{undoing.name}: the new resource is on the same machine, so its key stays installed")
            return True
        return False

    def foretell(self, found: Values, operation: Operation) -> None:
        """Warn about the effects of the deletion in a preview. `found` contains the outputs of the new resource."""
        try:
            undoing = self.resource.undoes(self.identifier, self.stored, operation)
        except errors.AvmaError as error:
            operation.warn(
                f"the replacement deletes the old resource first, and this deletion will fail: {error.message}"
            )
            return
        if undoing is None or self._is_same_machine(undoing, found):
            return
        operation.warn(f"{undoing.name}: the replacement first uninstalls the key …{undoing.key}")
        if undoing.obstacle is not None:
            operation.warn(f"{undoing.name}: unless its state changes, this will fail: {undoing.obstacle.message}")

    def _is_same_machine(self, undoing: Undoing, found: Values) -> bool:
        wanted = self.wanted or {}
        claims: list[Claim] = self.resource.holdings(Stored(wanted, found), wanted)
        return any(claim.machine and may_be_same(claim.machine, undoing.machine) for claim in claims)


def _until_then(error: errors.AvmaError, undoing: Undoing | None) -> errors.AvmaError:
    """Return the error of a successor that cannot be created, with what remains of the old resource."""
    old = f"the key …{undoing.key} of the old resource stays installed" if undoing else "the old resource stays"
    return error.but(remedy=f"{error.remedy}; {old} until Pulumi can create the new one")


def place_of(resource: Resource, identifier: str) -> str:
    """Return the common key of a replaced resource and its successor, for `Claim.replaces`."""
    return f"{resource.name} {identifier}"


def _replaced_elsewhere(resource: Resource, identifier: str, operation: Operation) -> bool:
    """Return True if another provider process takes over the resource.

    Unreadable claims count as False. The deletion reads them again and reports the error.
    """
    with contextlib.suppress(OSError):
        return replaced(operation.claims, place_of(resource, identifier))
    return False
