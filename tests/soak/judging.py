"""The rules about one command: no resource is lost, and the messages explain themselves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from soak.program import Engine, Kept, Outcome
from soak.world import World

COUNTED: Counter[str] = Counter()
"""The steps, commands, kills and faults so far."""

MayLeave = Callable[[str], bool]
"""Return True if a command may remove the resource from the state."""


def removed_by_refresh(world: World, engine: Engine) -> MayLeave:
    """Return which resources a refresh may remove: those whose VM is gone. Another one can have its name."""
    before = engine.state()
    return lambda name: name.startswith("vm-") and _is_gone(world, name, before[name])


def removed_by_up(world: World, engine: Engine) -> MayLeave:
    """Return which resources an update may remove: undeclared ones, and those whose VM is not the declared one."""
    before = engine.state()

    def may_leave(name: str) -> bool:
        declared = engine.program.get(name)
        if declared is None or not name.startswith("vm-"):
            return declared is None
        return _is_gone(world, name, before[name]) or _is_replaced(before[name], declared.properties)

    return may_leave


def _is_gone(world: World, name: str, kept: Kept) -> bool:
    return kept.outputs.get("vmId") != world.id_of(name.removeprefix("vm-"))


def _is_replaced(kept: Kept, declared: Mapping[str, Any]) -> bool:
    """Return True if the program declares another name than the state, so the resource is for another VM."""
    return declared["vmName"] not in (kept.inputs.get("vmName"), kept.outputs.get("vmName"))


class Judge:
    """Judges a command by the state before it and its outcome."""

    def __init__(self, engine: Engine, may_leave: MayLeave) -> None:
        self._engine = engine
        self._before = set(engine.state())
        self._may_leave = may_leave

    def judge(self, outcome: Outcome) -> None:
        """Require that the command lost no resource, and that its messages contain the command that explains them."""
        COUNTED["commands"] += 1
        COUNTED["failed commands"] += not outcome.done
        lost = [name for name in self._before - set(self._engine.state()) if not self._may_leave(name)]
        assert not lost, f"{lost} left the state: {outcome.messages}"
        unexplained = [text for text in outcome.messages if text and "avma explain" not in text]
        assert not unexplained, unexplained


def require_done(outcome: Outcome) -> None:
    """Require that a command succeeded."""
    assert outcome.done, outcome.messages or outcome.printed
