"""The plugin as a process: discovery by the engine, interruption, and the demo."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys

import yaml

from avma import keys
from e2e.estate import HOST, HOST_KEY, PASSWORD, SPARE_KEY, estate, host_license, machine, vm_activation
from e2e.interrupting import plugins, up
from loopback import address
from waiting import wait_until
from workspace import PLUGIN, ROOT

LONG = 600
"""Seconds of an activation and of Windows setup, by the clock of the simulator."""


def test_an_interrupted_up_keeps_what_was_reached_and_the_next_one_goes_on(serve, workspace):
    """The failure of web01, which waits for Windows setup, shows that the plugin has received the interruption."""
    fresh = machine("web01", "2022", "Standard", address(21))
    second = machine("hv02", "2022", "Datacenter", address(12), license={"key": SPARE_KEY}, vms=[fresh])
    server = serve(estate(hosts=(second,), delays={"activation": LONG}))
    server.setup("web01", LONG)
    program = {"hv01": host_license(productKey="${productKey}"), "web01": vm_activation("web01", host=address(12))}
    stack = workspace(program, {"productKey": HOST_KEY}, **{"avma:guest.transport": "powershellDirect"})
    running = up(stack)
    activate = "Invoke SoftwareLicensingProduct/Activate"
    wait_until(lambda: activate in server.counts()["hv01"]["operations"])
    assert plugins(stack)
    running.send(signal.SIGINT)
    begun = "".join(itertools.takewhile(lambda line: "creating failed" not in line, running.process.stdout or ()))
    server.advance_clock(LONG)
    assert HOST_KEY not in begun + running.output()
    state = {r["urn"].rpartition("::")[2]: r for r in stack.export()["deployment"]["resources"]}
    assert "the run was canceled" in state["hv01"]["initErrors"][0]

    stack.run("up", "--yes", "--skip-preview")
    assert server.machine("hv01")["status"] == server.machine("web01")["status"] == "Licensed"
    assert server.counts()["hv01"]["operations"][activate] == 1
    assert server.keys()[keys.partial(HOST_KEY)] == 0


def test_the_plugin_is_found_by_path_in_the_project(serve, workspace):
    serve(estate(license={"key": HOST_KEY}))
    stack = workspace({"hv01": host_license()})
    stack.run("plugin", "rm", "resource", "avma", "--yes", "--all")
    program = yaml.safe_load((stack.project / "Pulumi.yaml").read_text())
    program["plugins"] = {"providers": [{"name": "avma", "path": str(PLUGIN.parent)}]}
    (stack.project / "Pulumi.yaml").write_text(yaml.safe_dump(program))
    stack.run("up", "--yes", "--skip-preview")


def test_the_plugin_is_found_on_path(serve, workspace):
    serve(estate(license={"key": HOST_KEY}))
    stack = workspace({"hv01": host_license()})
    stack.run("plugin", "rm", "resource", "avma", "--yes", "--all")
    path = os.pathsep.join([str(PLUGIN.parent), stack.environment["PATH"]])
    stack.run("up", "--yes", "--skip-preview", PATH=path, PULUMI_IGNORE_AMBIENT_PLUGINS="false")


def test_debug_shows_requests_and_decisions_without_secrets(serve, workspace):
    serve(estate())
    stack = workspace({"hv01": host_license(productKey="${productKey}")}, {"productKey": HOST_KEY})
    printed = stack.run("up", "--yes", "--skip-preview", "--debug").stdout
    assert f"avma.wsman: {HOST}:5985: InstallProductKey SoftwareLicensingService: ok, " in printed
    assert f"avma.resources: {HOST}: activating" in printed
    assert HOST_KEY not in printed
    assert PASSWORD not in printed
    assert "avma.wsman" not in stack.run("refresh", "--yes").stdout


def test_no_plugin_outlives_its_command(serve, workspace):
    serve(estate(license={"key": HOST_KEY}))
    stack = workspace({"hv01": host_license()})
    stack.run("up", "--yes", "--skip-preview")
    wait_until(lambda: not plugins(stack))


def test_the_provider_configured_by_a_secret_of_the_program(serve, workspace):
    serve(estate(license={"key": HOST_KEY}))
    provider = {
        "type": "pulumi:providers:avma",
        "properties": {"https": False, "username": "Administrator", "password": "${word}"},
    }
    resource = {**host_license(), "options": {"provider": "${explicit}"}}
    stack = workspace({"explicit": provider, "hv01": resource}, {"word": PASSWORD})
    stack.run("up", "--yes")
    stack.run("preview", "--expect-no-changes")


def test_the_demo_tells_the_whole_story_and_no_secret():
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / "demo.py"], capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stderr
    for step in ("preview", "up:", "preview --refresh", "Drift", "refresh", "repairs", "import", "destroy"):
        assert step in done.stdout
    declared = yaml.safe_load((ROOT / "examples" / "quickstart" / "estate.yaml").read_text())
    host = declared["hosts"][0]
    secrets = [host["password"], host["vms"][0]["password"], *(key["key"] for key in declared["keys"])]
    secrets += [key.key for key in keys.AVMA_KEYS]
    assert not [secret for secret in secrets if secret in done.stdout + done.stderr]
