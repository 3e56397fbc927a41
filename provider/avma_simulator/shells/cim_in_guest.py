"""The script `cim-in-guest 4`: CIM operations in VMs of its host, through PowerShell Direct.

The requirements and errors of PowerShell Direct are from "Manage Windows virtual machines with PowerShell Direct" at
learn.microsoft.com and from PowerShell's source (PSRemotingCmdlet.cs, RemoteSessionHyperVSocket.cs,
RemotingErrorIdStrings.resx). Inferred (missing-vm-is-invalid-parameter-of-get-vm, stopped-vm-is-invalid-vm-state,
old-host-lacks-the-parameter-vm-id, unknown-guest-account-breaks-the-session, starting-guest-rejects-the-account,
guest-before-2016-fails-quickly, lost-guest-session-has-its-error-id): the choice of the error for each case.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from avma_simulator.shells.local_cim import CimFailed, LocalCim, SessionLost
from avma_simulator.shells.pipeline import Pipeline, ScriptFailed
from avma_simulator.shells.psvalues import Credential, SecureString, logged
from avma_simulator.state import language
from avma_simulator.state.estate_state import EstateState
from avma_simulator.state.groups import Groups
from avma_simulator.state.machine import Guest, Machine
from avma_simulator.wmi import hyperv, rights

_OPERATION = "PowerShellDirect/Connect"
"""The name of the session in a guest, for `faults`."""
_CREDENTIALS = "PowerShellDirect/Credentials"
"""The name of the exchange of credentials before the session, for `faults`."""
_INVOKE_COMMAND = "Microsoft.PowerShell.Commands.InvokeCommandCommand"
_GET_VM = "Microsoft.HyperV.PowerShell.Commands.GetVM"
_BROKEN = "PSSessionStateBroken"
_ENDED = "An error has occurred which Windows PowerShell cannot handle. A remote session might have ended."
_REMOTING = "System.Management.Automation.Remoting"
_DIRECT = f"{_REMOTING}.PSDirectException"
# Windows reports this both for wrong credentials and for a guest that is not ready.
_CREDENTIAL = "The credential is invalid."
# RemotingErrorIdStrings: HyperVNegotiationFailed and HyperVInvalidResponse.
# Inferred (failed-negotiation-has-a-known-text): the text of the first.
_NEGOTIATION = "Negotiating a secure connection to Hyper-V failed. Update the host and the guest."
_INVALID_RESPONSE = "Hyper-V Broker sent an invalid Credential response."


@dataclass
class _SessionFailed(Exception):
    """The session in a guest failed: its error ID and the types of its exceptions, outermost first."""

    error_id: str
    texts: tuple[str, ...]
    types: tuple[str, ...]

    def in_language(self, locale: str) -> dict[str, Any]:
        """Return the error as the script reports it."""
        message = " ".join(language.translated(text, locale) for text in self.texts)
        return {"hresult": None, "errorId": self.error_id, "message": message, "exceptions": list(self.types)}


async def run(state: EstateState, host: Machine, parameters: Mapping[str, Any], pipeline: Pipeline) -> None:
    """Process the guests, several in parallel. Write one text for each guest, or one about the host."""
    guests, throttle, timeout = (parameters.get(name) for name in ("Guests", "ThrottleLimit", "Timeout"))
    if not isinstance(guests, list) or not isinstance(throttle, int) or throttle < 1:
        raise ScriptFailed("The parameters are not those of this script.", "RuntimeException")
    if not guests:
        pipeline.write(json.dumps({"host": _facts(host)}))
        return
    slots, script, started = asyncio.Semaphore(throttle), asyncio.Lock(), set[str]()
    clock = asyncio.get_running_loop().time
    begin = clock()

    async def answer(guest: Mapping[str, Any]) -> None:
        async with slots:
            left = begin + guest["seconds"] - clock()
            if left <= 0:
                pipeline.write(json.dumps({"id": guest["id"], "error": _late(started=False)}))
                return
            async with script:
                started.add(guest["id"])
                pipeline.write(json.dumps({"starting": guest["id"]}))
                await _exchange_credentials(state, host, guest["id"])
                pipeline.write(json.dumps({"starting": None}))
            result = await _in_guest(state, host, guest, pipeline.run_as, left)
            async with script:
                pipeline.write(json.dumps({"id": guest["id"], **result}, ensure_ascii=False))

    tasks = {asyncio.ensure_future(answer(guest)): guest["id"] for guest in guests}
    try:
        _, late = await asyncio.wait(tasks, timeout=float(timeout or 0))
        async with script:  # a blocked script reports nothing, not even after its timeout
            for task in tasks:
                task.cancel()
    finally:
        for task in tasks:
            task.cancel()
    for task in late:
        pipeline.write(json.dumps({"id": tasks[task], "error": _late(tasks[task] in started)}))
    for task in tasks.keys() - late:
        task.result()


def _facts(host: Machine) -> dict[str, Any]:
    direct = host.windows.supports_powershell_direct
    version = "5.1" if direct else "4.0"
    return {"hyperV": "Hyper-V", "direct": direct, "languageMode": "FullLanguage", "version": version}


def _late(started: bool) -> dict[str, Any]:
    answered = ("AvmaNoAnswer", "The virtual machine did not answer in time.")
    asked = ("AvmaNotAsked", "The virtual machine was not asked before the time was over.")
    error_id, text = answered if started else asked
    return {"hresult": None, "errorId": error_id, "message": text, "exceptions": []}


def _too_late() -> dict[str, Any]:
    return {"hresult": None, "errorId": "AvmaNotAsked", "message": "The session started too late for a change."}


async def _exchange_credentials(state: EstateState, host: Machine, vm_id: str) -> None:
    """Block the script for as long as the guest demands.

    RemoteSessionHyperVSocket.cs: the client waits for each answer of the guest without a time limit.

    Inferred (hanging-guest-blocks-the-script), from Runspace.OpenAsync and the throttle manager: this happens in the
    thread of the script, one guest after the other.
    """
    wanted = vm_id.strip("{}").upper()
    guest = next((guest for guest in state.guests_of(host) if guest.identifier == wanted and guest.running), None)
    rule = guest.injected_faults.take(_CREDENTIALS) if guest is not None else None
    if rule is not None and rule.answer == "timeout":
        await asyncio.Event().wait()


async def _in_guest(
    state: EstateState, host: Machine, given: Mapping[str, Any], run_as: Groups | None, left: float
) -> dict[str, Any]:
    # The age of the session's process counts, so the time to start it does too.
    end = host.clock.monotonic() + left
    arguments = {"ArgumentList": [given["operations"], given["secrets"], left]}
    host.module_log.write(
        "Invoke-Command", logged({"VMId": given["id"], "Credential": given["credential"], **arguments})
    )
    try:
        guest = _guest(state, host, str(given["id"]), run_as)
        await asyncio.sleep(guest.spec.delays.powershell)
        await _enter(guest, given["credential"])
        guest.module_log.write("ConvertFrom-Json", logged({"InputObject": given["operations"]}))
        for secret in given["secrets"]:
            guest.module_log.write("New-Object", logged({"ArgumentList": ["key", secret]}))
        operations = [_with_arguments(operation, given["secrets"]) for operation in json.loads(given["operations"])]
        return {"results": await _operations(LocalCim(state, guest), operations, guest, end)}
    except _SessionFailed as error:
        return {"error": error.in_language(host.spec.language)}
    except SessionLost:
        return {"error": _lost().in_language(host.spec.language)}


def _with_arguments(operation: Mapping[str, Any], secrets: list[SecureString]) -> Mapping[str, Any]:
    """Return an operation with its argument values. The script passes them as positions in the list of secrets."""
    places = operation.get("arguments") or {}
    return {**operation, "arguments": {name: secrets[place].text for name, place in places.items()}}


async def _operations(
    cim: LocalCim, operations: list[Mapping[str, Any]], guest: Guest, end: float
) -> list[dict[str, Any]]:
    """Run the operations until one fails. No change begins after `end`."""
    results: list[dict[str, Any]] = []
    for operation in operations:
        if "query" not in operation and guest.clock.monotonic() >= end:
            return [*results, {"error": _too_late()}]
        try:
            results.append(await _operation(cim, operation))
        except CimFailed as error:
            return [*results, {"error": error.as_json(guest.spec.language)}]
    return results


async def _operation(cim: LocalCim, operation: Mapping[str, Any]) -> dict[str, Any]:
    namespace = str(operation.get("namespace", "root/cimv2"))
    if "query" in operation:
        return {"rows": await cim.query(namespace, operation["query"])}
    keys, arguments = operation.get("keys") or {}, operation.get("arguments") or {}
    return {"returnValue": await cim.invoke(namespace, operation["class"], operation["method"], keys, arguments)}


def _guest(state: EstateState, host: Machine, vm_id: str, run_as: Groups | None) -> Guest:
    if not host.windows.supports_powershell_direct:
        text = "A parameter cannot be found that matches parameter name 'VMId'."
        types = ("System.Management.Automation.ParameterBindingException",)
        raise _SessionFailed(f"NamedParameterNotFound,{_INVOKE_COMMAND}", (text,), types)
    wanted = vm_id.strip("{}").upper()
    visible = [] if rights.local_access(host, hyperv.NAMESPACE, run_as) == "empty" else state.guests_of(host)
    found = next((guest for guest in visible if guest.identifier == wanted), None)
    if found is None:
        # PSRemotingCmdlet.cs: Invoke-Command calls Get-VM, whose error ends a script with ErrorActionPreference Stop.
        text = f'Hyper-V was unable to find a virtual machine with id "{vm_id}".'
        types = ("Microsoft.HyperV.PowerShell.VirtualizationInvalidArgumentException",)
        raise _SessionFailed(f"InvalidParameter,{_GET_VM}", (text,), types)
    if not found.running:
        text = f"The virtual machine {found.name} is not in running state."
        raise _SessionFailed(f"InvalidVMState,{_INVOKE_COMMAND}", (text,), ("System.ArgumentException",))
    return found


async def _enter(guest: Guest, credential: Credential) -> None:
    """Open a session in the guest."""
    if not guest.supports_powershell_direct:
        raise _lost()
    await _apply_fault_rule(guest)
    if not guest.ready or not guest.accounts.accepts(credential.username, credential.password):
        raise _rejected(_CREDENTIAL)


async def _apply_fault_rule(guest: Guest) -> None:
    """Apply the fault rule of the guest to the session, if there is one."""
    rule = guest.injected_faults.take(_OPERATION)
    if rule is None:
        return
    if rule.answer == "timeout":
        await asyncio.Event().wait()  # the timeout of the script ends it
    if rule.answer == "garbage":
        raise _rejected(_INVALID_RESPONSE)
    if rule.answer == "accessDenied":
        raise _rejected(_NEGOTIATION)
    raise _lost()


def _rejected(text: str) -> _SessionFailed:
    """Return the error of a rejected session: a PSDirectException inside an exception of remoting."""
    return _SessionFailed(_BROKEN, (_ENDED, text), (f"{_REMOTING}.PSRemotingDataStructureException", _DIRECT))


def _lost() -> _SessionFailed:
    """Return the error of a lost session. Recorded: the ID and the text, in public scripts that wait for it."""
    ended = '"The Hyper-V socket target process has ended."'
    text = f"The background process reported an error with the following message: {ended}."
    return _SessionFailed(f"2100,{_BROKEN}", (text,), (f"{_REMOTING}.PSRemotingTransportException",))
