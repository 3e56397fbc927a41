"""What goes wrong on demand: the operations of a machine that are to fail, how, and how often.

The module knows rules and counts down. It knows neither how an answer is written nor how a connection is dropped.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from avma_simulator.estate import Fault

_INVOKE = "invoke "


class Trouble:
    """The rules of one machine; the first that fits an operation is used, until it has been used `times` times."""

    def __init__(self, rules: Iterable[Fault]) -> None:
        self._rules: list[tuple[Fault, int | None]] = [(rule, rule.times) for rule in rules]

    def take(self, operation: str) -> Fault | None:
        """Return what is to go wrong with this operation, None when nothing is."""
        name = operation.lower().removeprefix(_INVOKE)
        for index, (rule, left) in enumerate(self._rules):
            if rule.operation.lower().removeprefix(_INVOKE) == name and left != 0:
                self._rules[index] = (rule, None if left is None else left - 1)
                return rule
        return None

    def as_json(self) -> list[dict[str, Any]]:
        """Return the rules as the estate's file writes them, each with the times that are left."""
        return [_shown(rule) | ({} if left is None else {"times": left}) for rule, left in self._rules]


def _shown(rule: Fault) -> dict[str, Any]:
    return rule.model_dump(mode="json", by_alias=True, exclude_unset=True)
