"""A session configuration for JEA, with the real engine: the files of `avma jea`, and the setting of the provider."""

from __future__ import annotations

from typing import Any

from typer.testing import CliRunner

from avma_cli.__main__ import app
from e2e.estate import ADMINISTRATOR, HOST_KEY, PASSWORD, estate, host_license, vm_activation
from loopback import address

READER = "svc-reader"
GUEST = {"name": "web01", "version": "2022", "edition": "Standard", "network": False}
HOST = address(32)


def test_an_account_without_powershell_of_its_own_activates_a_guest(serve, workspace, tmp_path):
    written = CliRunner().invoke(app, ["jea", str(tmp_path / "jea"), "--account", f"HV01\\{READER}"])
    assert written.exit_code == 0, written.output
    guest = {**GUEST, "username": ADMINISTRATOR, "password": PASSWORD}
    host_fields: dict[str, Any] = {
        "address": HOST,
        "username": READER,
        "license": {"key": HOST_KEY},
        "sessionConfigurations": [str(tmp_path / "jea" / "avma.pssc")],
        "groups": ["Remote Management Users", "Hyper-V Administrators"],
        "namespaces": {"root/cimv2": "read", "root/virtualization/v2": "read"},
    }
    server = serve(estate(guest, **host_fields))
    host = host_license()
    host["properties"]["host"] = HOST
    stack = workspace(
        {"hv01": host, "web01": vm_activation("web01", onDelete="uninstallKey")},
        **{
            "avma:username": READER,
            "avma:guest.transport": "powershellDirect",
            "avma:configurationName": "avma",
        },
    )
    stack.run("up", "--yes")
    assert server.machine("web01")["status"] == "Licensed"
    stack.run("refresh", "--yes", "--expect-no-changes")
    stack.run("destroy", "--yes")
    assert server.machine("web01")["status"] == "Unlicensed"
    assert {block["text"] for block in server.script_blocks("hv01")} == {"Invoke-AvmaCimInGuest4"}
