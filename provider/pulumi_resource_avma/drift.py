"""The messages about drift. They name the machine, its value and the wanted value.

The engine shows too little. A refresh shows a node of a cluster only by its index. An update compares outputs with
inputs, which do not contain the wanted values.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from avma.wording import setting

if TYPE_CHECKING:
    from avma.resources.resource import Change, Drift


def lines(after: Iterable[Change], before: Iterable[Change] = ()) -> list[str]:
    """Return a line for each machine whose drift has changed since `before`."""
    old, new = _by_machine(before), _by_machine(after)
    changed = [f"{machine}: drift: {text}" for machine, text in new.items() if old.get(machine) != text]
    return changed + [f"{machine}: its drift is gone" for machine in old if machine not in new]


def _by_machine(changes: Iterable[Change]) -> Mapping[str, str]:
    found: dict[str, list[str]] = {}
    for change in changes:
        if change.drift is not None:
            found.setdefault(change.drift.machine, []).append(_difference(change.path, change.drift))
    return {machine: ", ".join(differences) for machine, differences in found.items()}


def _difference(path: str, drift: Drift) -> str:
    found = f"{setting(path.rpartition('.')[2])} is {_shown(drift.found)}"
    return found if drift.wanted is None else f"{found} instead of {_shown(drift.wanted)}"


def _shown(value: Any) -> str:
    return "absent" if value is None else json.dumps(value, ensure_ascii=False)
