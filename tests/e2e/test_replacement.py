"""A replacement never leaves a machine without the license of the new resource."""

import pytest

from e2e.estate import HOST, HOST_KEY, estate, host_license, machine, vm_activation
from loopback import address

WEB = machine("web01", "2022", "Standard", address(21))


def urn(stack, name: str) -> str:
    return next(r["urn"] for r in stack.export()["deployment"]["resources"] if r["urn"].endswith(f"::{name}"))


@pytest.fixture
def server(serve):
    return serve(estate(WEB, license={"key": HOST_KEY}))


@pytest.fixture
def stack(server, workspace):
    made = workspace({"hv01": host_license(), "web01": vm_activation("web01", onDelete="uninstallKey")})
    made.run("up", "--yes", "--skip-preview")
    return made


def test_a_replacement_that_is_asked_for(server, stack):
    stack.run("up", "--yes", "--skip-preview", "--replace", urn(stack, "web01"))
    assert server.machine("web01")["status"] == "Licensed"
    stack.run("preview", "--refresh", "--expect-no-changes")


def test_replace_on_changes(server, stack):
    again = vm_activation("web01", onDelete="uninstallKey", guest={"operationTimeout": "30s"})
    stack.write_resources({"hv01": host_license(), "web01": {**again, "options": {"replaceOnChanges": ["guest"]}}})
    stack.run("up", "--yes", "--skip-preview")
    assert server.machine("web01")["status"] == "Licensed"
    stack.run("preview", "--refresh", "--expect-no-changes")


def test_another_name_of_the_same_host(serve, workspace):
    server = serve(estate())
    declared = {"productKey": "${productKey}", "onDelete": "uninstallKey"}
    stack = workspace({"hv01": host_license(**declared)}, {"productKey": HOST_KEY})
    stack.run("up", "--yes", "--skip-preview")
    stack.write_resources({"hv01": host_license(host="renamed", connection={"address": HOST}, **declared)})
    stack.run("up", "--yes", "--skip-preview")
    assert server.machine("hv01")["status"] == "Licensed"
    stack.run("preview", "--refresh", "--expect-no-changes")


def test_a_resource_that_cannot_be_created_replaces_nothing(serve, workspace):
    other = machine("hv02", "2022", "Datacenter", address(12), license={"key": HOST_KEY})
    serve(estate(WEB, hosts=(other,), license={"key": HOST_KEY}))
    program = {"hv01": host_license(), "web01": vm_activation("web01")}
    stack = workspace(program)
    stack.run("up", "--yes", "--skip-preview")
    moved = {"type": "avma:VmActivation", "properties": {"hosts": [address(12)], "vmName": "web01"}}
    stack.write_resources({**program, "web01": moved})
    failed = stack.run("up", "--yes", "--skip-preview", check=False)
    assert failed.returncode != 0
    assert "old resource stays until Pulumi can create the new one" in failed.stdout
    stack.write_resources(program)
    stack.run("preview", "--expect-no-changes")


def test_destroy_still_uninstalls(server, stack):
    stack.run("destroy", "--yes")
    assert server.machine("web01")["status"] == "Unlicensed"


def test_destroy_goes_on_without_the_file_of_authorities(server, workspace, tmp_path):
    file = tmp_path / "ca.pem"
    file.write_text("soon gone")
    stack = workspace({"hv01": host_license()}, **{"avma:caCert": str(file)})
    stack.run("up", "--yes", "--skip-preview")
    file.unlink()
    stack.run("destroy", "--yes")


def test_the_two_ways_out_of_a_machine_that_is_gone(server, stack):
    stack.run("config", "set", "avma:port", "1")
    stack.run("up", "--yes", "--skip-preview", check=False)
    failed = stack.run("destroy", "--yes", "--run-program", check=False)
    assert failed.returncode != 0
    assert "pulumi state delete" in failed.stdout
    assert "AVMA_DELETE_UNREACHABLE=true" in failed.stdout
    stack.run("destroy", "--yes", AVMA_DELETE_UNREACHABLE="true")
    assert stack.export()["deployment"].get("resources", []) == []
