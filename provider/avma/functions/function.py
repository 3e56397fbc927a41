"""What every look-up offers to a front end. None changes anything."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from avma.properties import Failure, Values, validate
from avma.resources.resource import Operation


@dataclass(frozen=True)
class Listed:
    """A resource that can be imported."""

    identifier: str
    """The id by which it is imported."""
    name: str


class Function(ABC):
    """One look-up. `inputs` and `outputs` are the dataclasses that declare its properties."""

    name: ClassVar[str]
    description: ClassVar[str]
    inputs: ClassVar[type]
    outputs: ClassVar[type]
    timeout: ClassVar[float] = 60.0
    lists: ClassVar[str] = ""
    """The name of the resource that `listed` finds; empty if it finds none."""

    def check(self, values: Values) -> list[Failure]:
        """Return everything that is wrong with the inputs."""
        return validate(self.inputs, values)

    @abstractmethod
    def call(self, values: Values, operation: Callable[[], Operation]) -> Any:
        """Return an instance of the outputs class; `operation` is asked for only where machines are.

        Raises:
            AvmaError: the answer could not be found.
        """

    def listed(self, _values: Values, _outputs: Any) -> list[Listed]:
        """Return the resources that the outputs of a call contain."""
        return []
