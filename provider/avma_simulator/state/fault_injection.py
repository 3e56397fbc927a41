"""Faults on demand: the rules of a machine, and how often each still applies."""

from __future__ import annotations

from collections.abc import Iterable, Set
from dataclasses import dataclass
from typing import Any

from avma_simulator.estate import FaultRule

_INVOKE = "invoke "


@dataclass
class _ActiveRule:
    """A rule, its remaining successes, and its remaining failures. None means no limit."""

    rule: FaultRule
    skip: int
    left: int | None

    def fits(self, names: Set[str], cim_class: str) -> bool:
        wanted = self.rule.operation.lower().removeprefix(_INVOKE)
        of_class = self.rule.cim_class is None or self.rule.cim_class.lower() == cim_class.lower()
        return wanted in names and of_class and self.left != 0

    def applies_now(self) -> bool:
        """Count one operation and return True if it must fail."""
        if self.skip:
            self.skip -= 1
            return False
        self.left = None if self.left is None else self.left - 1
        return True


class InjectedFaults:
    """The fault rules of one machine. The first matching rule applies, until it has been used `times` times."""

    def __init__(self, rules: Iterable[FaultRule]) -> None:
        self._rules = [_ActiveRule(rule, rule.skip, rule.times) for rule in rules]

    def take(self, operation: str, cim_class: str = "", also: str = "") -> FaultRule | None:
        """Return the rule for this operation on a WMI class, or None.

        `also` is a second name of the operation.
        """
        names = {name.lower().removeprefix(_INVOKE) for name in (operation, also) if name}
        active = next((active for active in self._rules if active.fits(names, cim_class)), None)
        return active.rule if active is not None and active.applies_now() else None

    def as_json(self) -> list[dict[str, Any]]:
        """Return the rules in the form of the estate file, with their remaining times."""
        return [_shown(active) for active in self._rules]


def _shown(active: _ActiveRule) -> dict[str, Any]:
    shown = active.rule.model_dump(mode="json", by_alias=True, exclude_unset=True)
    left = {} if active.left is None else {"times": active.left}
    skip = {"skip": active.skip} if active.rule.skip else {}
    return shown | left | skip
