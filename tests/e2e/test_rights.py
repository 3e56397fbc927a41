"""An account without Hyper-V rights, with the real engine: the state stays, and the error has the cause."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from avma_cli.__main__ import app
from e2e.estate import ADMINISTRATOR, HOST, HOST_KEY, PASSWORD, estate, host_license, machine, vm_activation
from loopback import address

WEB = machine("web01", "2022", "Standard", address(21))
APP = machine("app01", "2019", "Datacenter", address(22))
PROGRAM = {
    "hv01": host_license(productKey="${productKey}"),
    "web01": vm_activation("web01", onDelete="uninstallKey"),
    "app01": vm_activation("app01", onDelete="restoreKmsClientKey"),
}
INCOMPLETE = 3
NAMED = ("Hyper-V Administrators", "vmms")


@pytest.fixture(params=["no rights", "vmms stopped"])
def blinded(request, serve, workspace):
    """A deployed stack whose host then lists nothing."""
    server = serve(estate(WEB, APP))
    stack = workspace(PROGRAM, {"productKey": HOST_KEY})
    stack.run("up", "--yes", "--skip-preview")
    if request.param == "no rights":
        server.rights("hv01", "user")
    else:
        server.service("hv01", "vmms", False)
    return server, stack


def state(stack) -> list[dict]:
    return stack.export()["deployment"]["resources"]


def command(*arguments: object) -> tuple[int, str]:
    """Run `avma`, and return its exit code and output."""
    environment = {"AVMA_PASSWORD": PASSWORD, "AVMA_GUEST_PASSWORD": PASSWORD, "COLUMNS": "300"}
    result = CliRunner().invoke(app, [*map(str, arguments)], env=environment)
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.exit_code, result.output


def test_a_refresh_fails_and_keeps_the_state(blinded):
    _, stack = blinded
    before = {r["urn"]: r.get("outputs") for r in state(stack)}
    refused = stack.run("refresh", "--yes", check=False)
    assert refused.returncode != 0
    assert all(word in refused.stdout for word in NAMED)
    assert {r["urn"]: r.get("outputs") for r in state(stack)} == before


def test_no_key_is_forgotten_when_the_stack_is_destroyed(blinded):
    server, stack = blinded
    refused = stack.run("destroy", "--yes", check=False)
    assert refused.returncode != 0
    assert all(word in refused.stdout for word in NAMED)
    assert {r["urn"].rpartition("::")[2] for r in state(stack)} >= {"web01", "app01"}
    assert {server.machine(name)["status"] for name in ("web01", "app01")} == {"Licensed"}
    assert {server.machine(name)["channel"] for name in ("web01", "app01")} == {"VIRTUAL_MACHINE_ACTIVATION"}


def test_a_preview_and_a_function_fail(blinded):
    _, stack = blinded
    stack.write_resources({"hv01": host_license(), "new01": vm_activation("web01")})
    refused = stack.run("preview", check=False)
    assert refused.returncode != 0
    assert all(word in refused.stdout for word in NAMED)
    stack.write_resources({"hv01": host_license()})
    vms = {"fn::invoke": {"function": "avma:getHostVms", "arguments": {"host": HOST}}}
    stack.write_outputs({"vms": vms})
    refused = stack.run("up", "--yes", "--skip-preview", check=False)
    assert refused.returncode != 0
    assert all(word in refused.stdout for word in NAMED)


def test_doctor_names_the_group_and_report_shows_the_host_as_failed(blinded, tmp_path: Path):
    code, said = command("doctor", HOST, "--no-https", "--username", ADMINISTRATOR)
    assert code == 1
    assert all(word in said for word in NAMED)
    file = tmp_path / "list.yaml"
    settings = {"https": False, "username": ADMINISTRATOR, "guest": {"username": ADMINISTRATOR}}
    file.write_text(yaml.safe_dump({"settings": settings, "hosts": [HOST]}))
    code, said = command("report", file, "--json")
    assert code == INCOMPLETE
    (host,) = json.loads(said)["hosts"]
    assert host["answer"] == "failed"
    assert all(word in host["problem"] for word in NAMED)
