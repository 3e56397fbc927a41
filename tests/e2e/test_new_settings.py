"""New hosts and accounts with the real engine: they are tried before they are stored, and wrong ones drop nothing."""

import json

import pytest

from e2e.estate import HOST, HOST_KEY, estate, host_license, machine, vm_activation
from loopback import address

OTHER = address(12)
WEB = machine("web01", "2022", "Standard", address(21))
PROGRAM = {"hv01": host_license(), "web01": vm_activation("web01")}
ALL = ("hv01", "web01")


def activation(**more):
    return {"hv01": host_license(), "web01": {**vm_activation("web01"), "properties": {"vmName": "web01", **more}}}


@pytest.fixture
def server(serve):
    other = machine("hv02", "2022", "Datacenter", OTHER, license={"key": HOST_KEY})
    return serve(estate(WEB, hosts=(other,), license={"key": HOST_KEY}))


@pytest.fixture
def stack(server, workspace):
    stack = workspace(PROGRAM)
    stack.run("up", "--yes", "--skip-preview")
    server.reset_counts()
    return stack


def state(stack, name="web01"):
    resources = stack.export()["deployment"]["resources"]
    return next((each for each in resources if each["urn"].endswith(f"::{name}")), None)


WRONG = {
    "hosts without the VM": (activation(hosts=[OTHER]), "there is no VM"),
    "a wrong password of the guest": (
        activation(host=HOST, guest={"password": "Not-It-At-All"}),
        "rejected the sign-in",
    ),
    "a wrong password of the host": (
        {**PROGRAM, "hv01": host_license(connection={"password": "Not-It-At-All"})},
        "rejected the sign-in",
    ),
    "the address of another host": (
        {**PROGRAM, "hv01": host_license(connection={"address": OTHER})},
        "the new settings lead to the machine hv02",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_settings_fail_the_preview_and_up_and_the_old_ones_stay(server, stack, case):
    program, text = WRONG[case]
    before = [state(stack, name)["inputs"] for name in ALL]
    stack.write_resources(program)
    for command in (["preview"], ["up", "--yes", "--skip-preview"]):
        failed = stack.run(*command, check=False)
        assert failed.returncode != 0
        assert text in " ".join(failed.stdout.split())
    assert [state(stack, name)["inputs"] for name in ALL] == before
    stack.run("refresh", "--yes", "--skip-preview", "--expect-no-changes")
    operations = [op for counts in server.counts().values() for op in counts["operations"]]
    assert not [op for op in operations if op.startswith("Invoke")]


def test_right_settings_are_stored_without_a_change_on_a_machine(server, stack):
    stack.write_resources(activation(hosts=[HOST, OTHER], guest={"address": address(21)}))
    stack.run("up", "--yes", "--skip-preview")
    assert state(stack)["inputs"]["hosts"] == [HOST, OTHER]
    stack.run("refresh", "--yes", "--skip-preview")
    assert state(stack)["id"].startswith(f"{HOST},{OTHER}/")
    operations = [op for counts in server.counts().values() for op in counts["operations"]]
    assert not [op for op in operations if op.startswith("Invoke")]
    stack.run("preview", "--refresh", "--expect-no-changes")


def test_wrong_hosts_in_a_state_drop_nothing_until_up_corrects_them(stack):
    exported = stack.export()
    for resource in exported["deployment"]["resources"]:
        if resource["urn"].endswith("::web01"):
            for values in (resource["inputs"], resource["outputs"]):
                values["hosts"] = [OTHER]
                del values["host"]
    stack.run("stack", "import", text=json.dumps(exported))
    failed = stack.run("refresh", "--yes", "--skip-preview", check=False)
    assert failed.returncode != 0
    assert "the VM web01 is on this host, and the resource does not declare the host" in " ".join(failed.stdout.split())
    assert state(stack)["inputs"]["hosts"] == [OTHER]
    stack.write_resources(activation(hosts=[HOST, OTHER]))
    stack.run("up", "--yes", "--skip-preview")
    stack.run("refresh", "--yes", "--skip-preview")
    assert state(stack)["inputs"]["hosts"] == [HOST, OTHER]
