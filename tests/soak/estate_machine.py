"""The random run: a Hypothesis state machine over machines, programs and commands.

Each command may fail. The rules about it hold in any case:

- A key was used once for each time that a host became licensed with it.
- A resource leaves the state only if a command deletes it, or if its VM is gone or another one.
- Each message of the provider ends with the command that explains it.

There are two stacks. The second one declares some of the same hosts and VMs, and both can run at once.

`settle` turns everything on, removes VMs from the programs that are gone, and follows the names of the others. It
declares one key for all hosts. Then refreshes and updates must succeed, and further ones find nothing to do. There are
two rounds, because one stack can delete the key that the other declares. Each run ends with it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule

from soak.estate_rules import GUESTS, STACK, EstateRules
from soak.faults import FAULTS
from soak.judging import COUNTED, Judge, MayLeave, removed_by_refresh, removed_by_up, require_done
from soak.program import Engine, Outcome
from soak.world import HOST_KEYS, HOSTS

AFTER = st.integers(1, 60)
"""The number of requests before a kill."""
Faults = list[tuple[str, dict[str, Any]]]


class EstateMachine(EstateRules):
    """The random run with the plugin alone."""

    def teardown(self) -> None:
        """Settle, unless a step has failed: Hypothesis calls this while it handles the error of the step."""
        with self.opened:
            if sys.exc_info()[0] is None:
                self._settle()

    @rule(stack=STACK)
    def up(self, stack: str) -> None:
        self._up(self.stacks[stack])

    @rule(stack=STACK, faults=FAULTS)
    def up_with_faults(self, stack: str, faults: Faults) -> None:
        self._with_faults(self._up, stack, faults)

    @rule(stack=STACK, after=AFTER)
    def up_is_killed(self, stack: str, after: int) -> None:
        self._up(self.stacks[stack], after)

    @rule(stack=STACK)
    def refresh(self, stack: str) -> None:
        self._refresh(self.stacks[stack])

    @rule(stack=STACK, faults=FAULTS)
    def refresh_with_faults(self, stack: str, faults: Faults) -> None:
        self._with_faults(self._refresh, stack, faults)

    @rule(stack=STACK, after=AFTER)
    def refresh_is_killed(self, stack: str, after: int) -> None:
        self._refresh(self.stacks[stack], after)

    @rule(stack=STACK)
    def destroy(self, stack: str) -> None:
        self._destroy(self.stacks[stack])

    @rule(stack=STACK, faults=FAULTS)
    def destroy_with_faults(self, stack: str, faults: Faults) -> None:
        self._with_faults(self._destroy, stack, faults)

    @rule(stack=STACK, after=AFTER)
    def destroy_is_killed(self, stack: str, after: int) -> None:
        self._destroy(self.stacks[stack], after)

    @rule(stack=STACK, data=st.data())
    def adopt(self, stack: str, data: st.DataObject) -> None:
        self._adopt(self.stacks[stack], data)

    @rule(stack=STACK, data=st.data(), faults=FAULTS)
    def adopt_with_faults(self, stack: str, data: st.DataObject, faults: Faults) -> None:
        self._with_faults(lambda engine: self._adopt(engine, data), stack, faults)

    @rule(stack=STACK, data=st.data(), after=AFTER)
    def adopt_is_killed(self, stack: str, data: st.DataObject, after: int) -> None:
        self._adopt(self.stacks[stack], data, after)

    @rule(after=st.none() | AFTER)
    def both_stacks_are_updated_at_once(self, after: int | None) -> None:
        self.use_one_key()
        judge = Judge(self.second, removed_by_up(self.world, self.second))
        self._at_once(self._up, judge, self.second.up, after)

    @rule(after=st.none() | AFTER)
    def both_stacks_are_destroyed_at_once(self, after: int | None) -> None:
        self._at_once(self._destroy, Judge(self.second, lambda _: True), self.second.destroy, after)

    @rule(key=st.sampled_from(HOST_KEYS))
    def settle(self, key: str) -> None:
        self.key = key
        self._settle()

    def _settle(self) -> None:
        self.world.heal()
        self.use_one_key()
        for engine in (self.engine, self.second):
            for name in list(engine.program):
                if name.startswith("vm-") and name.removeprefix("vm-") not in self.world.vms:
                    del engine.program[name]
                self.follow(engine, name)
        for engine in 2 * (self.engine, self.second):  # the first one licenses all hosts
            require_done(self._refresh(engine))
            require_done(self._up(engine))
        for engine in (self.engine, self.second):
            self._require_nothing_to_do(engine)
        COUNTED["convergences"] += 1

    def _require_nothing_to_do(self, engine: Engine) -> None:
        assert set(engine.state()) == set(engine.program)
        for name in engine.program:
            assert self._is_reached(name), f"{name} is not as declared"
        before = self.world.changes()
        for command in (engine.preview, engine.refresh, engine.preview, engine.up):
            require_done(self._command(engine, command, lambda _: False))
        assert self.world.changes() == before

    @invariant()
    def nothing_is_spent_twice(self) -> None:
        COUNTED["steps"] += 1
        self.world.observe()

    def _with_faults(self, command: Callable[[Engine], object], stack: str, faults: Faults) -> None:
        COUNTED["faults"] += len(faults)
        with self.world.faulty(faults):
            command(self.stacks[stack])

    def _at_once(
        self,
        command: Callable[[Engine], object],
        judge: Judge,
        other: Callable[[int | None], Outcome],
        after: int | None,
    ) -> None:
        """Run a command on the first stack while the second one runs the same. `after` kills the second one."""
        COUNTED["two runs at once"] += 1
        COUNTED["kills"] += after is not None
        with ThreadPoolExecutor(1) as threads:
            running = threads.submit(other, after)
            command(self.engine)
            judge.judge(running.result())

    def _up(self, engine: Engine, after: int | None = None) -> Outcome:
        return self._command(engine, lambda: engine.up(after), removed_by_up(self.world, engine), after)

    def _refresh(self, engine: Engine, after: int | None = None) -> Outcome:
        return self._command(engine, lambda: engine.refresh(after), removed_by_refresh(self.world, engine), after)

    def _destroy(self, engine: Engine, after: int | None = None) -> Outcome:
        return self._command(engine, lambda: engine.destroy(after), lambda _: True, after)

    def _adopt(self, engine: Engine, data: st.DataObject, after: int | None = None) -> None:
        names = sorted(engine.program.keys() - engine.state().keys())
        if names:
            name = data.draw(st.sampled_from(names))
            identifier = _identifier(engine, name)
            self._command(engine, lambda: engine.adopt(name, identifier, after), lambda _: False, after)

    def _command(
        self, engine: Engine, command: Callable[[], Outcome], may_leave: MayLeave, after: int | None = None
    ) -> Outcome:
        judge = Judge(engine, may_leave)
        COUNTED["kills"] += after is not None
        outcome = command()
        self.world.observe()
        judge.judge(outcome)
        return outcome

    def _is_reached(self, name: str) -> bool:
        if name == "cluster":
            return all(self.world.key_of(node) == self.key for node in self.world.nodes)
        if name in HOSTS:
            return self.world.key_of(name) == self.key
        if name == GUESTS:
            return all(map(self.world.is_activated, self.world.vms))
        return self.world.is_activated(name.removeprefix("vm-"))


def _identifier(engine: Engine, name: str) -> str:
    """Return the identifier of a declared resource for an import."""
    declared = engine.program[name].properties
    if name == "cluster":
        return str(declared["cluster"])
    if name in HOSTS:
        return str(declared["host"])
    if name == GUESTS:
        return ",".join(declared["hosts"])
    return f"{','.join(HOSTS.values())}/{declared['vmName']}"
