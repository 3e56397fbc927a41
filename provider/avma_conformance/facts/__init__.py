"""All facts, by area. Each module contains the facts of one or two areas."""

from __future__ import annotations

from types import ModuleType

from avma_conformance.fact import Area, Fact
from avma_conformance.facts import authentication, faults, listings, values, wsman

_MODULES: tuple[ModuleType, ...] = (wsman, authentication, listings, values, faults)
_ORDER = tuple(Area)


def _facts_of(module: ModuleType) -> list[Fact]:
    return [each for each in vars(module).values() if isinstance(each, Fact)]


FACTS: tuple[Fact, ...] = tuple(
    sorted((each for module in _MODULES for each in _facts_of(module)), key=lambda each: _ORDER.index(each.area))
)
"""All facts in the order of reports."""
