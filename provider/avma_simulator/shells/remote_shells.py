"""The kinds of remote shells on a machine, the names of their requests in fault rules, and their failures."""

from __future__ import annotations

from avma import hresult
from avma_simulator import estate
from avma_simulator.shells import interpreter, programs, restricted, runspace, shell_faults, winrs
from avma_simulator.shells.open_shells import POWERSHELL, NewShell, OpenShells
from avma_simulator.shells.pipeline import Pipeline
from avma_simulator.shells.process import Program
from avma_simulator.shells.scripts import SCRIPTS
from avma_simulator.shells.shell_messages import URI
from avma_simulator.state.estate_state import EstateState
from avma_simulator.state.machine import Machine
from avma_simulator.state.session_configurations import SessionConfiguration
from avma_simulator.wsman import soap, wsman_faults


def create(machine: Machine, state: EstateState) -> OpenShells:
    """Return the remote shells of a machine. None is open yet."""

    def find_program(line: str) -> Program | None:
        return programs.find(machine, line)

    async def run_pipeline(pipeline: Pipeline) -> None:
        await interpreter.run(state, machine, SCRIPTS, pipeline)

    kinds: dict[str, NewShell] = {
        winrs.RESOURCE: lambda request: winrs.CommandShell(machine, find_program, request),
        runspace.RESOURCE.lower(): lambda request: runspace.RunspaceShell(machine, run_pipeline, request),
    }
    for configuration in machine.session_configurations:
        kinds[_resource(configuration)] = _restricted(machine, state, configuration)
    return OpenShells(machine, kinds)


def may_use(machine: Machine, request: soap.Request) -> bool:
    """Return True if the account may use a shell. Each session configuration has an ACL of its own.

    Register-PSSessionConfiguration grants access to the accounts in RoleDefinitions ("JEA session configurations").
    """
    for configuration in machine.session_configurations:
        if request.resource.lower() == _resource(configuration):
            username = machine.spec.username or ""
            return any(machine.accounts.same(username, account) for account in configuration.accounts)
    return machine.accepts_shells


def _restricted(machine: Machine, state: EstateState, configuration: SessionConfiguration) -> NewShell:
    """Return the constructor of shells in a session configuration for JEA."""

    async def run_pipeline(pipeline: Pipeline) -> None:
        await restricted.run(state, machine, SCRIPTS, configuration, pipeline)

    return lambda request: runspace.RunspaceShell(machine, run_pipeline, request)


def _resource(configuration: SessionConfiguration) -> str:
    return f"{POWERSHELL}{configuration.name}".lower()


def is_shell_request(request: soap.Request) -> bool:
    """Return True if the request is for remote shells."""
    return request.resource.lower().startswith((URI, POWERSHELL)) or request.action.lower().startswith(URI)


def second_name(request: soap.Request) -> str:
    """Return the second name of a PowerShell request, besides `Shell/…`. It names the pool or a pipeline."""
    if not _is_powershell(request):
        return ""
    body = () if request.body is None else request.body.iter()
    to_pipeline = request.operation == "Command" or any(child.get("CommandId") for child in body)
    return f"{'Pipeline' if to_pipeline else 'RunspacePool'}/{request.operation}"


def failure(rule: estate.FaultRule, request: soap.Request, machine: Machine) -> wsman_faults.Fault | None:
    """Return the shell fault of a rule, or None if the rule has another kind of fault."""
    if rule.hresult is not None:
        text = hresult.lookup(rule.hresult).meaning
        return shell_faults.failed(rule.hresult, text, _is_powershell(request))
    if rule.answer != "quota":
        return None
    if request.operation == "Create":
        return shell_faults.too_many(machine.spec.quotas.shells)
    return shell_faults.too_many_commands() if request.operation == "Command" else None


def _is_powershell(request: soap.Request) -> bool:
    return request.resource.lower().startswith(POWERSHELL)
