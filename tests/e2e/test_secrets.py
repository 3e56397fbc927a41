"""No secret leaves the provider: canaries travel through everything that a run prints, stores and records.

The exceptions are logs of the engine about its own messages: `-v=9` and PULUMI_DEBUG_GRPC. They contain all that the
engine sends to the provider. The tests use the second one to show that the canaries traveled, and that the search finds
them.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import pytest

from avma_simulator import EstateServer
from e2e import secrets_stack
from e2e.secrets_stack import CALLS, ECHO, MACHINES, RESOURCES, SECRETS, Echo, SecretsStack
from schema_inputs import unused_inputs
from secret_search import leaks

LICENSED = ("hv01", "hv02", "hv04", "web01", "app01", "db01", "fs01", "sql01")
AZURE_LOCAL = {"az01": "azureKey", "az02": "restrictedKey"}
HOST_ALONE = {"hv01": RESOURCES["hv01"]}


@pytest.fixture
def echo() -> Echo:
    return Echo()


@pytest.fixture
def server(serve, tmp_path, echo) -> EstateServer:
    return serve(secrets_stack.estate(tmp_path), echo.service)


@pytest.fixture
def make(server, tmp_path):
    """Return a function that creates a stack with these resources and calls of functions."""
    return lambda resources, calls=None: secrets_stack.create(tmp_path, server, resources, calls or {})


def recorded(server: EstateServer) -> dict[str, bytes]:
    """Return what the PowerShell logs of all machines contain: the scripts, and the parameters of each command."""
    scripts = {f"scripts of {name}": json.dumps(server.script_blocks(name)).encode() for name in MACHINES}
    parameters: dict[str, list[Any]] = defaultdict(list)
    for name in MACHINES:
        for record in server.module_log(name):
            parameters[f"{record['command']} of {name}"].append(record)
    return scripts | {place: json.dumps(records).encode() for place, records in parameters.items()}


def refresh_of_a_machine_that_repeats_secrets(stack: SecretsStack, echo: Echo) -> str:
    """Return the output of a refresh that fails, because a machine returns its secrets in an error."""
    echo.on = True
    failed = stack.workspace.run("refresh", "--yes", "--diff", "--debug", check=False)
    echo.on = False
    assert failed.returncode != 0
    return failed.stdout


def test_each_secret_input_of_the_schema_is_in_the_stack():
    declared = [(each["type"].rpartition(":")[2], each["properties"]) for each in RESOURCES.values()]
    assert unused_inputs([*declared, *CALLS.items()], only_secrets=True) == []
    assert len(unused_inputs([], only_secrets=True)) > 30


def test_a_whole_life_leaves_no_secret(server, make, tmp_path, echo):
    stack = make(RESOURCES, CALLS)
    outside = tmp_path / "engine"
    outside.mkdir()
    run = stack.workspace.run
    plan = str(stack.workspace.project / "plan.json")
    events = str(stack.workspace.project / "events.json")
    experimental = {"PULUMI_EXPERIMENTAL": "true", "PULUMI_DEBUG_COMMANDS": "true"}
    run("preview", "--diff", "--json", "--save-plan", plan, **experimental)
    logged = ("--debug", "--logtostderr", "--logflow", "-v=8", "--event-log", events)
    run("up", "--yes", "--plan", plan, *logged, **experimental, PULUMI_DEBUG_GRPC=str(outside / "grpc.json"))
    assert {server.machine(name)["status"] for name in LICENSED} == {"Licensed"}

    server.uninstall_key("hv01")
    server.uninstall_key("web01")
    server.uninstall_key("sql01")
    run("refresh", "--yes", "--diff", "--debug")
    stack.set("hostKey", SECRETS["nextKey"])
    run("up", "--yes", "--diff", "--debug", "--show-replacement-steps", "--show-sames")
    assert f"{ECHO} …98764, [secret], [secret]" in refresh_of_a_machine_that_repeats_secrets(stack, echo)
    stack.set("appPassword", SECRETS["guestPassword"])
    failed = run("up", "--yes", "--diff", "--debug", check=False)
    assert failed.returncode != 0
    run("stack", "export")
    run("stack", "history", "--json")
    run("destroy", "--yes", "--debug", "--run-program", check=False)

    assert leaks(stack.canaries, stack.written) == []
    # The cmdlet of Azure Local takes the key as plain text (docs/how-to/hardening.md).
    permitted = {f"Set-VMAutomaticActivation of {name}: {key}" for name, key in AZURE_LOCAL.items()}
    assert {line.partition(" in ")[0] for line in leaks(stack.canaries, recorded(server))} == permitted
    found = leaks(stack.canaries, {"grpc": (outside / "grpc.json").read_bytes()})
    unsent = {"passphrase", "guestPassword"}
    assert {line.split()[1] for line in found} == {canary.name for canary in stack.canaries} - unsent


def test_only_the_lines_of_the_engine_about_its_own_calls_have_secrets(make):
    """At the highest level, the engine logs the values that it sends and receives (rpc.go in Pulumi's source)."""
    stack = make(HOST_ALONE)
    printed = stack.workspace.run("up", "--yes", "--skip-preview", "--logtostderr", "--logflow", "-v=11").stdout
    of_engine = {line for line in printed.splitlines() if re.search(r" rpc\.go:\d+\] ", line)}
    others = "\n".join(line for line in printed.splitlines() if line not in of_engine)
    assert leaks(stack.canaries, {"others": others.encode()}) == []
    found = leaks(stack.canaries, {"engine": "\n".join(of_engine).encode()})
    assert "engine: hostKey" in {line.partition(" in ")[0] for line in found}


FUNCTION = """
from avma.resources.host_license.host_resource import HostLicenseResource as Altered


def create(self, wanted, operation):
    secrets = f"{wanted['product_key']} {operation.configuration.guest.password}"
    %s


Altered.create = create
"""
"""A plugin with this code instead of the creation of a host's license."""

MISTAKES = {
    "an exception": "raise ValueError(secrets)",
    "an exception with a cause": "raise RuntimeError(secrets) from ValueError(secrets)",
    "a status line": "operation.status(f'installing {secrets}'); raise ValueError",
    "a warning": "operation.warn(f'installing {secrets}'); raise ValueError",
    "a line of a log": "logging.getLogger('other.library').error('%s', secrets); os.abort()",
    "a faulty line of a log": "logging.getLogger('other.library').error('%d', secrets); os.abort()",
    "a line of standard error": "import warnings; warnings.warn(secrets); os.abort()",
    "a thread": "t = threading.Thread(target=int, args=(secrets,)); t.start(); t.join(); os.abort()",
    "a finalizer": "Dying(secrets); os.abort()",
    "an event loop": "asyncio.run(forgotten(secrets)); os.abort()",
}
"""Mistakes of code in a resource. `os.abort` ends the plugin. The engine then prints its standard error."""

AROUND = """
import asyncio, faulthandler, logging, os, threading
faulthandler.enable()


class Dying:
    def __init__(self, text):
        self.text = text

    def __del__(self):
        raise ValueError(self.text)


async def forgotten(text):
    asyncio.get_running_loop().create_task(fail(text))
    await asyncio.sleep(0)


async def fail(text):
    raise ValueError(text)

"""


WITHOUT_REDACTION = """
from avma import logs, redaction
redaction.Redactor.__call__ = lambda self, text: self._wording.render(text)
logs.hide_texts_of_bugs = lambda: None
"""


def outputs(stack: SecretsStack, mistakes: Iterable[str], before: str = "") -> dict[str, bytes]:
    """Return the output of `pulumi up` with each of these mistakes in the provider."""
    printed = {}
    for mistake in mistakes:
        stack.alter_plugin(before + AROUND + FUNCTION % MISTAKES[mistake])
        failed = stack.workspace.run("up", "--yes", "--skip-preview", "--debug", check=False)
        assert "unexpected error in pulumi-resource-avma" in failed.stdout or "Python error: Aborted" in failed.stdout
        printed[mistake] = failed.stdout.encode()
    return printed


def test_mistakes_in_the_provider_show_no_secret(server, make):
    stack = make(HOST_ALONE)
    assert leaks(stack.canaries, outputs(stack, MISTAKES)) == []


def test_without_redaction_the_search_finds_the_secrets(server, make):
    stack = make(HOST_ALONE)
    mistakes = ("a status line", "a faulty line of a log", "a thread", "a finalizer")
    found = leaks(stack.canaries, outputs(stack, mistakes, WITHOUT_REDACTION))
    assert {line.partition(" in …")[0] for line in found} == {
        f"{mistake}: {secret}" for mistake in mistakes for secret in ("hostKey", "guestPassword")
    }
