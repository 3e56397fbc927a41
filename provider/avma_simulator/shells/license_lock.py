r"""The script `license-lock 2`: it holds the mutex `Global\avma-license` of its machine until it ends.

Windows releases a mutex when its thread ends, for whatever reason (learn.microsoft.com, "Mutexes"). A runspace pool
ends when it hears nothing of its client (New-PSSessionOption, `IdleTimeout`).

Inferred (silent-pool-with-a-script-ends): also while a script runs in it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from avma_simulator.shells.pipeline import Pipeline, ScriptFailed
from avma_simulator.state.estate_state import EstateState
from avma_simulator.state.machine import Machine


async def run(state: EstateState, machine: Machine, parameters: Mapping[str, Any], pipeline: Pipeline) -> None:
    """Acquire the mutex and hold it. Write one text for each state."""
    patience, lifetime = parameters.get("Patience"), parameters.get("Lifetime")
    if not isinstance(patience, float) or not isinstance(lifetime, float):
        raise ScriptFailed("The parameters are not those of this script.", "RuntimeException")
    end = machine.clock.monotonic() + lifetime
    if machine.license_mutex.locked():
        _write(pipeline, "waiting")
    acquiring = asyncio.ensure_future(machine.license_mutex.acquire())
    try:
        done, _ = await asyncio.wait({acquiring}, timeout=patience)
        _write(pipeline, "held" if done else "busy")
        if done:
            await asyncio.sleep(end - machine.clock.monotonic())
    finally:
        if not acquiring.cancel():
            machine.license_mutex.release()


def _write(pipeline: Pipeline, state: str) -> None:
    pipeline.write(json.dumps({"state": state}))
