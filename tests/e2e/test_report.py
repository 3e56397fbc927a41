"""`avma report` and Pulumi: `pulumi import --file` reads its import file, and it reads a stack export."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from avma.keys import KeyKind
from avma_cli.__main__ import app
from e2e.estate import ADMINISTRATOR, HOST, PASSWORD, SECRETS, SPARE_KEY, estate, machine, published
from loopback import address

CLUSTER = address(100)


def report(*arguments: object, text: str | None = None) -> str:
    environment = {"AVMA_PASSWORD": PASSWORD, "AVMA_GUEST_PASSWORD": PASSWORD}
    result = CliRunner().invoke(app, ["report", *map(str, arguments)], input=text, env=environment)
    assert result.exit_code == 0, result.output
    assert not [secret for secret in SECRETS if secret in result.output]
    return result.output


def named(address: str) -> str:
    """Return the name of the resource that the report derives from an address."""
    return f"machine-{address.replace('.', '-')}"


@pytest.fixture
def listed(serve, tmp_path: Path) -> Path:
    """Serve a licensed cluster and a licensed host with activated guests, and return their list."""
    license_of_guest, license_of_host = {"key": published(KeyKind.AVMA, "2022", "Standard")}, {"key": SPARE_KEY}
    web, odd, moving = (
        machine(name, "2022", "Standard", address(20 + number), license=license_of_guest)
        for number, name in enumerate(("hv01", "Payroll DB", "moving"), 1)
    )
    node1, node2 = (
        machine(f"n{number}", "2022", "Datacenter", address(number), license=license_of_host, vms=vms)
        for number, vms in ((1, [moving]), (2, []))
    )
    world = estate(web, odd, hosts=(node1, node2), license=license_of_host)
    world["clusters"] = [{"name": "cl", "nodes": ["n1", "n2"], "address": CLUSTER, "http": {"port": 5985}}]
    serve(world)
    settings = {"https": False, "username": ADMINISTRATOR, "guest": {"username": ADMINISTRATOR}}
    file = tmp_path / "list.yaml"
    file.write_text(yaml.safe_dump({"settings": settings, "hosts": [HOST], "clusters": [CLUSTER]}))
    return file


def test_everything_is_imported_and_the_preview_is_empty(listed, workspace, tmp_path):
    file, program = tmp_path / "import.json", tmp_path / "generated.yaml"
    report(listed, "-q", "--import-file", file)
    wanted = json.loads(file.read_text())["resources"]
    assert [(each["type"].rpartition(":")[2], each["name"]) for each in wanted] == [
        ("ClusterLicense", named(CLUSTER)),
        ("HostLicense", named(HOST)),
        ("VmActivation", "moving"),
        ("VmActivation", "hv01"),
        ("VmActivation", "payroll-db"),
    ]
    stack = workspace({}, **{"avma:guest.transport": "powershellDirect"})
    stack.run("import", "--file", str(file), "--yes", "--protect=false", "--out", str(program))
    stack.write_resources(yaml.safe_load(program.read_text())["resources"])
    stack.run("preview", "--expect-no-changes")
    imported = {each["urn"].rpartition("::")[2] for each in stack.export()["deployment"]["resources"]}
    assert {each["name"] for each in wanted} <= imported

    # With its password, the whole `guest` configuration is a secret, so the account is an argument.
    seen = json.loads(report("-", "--json", "--guest-username", ADMINISTRATOR, text=json.dumps(stack.export())))
    assert {(host["host"], "recordedSince" in host) for host in seen["hosts"]} == {
        ("n1", True), ("n2", True), (HOST, True),
    }  # fmt: skip
    assert {vm["licenseStatus"] for host in seen["hosts"] for vm in host["vms"]} == {"Licensed"}
