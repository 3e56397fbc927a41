"""The real engine waits for a VM that the same run created."""

from concurrent.futures import ThreadPoolExecutor

from e2e.estate import HOST, HOST_KEY, estate, host_license, machine, vm_activation
from loopback import address
from waiting import wait_until

FRESH = machine("web01", "2022", "Standard", address(21), readyAfter=8)
DIRECT = {"avma:guest.transport": "powershellDirect"}
SETUP = 600
"""Seconds of the setup of Windows, by the clock of the simulator."""


def test_a_vm_in_setup_is_waited_for_with_live_status(serve, workspace, tmp_path):
    server = serve(estate(FRESH))
    server.setup("web01", SETUP)
    program = {"hv01": host_license(productKey="${productKey}"), "web01": vm_activation("web01")}
    stack = workspace(program, {"productKey": HOST_KEY}, **DIRECT)
    events = tmp_path / "events"
    events.touch()
    with ThreadPoolExecutor(1) as thread:
        options = ("up", "--yes", "--skip-preview", "--event-log", str(events))
        up = thread.submit(stack.run, *options, PULUMI_DEBUG_COMMANDS="1")  # the option is hidden without it
        wait_until(lambda: up.done() or "waiting for its guest" in events.read_text())
        server.advance_clock(SETUP)
        printed = up.result().stdout
    assert "waiting for its guest" in printed
    assert server.machine("web01")["activatedByHost"] == "HV01"
    stack.run("preview", "--expect-no-changes")


def test_the_time_that_the_user_gives_ends_the_wait_with_the_reason(serve, workspace):
    server = serve(estate(FRESH, license={"key": HOST_KEY}))
    server.setup("web01", 300)
    # The engine passes the time on to another process, so it is real. It has to suffice for two sign-ins in the guest.
    web01 = {**vm_activation("web01", host=HOST), "options": {"customTimeouts": {"create": "8s"}}}
    failed = workspace({"web01": web01}, **DIRECT).run("up", "--yes", "--skip-preview", check=False)
    assert failed.returncode != 0
    text = " ".join(failed.stdout.split())
    assert "was not ready after" in text
    assert "it has reported nothing through Data Exchange yet" in text
    assert "allow more time with the resource option `customTimeouts`" in text
