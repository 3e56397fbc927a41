"""The data of one run of the engine in this process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from avma.resources.claims import Claims
from avma.resources.resource import Stored


@dataclass(frozen=True)
class Replaced:
    """A resource that the engine replaces: its ID and its stored values."""

    identifier: str
    stored: Stored


@dataclass
class Run:
    """One run: a preview, an update, a refresh or a destroy. The keys of the mappings are URNs."""

    claims: Claims
    wanted: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    """The inputs that passed `check`.

    The engine checks resources that stay, but not those that it only deletes or refreshes.
    """
    replaced: dict[str, Replaced] = field(default_factory=dict)
