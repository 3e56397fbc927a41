"""The PowerShell commands that a machine received, as script-block logging (event 4104) records them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

_MOST = 10_000
"""Records that are kept."""


@dataclass(frozen=True)
class ScriptBlock:
    """One command: the text of a script or the name of a cmdlet, and its parameters' names without their values."""

    text: str
    parameters: tuple[str, ...]


class ScriptBlockLog:
    """The records of one machine, oldest first."""

    def __init__(self) -> None:
        self.records: list[ScriptBlock] = []

    def write(self, text: str, parameters: Iterable[str]) -> None:
        """Record a command."""
        self.records.append(ScriptBlock(text, tuple(parameters)))
        del self.records[:-_MOST]

    def as_json(self) -> list[dict[str, Any]]:
        """Return the records as the control endpoint shows them."""
        return [{"text": record.text, "parameters": list(record.parameters)} for record in self.records]
