"""Interrupted runs of the real engine: Ctrl-C, a killed engine, and time limits."""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import pytest

from avma import keys
from core.silence import Silence, accepting, not_accepting
from e2e.estate import HOST, HOST_KEY, estate, host_license, machine, vm_activation
from e2e.interrupting import up
from loopback import address
from waiting import PATIENCE, wait_until
from workspace import Workspace

DIRECT = {"avma:guest.transport": "powershellDirect"}
LIMIT = 8
"""Seconds. The time limit of an operation."""
MOST = LIMIT + 3
ANSWERED = 10
"""Seconds from Ctrl-C to the end of the engine and the plugin. The promise is 2 seconds, but the machine is busy."""
WEB01 = machine("web01", "2022", "Standard", address(21))
HANGING = [{"operation": "PowerShellDirect/Connect", "answer": "timeout"}]
REFUSED = [{"operation": "SoftwareLicensingService/InstallProductKey", "hresult": 0xC004F050}]


def canceled(stack: Workspace, begun: Callable[[], object]) -> str:
    """Run `pulumi up`, and interrupt it as soon as `begun` returns. It ends in time. Return its output."""
    running = up(stack)
    begun()
    sent = time.monotonic()
    running.send(signal.SIGINT)
    printed = running.output()
    assert time.monotonic() - sent < ANSWERED
    return printed


def test_ctrl_c_is_answered_while_machines_are_silent(workspace):
    with accepting() as quiet, not_accepting() as full:
        program = {
            name: host_license(
                host="localhost",
                connection={"address": "127.0.0.1", "port": server.getsockname()[1]},
                productKey="${productKey}",
            )
            for name, server in (("quiet", quiet), ("full", full))
        }
        limits = {"avma:connectTimeout": "10m", "avma:operationTimeout": "10m"}
        stack = workspace(program, {"productKey": HOST_KEY}, **limits)
        with ExitStack() as opened:
            printed = canceled(stack, lambda: opened.enter_context(quiet.accept()[0]))
    assert printed.count("the run was canceled") >= 2


def test_ctrl_c_ends_a_session_in_a_guest(serve, workspace):
    server = serve(estate(WEB01, license={"key": HOST_KEY}))
    server.faults("web01", [{**HANGING[0], "times": 1}])
    stack = workspace({"web01": vm_activation("web01", host=HOST)}, **DIRECT)
    printed = canceled(stack, lambda: wait_until(lambda: server.present_faults("web01")[0]["times"] == 0))
    assert "the run was canceled" in printed
    assert server.counts()["hv01"]["openShells"] == 0
    stack.run("up", "--yes", "--skip-preview")
    assert server.machine("web01")["activatedByHost"] == "HV01"


def test_ctrl_c_during_a_change_keeps_the_state(serve, workspace):
    silence = Silence("hv01", "InstallProductKey", after=True)
    server = serve(estate(), silence.service)
    stack = workspace({"hv01": host_license(productKey="${productKey}")}, {"productKey": HOST_KEY})
    printed = canceled(stack, lambda: silence.begun.wait(PATIENCE))
    assert "the run was canceled" in printed
    (host,) = [r for r in stack.export()["deployment"]["resources"] if r["type"] == "avma:index:HostLicense"]
    assert "the run was canceled" in host["initErrors"][0]
    stack.run("up", "--yes", "--skip-preview")
    assert server.machine("hv01")["status"] == "Licensed"
    assert server.counts()["hv01"]["operations"]["Invoke SoftwareLicensingService/InstallProductKey"] == 1


def test_a_killed_engine_leaves_no_process_that_changes_a_machine(serve, workspace):
    silence = Silence("hv01", "Enumerate SoftwareLicensingProduct", skip=1)
    server = serve(estate(), silence.service)
    stack = workspace({"hv01": host_license(productKey="${productKey}")}, {"productKey": HOST_KEY})

    running = up(stack)
    assert silence.begun.wait(PATIENCE)
    running.process.kill()
    running.process.wait(PATIENCE)
    silence.end()
    running.output()
    assert not [name for name in server.counts()["hv01"]["operations"] if name.startswith("Invoke")]

    locked = stack.run("up", "--yes", "--skip-preview", check=False)
    assert "delete the lock file with `pulumi cancel`" in locked.stdout
    stack.run("cancel", "--yes")
    again = stack.run("up", "--yes", "--skip-preview").stdout
    assert "hv01, interrupted while creating" in again
    assert server.keys()[keys.partial(HOST_KEY)] == 0
    stack.run("refresh", "--yes", "--skip-preview", "--clear-pending-creates")
    assert "pending operations" not in stack.run("up", "--yes", "--skip-preview").stdout


def limited(**properties: Any) -> dict[str, Any]:
    """Return a VmActivation of web01 whose operations have a time limit."""
    limits = {"customTimeouts": dict.fromkeys(("create", "update", "delete"), f"{LIMIT}s")}
    return {"web01": {**vm_activation("web01", host=HOST, **properties), "options": limits}}


def seconds(stack: Workspace, command: str, step: str) -> int:
    """Return the seconds until a failed step of web01 ended, as the engine counts them."""
    printed = stack.run(command, "--yes", "--skip-preview", check=False).stdout
    return int(next(re.finditer(rf"web01 {step} \((\d+)s\).* error: web01 through its host", printed))[1])


@pytest.mark.parametrize(
    ("faults", "silent"),
    [(HANGING, "none"), ([], "Pipeline/Receive"), (REFUSED, "Enumerate Win32_NTLogEvent")],
    ids=["the guest", "the host", "the event log of the host"],
)
def test_the_time_limit_of_a_creation_holds_although_something_hangs(serve, workspace, faults, silent):
    server = serve(estate(WEB01, license={"key": HOST_KEY}), Silence("hv01", silent).service)
    server.faults("web01", faults)
    assert LIMIT <= seconds(workspace(limited(), **DIRECT), "up", "creating") <= MOST


def test_the_time_limits_of_an_update_and_a_deletion_hold_although_the_guest_hangs(serve, workspace):
    server = serve(estate(WEB01, license={"key": HOST_KEY}))
    stack = workspace(limited(onDelete="uninstallKey"), **DIRECT)
    stack.run("up", "--yes", "--skip-preview")
    server.uninstall_key("web01")
    stack.run("refresh", "--yes", "--skip-preview")
    server.faults("web01", HANGING)
    assert LIMIT <= seconds(stack, "up", "updating") <= MOST
    assert LIMIT <= seconds(stack, "destroy", "deleting") <= MOST
