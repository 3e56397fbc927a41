"""A test resource of the core that provokes cases beyond the simulator."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from avma.properties import UNKNOWN, Choice, Values, build, declare
from avma.resources.resource import Change, Drift, Operation, Resource, Result, Stored, input_changes


class Wood(Choice):
    """The material of a shelf."""

    OAK = "oak", "Oak."
    PINE = "pine", "Pine."


@dataclass(frozen=True)
class Lock:
    """A nested property with a secret leaf."""

    maker: str | None = declare("The maker.", default=None)
    code: str | None = declare("The code.", default=None, secret=True)
    digits: int | None = declare("How many digits.", default=None)


@dataclass(frozen=True)
class ShelfInputs:
    """The inputs of a shelf."""

    room: str = declare("The room.", replaces=True)
    boards: int = declare("How many boards.", default=3, check=lambda count: "is too many" if count > 9 else None)
    wood: Wood | None = declare("The wood.", default=None)
    label: str | None = declare(
        "The label.", default=None, check=lambda text: f"`{text}` is not a label" if "!" in text else None
    )
    password: str | None = declare("The password.", default=None, secret=True)
    lock: Lock | None = declare("The lock.", default=None)


@dataclass(frozen=True)
class ShelfOutputs:
    """The outputs of a shelf."""

    condition: str = declare("The condition.")
    weight: int = declare("The weight in kilograms.")
    master_code: str | None = declare("A secret that the shelf makes.", default=None, secret=True)


Script = Callable[[str, Operation], Any]


def do_nothing(_name: str, _operation: Operation) -> None:
    """The default script of a shelf."""


class Shelf(Resource):
    """The resource. Each operation except `diff` first calls `script` with its name. The script may raise or wait."""

    name = "Shelf"
    description = "A shelf."
    inputs = ShelfInputs
    outputs = ShelfOutputs
    timeout = 42.0

    def __init__(self) -> None:
        self.script: Script = do_nothing
        self.found: ShelfOutputs | None = ShelfOutputs("good", 12, "master-4711")
        self.calls: list[tuple[str, Any]] = []

    def diff(self, stored: Stored, wanted: Values) -> list[Change]:
        changes = list(input_changes(ShelfInputs, stored.inputs, wanted))
        if stored.outputs.get("condition", "good") != "good":
            changes.append(Change("condition", drift=Drift("lab", stored.outputs["condition"], "good")))
        return changes

    def create(self, wanted: Values, operation: Operation) -> Result:
        self._begin("create", wanted, operation)
        return self.result(wanted)

    def read(self, identifier: str, stored: Stored | None, operation: Operation) -> Result | None:
        self._begin("read", stored, operation)
        if self.found is None:
            return None
        return self.result(stored.inputs if stored else {"room": identifier})

    def update(self, identifier: str, stored: Stored, wanted: Values, operation: Operation) -> Result:
        self._begin("update", (stored, wanted), operation)
        return self.result(wanted)

    def delete(self, identifier: str, stored: Stored, operation: Operation) -> None:
        self._begin("delete", stored, operation)

    def predict(self, wanted: Values) -> dict[str, Any]:
        return {"condition": "good", "weight": UNKNOWN}

    def probe(self, wanted: Values, operation: Operation, identifier: str | None = None) -> dict[str, Any]:
        self.script("probe", operation)
        return self.predict(wanted)

    def result(self, wanted: Values) -> Result:
        """Return the result for these inputs."""
        build(ShelfInputs, wanted)
        return Result(str(wanted["room"]).lower(), wanted, self.found)

    def _begin(self, name: str, given: Any, operation: Operation) -> None:
        self.calls.append((name, given))
        self.script(name, operation)
