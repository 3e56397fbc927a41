"""The type of WMI methods in the simulator, and their arguments."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from avma_simulator.state.machine import Machine
from avma_simulator.wmi.cim import Instance


@dataclass(frozen=True)
class Arguments:
    """The values of each parameter: one for a scalar, any number for an array."""

    values: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def text(self, name: str) -> str:
        """Return a scalar, or "" if it is absent."""
        return next(iter(self.values.get(name, ())), "")

    def texts(self, name: str) -> Sequence[str]:
        """Return an array."""
        return self.values.get(name, ())


# The ReturnValue, or None for 0.
Method = Callable[[Machine, Instance, Arguments], Awaitable[int | None]]
