"""The interface between functions and front ends. No function changes anything."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from avma.addresses import host_name_error
from avma.properties import InvalidProperty, Values, declare, validate
from avma.resources.resource import Operation
from avma.settings import AddressedSettings


@dataclass(frozen=True)
class Listed:
    """A resource for import."""

    identifier: str
    """The id for the import."""
    name: str


class Function(ABC):
    """A read-only function. The dataclasses `inputs` and `outputs` declare its properties."""

    name: ClassVar[str]
    description: ClassVar[str]
    inputs: ClassVar[type]
    outputs: ClassVar[type]
    timeout: ClassVar[float] = 60.0
    lists: ClassVar[str] = ""
    """The name of the resource that `listed` returns. Empty if it returns none."""

    def check(self, values: Values) -> list[InvalidProperty]:
        """Return all errors in the inputs."""
        return validate(self.inputs, values)

    @abstractmethod
    def call(self, values: Values, operation: Callable[[], Operation]) -> Any:
        """Return an instance of the outputs class. Only functions that connect to machines call `operation`.

        Raises:
            AvmaError: the function failed.
        """

    def listed(self, _values: Values, _outputs: Any) -> list[Listed]:
        """Return the resources in the outputs of a call."""
        return []


@dataclass(frozen=True)
class HostInputs:
    """The inputs of functions that read a host."""

    host: str = declare("The DNS name or IP address of the host.", example="hv01.example.com", check=host_name_error)
    connection: AddressedSettings | None = declare(
        "Connection settings for the host, where they differ from the provider configuration.",
        default=None,
        unset="the provider configuration",
        example={"address": "192.0.2.11"},
    )
