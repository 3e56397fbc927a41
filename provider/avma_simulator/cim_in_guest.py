"""The script `cim-in-guest 1`: CIM operations in VMs of the host on which it runs, through PowerShell Direct.

What PowerShell Direct needs and says is from "Manage Windows virtual machines with PowerShell Direct" at
learn.microsoft.com and from PowerShell's source; which error comes in which case is Inferred. The module knows the
script's input and output; it decides nothing about licensing.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from avma_simulator import hyperv, language, rights
from avma_simulator.local_cim import CimFailed, LocalCim, SessionLost
from avma_simulator.machine import Guest, Machine
from avma_simulator.powershell import ScriptFailed
from avma_simulator.process import Console
from avma_simulator.world import World

_DEFAULT_THROTTLE = 32
_INVOKE_COMMAND = "Microsoft.PowerShell.Commands.InvokeCommandCommand"
_BROKEN = "PSSessionStateBroken"
# Windows says this of wrong credentials and of a guest that is not ready alike.
_CREDENTIAL = "The credential is invalid."
_ENDED = "An error has occurred which Windows PowerShell cannot handle. A remote session might have ended."


class _NotReached(Exception):
    """A guest was not reached: the error of the session."""

    def __init__(self, error_id: str, text: str) -> None:
        self._error_id = error_id
        super().__init__(text)

    def in_language(self, spoken: str) -> dict[str, Any]:
        """Return the error as the script reports it."""
        return {"hresult": None, "errorId": self._error_id, "message": language.said(str(self), spoken)}


async def run(world: World, host: Machine, document: Mapping[str, Any], console: Console) -> None:
    """Work through the VMs of the input, several at a time, and write one line for each."""
    throttle, vms = document.get("throttleLimit", _DEFAULT_THROTTLE), document.get("vms")
    if not isinstance(vms, list) or not isinstance(throttle, int) or throttle < 1:
        raise ScriptFailed("The input is not that of this script.", "RuntimeException")
    places = asyncio.Semaphore(throttle)

    async def one(vm: Mapping[str, Any]) -> None:
        async with places:
            answer = await _in_vm(world, host, vm)
        console.write(json.dumps({"id": vm["id"], **answer}) + "\r\n")

    await asyncio.gather(*(one(vm) for vm in vms))


async def _in_vm(world: World, host: Machine, vm: Mapping[str, Any]) -> dict[str, Any]:
    try:
        guest = _guest(world, host, str(vm["id"]))
        await asyncio.sleep(guest.spec.delays.powershell)
        _enter(guest, vm)
        return {"results": await _operations(LocalCim(world, guest), vm["operations"], guest.spec.language)}
    except _NotReached as error:
        return {"error": error.in_language(host.spec.language)}
    except SessionLost:
        return {"error": _NotReached(_BROKEN, _ENDED).in_language(host.spec.language)}


async def _operations(cim: LocalCim, operations: list[Mapping[str, Any]], spoken: str) -> list[dict[str, Any]]:
    """Run the operations until one fails."""
    results: list[dict[str, Any]] = []
    for operation in operations:
        try:
            results.append(await _operation(cim, operation))
        except CimFailed as error:
            return [*results, {"error": error.as_json(spoken)}]
    return results


async def _operation(cim: LocalCim, operation: Mapping[str, Any]) -> dict[str, Any]:
    namespace = str(operation.get("namespace", "root/cimv2"))
    if "query" in operation:
        return {"rows": await cim.query(namespace, operation["query"])}
    keys, arguments = operation.get("keys") or {}, operation.get("arguments") or {}
    return {"returnValue": await cim.invoke(namespace, operation["class"], operation["method"], keys, arguments)}


def _guest(world: World, host: Machine, vm_id: str) -> Guest:
    if not host.windows.speaks_directly:
        text = "A parameter cannot be found that matches parameter name 'VMId'."
        raise _NotReached(f"NamedParameterNotFound,{_INVOKE_COMMAND}", text)
    wanted = vm_id.strip("{}").upper()
    visible = [] if rights.access(host, hyperv.NAMESPACE) == "empty" else world.guests_of(host)
    found = next((guest for guest in visible if guest.identifier == wanted), None)
    if found is None:
        text = f"The input VMId {vm_id} does not resolve to a single virtual machine."
        raise _NotReached(f"InvalidVMIdNotSingle,{_INVOKE_COMMAND}", text)
    if not found.running:
        text = f"The virtual machine {found.name} is not in running state."
        raise _NotReached(f"InvalidVMState,{_INVOKE_COMMAND}", text)
    return found


def _enter(guest: Guest, vm: Mapping[str, Any]) -> None:
    """Log on to the guest."""
    if not guest.speaks_directly:
        raise _NotReached(_BROKEN, _ENDED)
    given = str(vm.get("username", "")), str(vm.get("password", ""))
    if not guest.ready or not guest.accounts.accepts(*given):
        raise _NotReached(_BROKEN, _CREDENTIAL)
