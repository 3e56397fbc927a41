"""Faults on demand: the rules of a machine, and how often each still applies."""

from __future__ import annotations

from collections.abc import Iterable, Set
from dataclasses import dataclass
from typing import Any

from avma_simulator.estate_file.estate import Fault

_INVOKE = "invoke "


@dataclass
class _Armed:
    """A rule, its remaining successes, and its remaining failures. None means no limit."""

    rule: Fault
    skip: int
    left: int | None

    def fits(self, names: Set[str], cim_class: str) -> bool:
        wanted = self.rule.operation.lower().removeprefix(_INVOKE)
        of_class = self.rule.cim_class is None or self.rule.cim_class.lower() == cim_class.lower()
        return wanted in names and of_class and self.left != 0

    def strikes(self) -> bool:
        """Count one operation and return True if it must fail."""
        if self.skip:
            self.skip -= 1
            return False
        self.left = None if self.left is None else self.left - 1
        return True


class Trouble:
    """The fault rules of one machine. The first matching rule applies, until it has been used `times` times."""

    def __init__(self, rules: Iterable[Fault]) -> None:
        self._rules = [_Armed(rule, rule.skip, rule.times) for rule in rules]

    def take(self, operation: str, cim_class: str = "", also: str = "") -> Fault | None:
        """Return the rule for this operation on a WMI class, or None.

        `also` is a second name of the operation.
        """
        names = {name.lower().removeprefix(_INVOKE) for name in (operation, also) if name}
        armed = next((armed for armed in self._rules if armed.fits(names, cim_class)), None)
        return armed.rule if armed is not None and armed.strikes() else None

    def as_json(self) -> list[dict[str, Any]]:
        """Return the rules in the form of the estate file, with their remaining times."""
        return [_shown(armed) for armed in self._rules]


def _shown(armed: _Armed) -> dict[str, Any]:
    shown = armed.rule.model_dump(mode="json", by_alias=True, exclude_unset=True)
    left = {} if armed.left is None else {"times": armed.left}
    skip = {"skip": armed.skip} if armed.rule.skip else {}
    return shown | left | skip
