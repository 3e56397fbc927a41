"""The PowerShell commands that a machine received, like the records of script-block logging (event 4104)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

_MOST = 10_000
"""The maximum number of records."""


@dataclass(frozen=True)
class ScriptBlock:
    """One command: the text of a script or the name of a cmdlet, with parameter names but no values."""

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
        """Return the records for the control endpoint."""
        return [{"text": record.text, "parameters": list(record.parameters)} for record in self.records]
