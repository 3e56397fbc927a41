"""The script `server-avma-manager 2`: automatic activation and subscriptions of a machine of Azure Stack HCI.

`Get-` and `Set-VMAutomaticActivation` belong to the module ServerAVMAManager. Microsoft documents neither their output
nor their errors. Inferred (automatic-activation-is-one-object, set-automatic-activation-returns-the-new-state,
rejected-server-key-changes-nothing): both. `Get-AzureStackHCISubscriptionStatus` belongs to the module AzureStackHCI.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from avma_simulator import estate
from avma_simulator.shells.pipeline import Pipeline, ScriptFailed
from avma_simulator.shells.psvalues import SecureString
from avma_simulator.state import language
from avma_simulator.state.automatic_activation import AutomaticActivation
from avma_simulator.state.estate_state import EstateState
from avma_simulator.state.groups import ADMINISTRATORS
from avma_simulator.state.machine import Machine
from avma_simulator.state.sl_errors import SlError

_FILE_NOT_FOUND = -2147024894
_ACCESS_DENIED = -2147024891
_CMDLETS = {"get": "Get-VMAutomaticActivation", "set": "Set-VMAutomaticActivation"}


async def run(state: EstateState, machine: Machine, parameters: Mapping[str, Any], pipeline: Pipeline) -> None:
    """Get or set the automatic activation of the machine, and write one text."""
    action, key = parameters.get("Action"), parameters.get("ProductKey")
    if action not in _CMDLETS or (action == "set" and not isinstance(key, SecureString)):
        raise ScriptFailed("The parameters are not those of this script.", "RuntimeException")
    if not _is_administrator(machine, pipeline):
        pipeline.write(json.dumps({"error": _denied(machine.spec.language), "moduleVersion": "1.1"}))
        return
    answer = await _answer(machine, _CMDLETS[action], key.text if isinstance(key, SecureString) else None)
    if action == "get" and machine.automatic_activation is not None:
        answer |= _subscriptions(machine, machine.automatic_activation)
    pipeline.write(json.dumps(answer, ensure_ascii=False))


def _is_administrator(machine: Machine, pipeline: Pipeline) -> bool:
    """Return True if the cmdlets accept the account.

    Inferred (automatic-activation-needs-an-administrator): they need an administrator, to read as well.
    """
    groups = machine.grants.groups if pipeline.run_as is None else pipeline.run_as
    return groups is None or ADMINISTRATORS in groups


def _denied(locale: str) -> dict[str, Any]:
    """Return the error for an account that is not an administrator.

    Inferred (automatic-activation-needs-an-administrator): all of it.
    """
    text = language.translated("Access is denied. ", locale)
    return {"hresult": _ACCESS_DENIED, "errorId": "System.UnauthorizedAccessException", "message": text}


async def _answer(machine: Machine, cmdlet: str, key: str | None) -> dict[str, Any]:
    activation, spec = machine.automatic_activation, machine.spec
    if activation is None or not isinstance(spec, estate.Host) or spec.module == "none":
        text = "The specified module 'ServerAVMAManager' was not loaded: no valid module file was found."
        error_id = "Modules_ModuleNotFound,Microsoft.PowerShell.Commands.ImportModuleCommand"
        return {
            "error": {
                "hresult": _FILE_NOT_FOUND,
                "errorId": error_id,
                "message": language.translated(text, spec.language),
            }
        }
    if key is not None:
        # It has only a parameter of type string. Inferred (module-logging-covers-server-avma-manager): it is a function
        # or a cmdlet whose module logging can be on.
        machine.module_log.write(cmdlet, {"ProductKey": key})
        await asyncio.sleep(spec.delays.activation)
        try:
            activation.set_key(key)
        except SlError as error:
            return {"error": _error(error, cmdlet, spec.language), "moduleVersion": spec.module}
    shown = {"PSComputerName": machine.computer_name} if spec.opaque else activation.as_json()
    applied = {} if key is None else {"applied": True}
    return {"result": [shown], "moduleVersion": spec.module, **applied}


def _subscriptions(machine: Machine, activation: AutomaticActivation) -> dict[str, Any]:
    """Return the subscriptions.

    Inferred (subscription-status-fails-offline): the cmdlet fails without a connection to Azure.
    """
    if machine.licensing.online:
        return {"subscriptions": activation.subscriptions()}
    text = language.translated("Unable to connect to service.", machine.spec.language)
    return {"subscriptionError": {"hresult": None, "errorId": "InvalidOperation", "message": text}}


def _error(error: SlError, cmdlet: str, locale: str) -> dict[str, Any]:
    number = error.hresult.value
    return {
        "hresult": number - (1 << 32) if number >= 1 << 31 else number,
        "errorId": f"HRESULT 0x{number:08x},{cmdlet}",
        "message": language.translated(error.hresult.meaning, locale),
    }
