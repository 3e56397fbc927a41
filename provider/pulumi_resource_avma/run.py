"""What one run of the engine has shown of resources so far, in this process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from avma.resources.claims import Claims
from avma.resources.resource import Stored


@dataclass(frozen=True)
class Replaced:
    """A resource that the engine replaces: its id and what is stored of it."""

    identifier: str
    stored: Stored


@dataclass
class Run:
    """One run: a preview, an update, a refresh or a destroy. Keys of the mappings are URNs."""

    claims: Claims
    wanted: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    """The inputs that were checked: the engine checks what stays, and not what it deletes or refreshes alone."""
    replaced: dict[str, Replaced] = field(default_factory=dict)
