"""A record of the changes of an estate that take effect, and of the licenses of its machines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from avma_simulator.state.estate_state import EstateState
from avma_simulator.state.machine import Machine

_WITH_KEY = ("install_key", "set_key")
_METHODS = (*_WITH_KEY, "uninstall_key", "finish_activation", "deposit_confirmation_id")
"""The methods of the simulator that change a license."""
_ACTIVATIONS = ("finish_activation", "deposit_confirmation_id", "set_key")
_SHOWN = ("status", "channel", "partialProductKey", "automaticActivation", "dataExchange")


@dataclass(frozen=True)
class Effect:
    """A change that took effect: the machine, the method, and the last five characters of the key."""

    machine: str
    method: str
    key: str = ""


class Effects:
    """The changes of the machines of an estate."""

    def __init__(self, state: EstateState) -> None:
        self.noted: list[Effect] = []
        self._state = state
        for machine in state.machines:
            self._watch(machine)

    def licenses(self) -> dict[str, dict[str, Any]]:
        """Return the part of the state that the provider can change, by machine."""
        states = {machine.name: machine.as_json() for machine in self._state.machines}
        return {name: {each: state.get(each) for each in _SHOWN} for name, state in states.items()}

    def spent(self) -> Counter[Effect]:
        """Return the activations of purchased keys that took effect, with their numbers."""
        counted = self._state.keys.left()
        return Counter(each for each in self.noted if each.method in _ACTIVATIONS and each.key in counted)

    def _watch(self, machine: Machine) -> None:
        """Record the changes of a machine that take effect. A copied machine still records those of its original."""
        for owner in (machine.licensing, machine.automatic_activation):
            for method in _METHODS:
                if owner is not None and hasattr(type(owner), method):
                    vars(owner).pop(method, None)
                    setattr(owner, method, self._noting(machine, method, getattr(owner, method)))

    def _noting(self, machine: Machine, method: str, change: Callable[..., None]) -> Callable[..., None]:
        def noted(*arguments: Any) -> None:
            before = machine.licensing.license
            change(*arguments)
            given = str(arguments[0]) if method in _WITH_KEY else ""
            key = given[-5:] or (before.product_key.partial if before else "")
            self.noted.append(Effect(machine.name, method, key))

        return noted
