"""The script `server-avma-manager 1`: `Get-` and `Set-VMAutomaticActivation` of the module ServerAVMAManager.

Inferred: what the cmdlets return, and how they fail; Microsoft documents neither. The module knows the script's input
and output.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from avma_simulator import estate, language
from avma_simulator.machine import Machine
from avma_simulator.powershell import ScriptFailed
from avma_simulator.process import Console
from avma_simulator.refusal import Refusal
from avma_simulator.world import World

_CMDLETS = {"get": "Get-VMAutomaticActivation", "set": "Set-VMAutomaticActivation"}


async def run(world: World, machine: Machine, document: Mapping[str, Any], console: Console) -> None:
    """Get or set the automatic activation of the machine, and write one line."""
    action, key = document.get("action"), document.get("productKey", "")
    if action not in _CMDLETS or not isinstance(key, str):
        raise ScriptFailed("The input is not that of this script.", "RuntimeException")
    console.write(json.dumps(await _answer(machine, _CMDLETS[action], key if action == "set" else None)) + "\r\n")


async def _answer(machine: Machine, cmdlet: str, key: str | None) -> dict[str, Any]:
    activation, spec = machine.automatic_activation, machine.spec
    if activation is None or not isinstance(spec, estate.Host) or spec.module == "none":
        what = "the name of a cmdlet, function, script file, or operable program"
        text = f"The term '{cmdlet}' is not recognized as {what}."
        return {
            "error": {
                "hresult": None,
                "errorId": "CommandNotFoundException",
                "message": language.said(text, spec.language),
            }
        }
    if key is not None:
        await asyncio.sleep(spec.delays.activation)
        try:
            activation.set_key(key)
        except Refusal as refusal:
            return {"error": _error(refusal, cmdlet, spec.language)}
    return {"result": activation.as_json(), "moduleVersion": spec.module}


def _error(refusal: Refusal, cmdlet: str, spoken: str) -> dict[str, Any]:
    number = refusal.hresult.value
    return {
        "hresult": number - (1 << 32) if number >= 1 << 31 else number,
        "errorId": f"HRESULT 0x{number:08x},{cmdlet}",
        "message": language.said(refusal.hresult.meaning, spoken),
    }
