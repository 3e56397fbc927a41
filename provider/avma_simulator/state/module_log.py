"""The parameters of PowerShell commands on a machine, like the records of module logging (event 4103).

Windows records the parameters of cmdlets and of functions in modules (MshCommandRuntime.cs in PowerShell's source). A
simulated machine also records those of scripts, so a test sees more than Windows shows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

_MOST = 10_000
"""The maximum number of records."""


@dataclass(frozen=True)
class Binding:
    """One parameter of one command, with its value as Windows shows it."""

    command: str
    parameter: str
    value: str


class ModuleLog:
    """The records of one machine, oldest first."""

    def __init__(self) -> None:
        self.records: list[Binding] = []

    def write(self, command: str, parameters: Mapping[str, str]) -> None:
        """Record the parameters of a command."""
        self.records.extend(Binding(command, name, value) for name, value in parameters.items())
        del self.records[:-_MOST]

    def as_json(self) -> list[dict[str, str]]:
        """Return the records for the control endpoint."""
        return [asdict(record) for record in self.records]
