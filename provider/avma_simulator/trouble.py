"""What goes wrong on demand: the operations of a machine that are to fail, how, and how often.

The module knows rules and counts down. It knows neither how an answer is written nor how a connection is dropped.
"""

from __future__ import annotations

from collections.abc import Iterable, Set
from dataclasses import dataclass
from typing import Any

from avma_simulator.estate import Fault

_INVOKE = "invoke "


@dataclass
class _Armed:
    """A rule, the operations that it still lets succeed, and the times that are left, None for ever."""

    rule: Fault
    skip: int
    left: int | None

    def fits(self, names: Set[str], cim_class: str) -> bool:
        wanted = self.rule.operation.lower().removeprefix(_INVOKE)
        of_class = self.rule.cim_class is None or self.rule.cim_class.lower() == cim_class.lower()
        return wanted in names and of_class and self.left != 0

    def strikes(self) -> bool:
        """Count one operation, and return True if it is to fail."""
        if self.skip:
            self.skip -= 1
            return False
        self.left = None if self.left is None else self.left - 1
        return True


class Trouble:
    """The rules of one machine; the first that fits an operation is used, until it has been used `times` times."""

    def __init__(self, rules: Iterable[Fault]) -> None:
        self._rules = [_Armed(rule, rule.skip, rule.times) for rule in rules]

    def take(self, operation: str, cim_class: str = "", also: str = "") -> Fault | None:
        """Return what is to go wrong with this operation on a WMI class, None when nothing is.

        `also` is a second name of the operation.
        """
        names = {name.lower().removeprefix(_INVOKE) for name in (operation, also) if name}
        armed = next((armed for armed in self._rules if armed.fits(names, cim_class)), None)
        return armed.rule if armed is not None and armed.strikes() else None

    def as_json(self) -> list[dict[str, Any]]:
        """Return the rules as the estate's file writes them, each with the times that are left."""
        return [_shown(armed) for armed in self._rules]


def _shown(armed: _Armed) -> dict[str, Any]:
    shown = armed.rule.model_dump(mode="json", by_alias=True, exclude_unset=True)
    left = {} if armed.left is None else {"times": armed.left}
    skip = {"skip": armed.skip} if armed.rule.skip else {}
    return shown | left | skip
