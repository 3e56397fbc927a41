"""All facts, by area. Each module of this package contains the facts of one or two areas."""

from __future__ import annotations

import pkgutil
from importlib import import_module

from avma_conformance.fact import Area, Fact

_ORDER = tuple(Area)


def _facts_of(module: str) -> list[Fact]:
    return [each for each in vars(import_module(f"{__name__}.{module}")).values() if isinstance(each, Fact)]


FACTS: tuple[Fact, ...] = tuple(
    sorted(
        (each for module in pkgutil.iter_modules(__path__) for each in _facts_of(module.name)),
        key=lambda each: _ORDER.index(each.area),
    )
)
"""All facts in the order of reports."""
