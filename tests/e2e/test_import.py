"""Import of existing licenses."""

import pytest

from avma.keys import KeyKind
from e2e.estate import HOST, SPARE_KEY, estate, host_license, machine, published, vm_activation
from loopback import address

WEB = machine("web01", "2022", "Standard", address(21))


@pytest.fixture
def server(serve):
    return serve(estate(WEB, license={"key": SPARE_KEY}))


def test_a_host_and_a_vm_are_imported_and_the_program_then_changes_nothing(server, workspace):
    program = {"hv01": host_license(), "web01": vm_activation("web01")}
    stack = workspace(program)
    stack.run("import", "avma:index:HostLicense", "hv01", HOST, "--yes", "--protect=false")
    stack.run("import", "avma:index:VmActivation", "web01", f"{HOST}/web01", "--yes", "--protect=false")
    assert stack.preview_steps() == {"web01": "update"}
    stack.run("up", "--yes", "--skip-preview")
    assert server.machine("web01")["status"] == "Licensed"
    stack.run("preview", "--expect-no-changes")
    stack.run("refresh", "--yes", "--expect-no-changes")


def test_import_by_resource_option_with_a_key_that_is_installed_already(server, workspace):
    resource = {**host_license(productKey="${productKey}"), "options": {"import": HOST}}
    stack = workspace({"hv01": resource}, {"productKey": SPARE_KEY})
    stack.run("up", "--yes", "--skip-preview")
    stack.write_resources({"hv01": host_license(productKey="${productKey}")})
    stack.run("preview", "--expect-no-changes")


def test_the_state_of_an_imported_host_is_that_of_a_created_one(server, workspace):
    created = workspace({"hv01": host_license()})
    created.run("up", "--yes", "--skip-preview")
    imported = workspace({"hv01": host_license()})
    imported.run("import", "avma:index:HostLicense", "hv01", HOST, "--yes", "--protect=false")
    first, second = (
        next(r for r in stack.export()["deployment"]["resources"] if r["type"] == "avma:index:HostLicense")
        for stack in (created, imported)
    )
    for part in ("id", "inputs", "outputs"):
        assert first[part] == second[part]


@pytest.mark.parametrize(
    ("kind", "identifier", "text"),
    [
        ("VmActivation", f"{HOST}/absent", "does not exist"),
        ("VmActivation", "web01", "does not have the form HOST/NAME or HOST/GUID"),
        ("HostLicense", address(99), f"{address(99)}:5985: could not identify the machine: the connection was refused"),
    ],
    ids=["no such VM", "malformed id", "no such host"],
)
def test_what_is_not_there_is_not_imported(server, workspace, kind, identifier, text):
    stack = workspace({"hv01": host_license()})
    failed = stack.run("import", f"avma:index:{kind}", "x", identifier, "--yes", check=False)
    assert failed.returncode != 0
    assert text in failed.stdout


def test_a_vm_that_is_activated_already_is_imported_and_the_preview_is_empty(server, workspace):
    server.install_key("web01", published(KeyKind.AVMA, "2022", "Standard"))
    assert server.machine("web01")["status"] == "Licensed"
    stack = workspace({"hv01": host_license(), "web01": vm_activation("web01")})
    stack.run("import", "avma:index:HostLicense", "hv01", HOST, "--yes", "--protect=false")
    stack.run("import", "avma:index:VmActivation", "web01", f"{HOST}/web01", "--yes", "--protect=false")
    stack.run("preview", "--expect-no-changes")
