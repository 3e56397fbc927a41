"""The whole lifecycle, from the first preview to destroy."""

import json

import pytest

from avma import keys
from avma.keys import KeyKind
from e2e.estate import HOST, HOST_KEY, SPARE_KEY, estate, host_license, machine, published, vm_activation
from loopback import address

WEB = machine("web01", "2022", "Standard", address(21))
APP = machine("app01", "2019", "Datacenter", address(22))
PROGRAM = {
    "hv01": host_license(productKey="${productKey}"),
    "web01": vm_activation("web01"),
    "app01": vm_activation("app01"),
}


@pytest.fixture
def server(serve):
    return serve(estate(WEB, APP))


@pytest.fixture
def stack(server, workspace):
    return workspace(PROGRAM, {"productKey": HOST_KEY})


def methods(server) -> list[str]:
    operations = [op for counts in server.counts().values() for op in counts["operations"]]
    return [op for op in operations if op.startswith("Invoke")]


def outputs(stack) -> dict[str, dict]:
    resources = stack.export()["deployment"]["resources"]
    return {r["urn"].rpartition("::")[2]: r["outputs"] for r in resources if r["type"].startswith("avma:")}


def test_the_whole_life_of_a_stack(server, stack):
    assert stack.preview_steps() == {"hv01": "create", "web01": "create", "app01": "create"}
    assert methods(server) == []

    server.reset_counts()
    stack.run("up", "--yes", "--skip-preview")
    for counts in server.counts().values():
        assert (counts["shells"], counts["processes"]) == (counts["activations"], 0)  # the lock of a spent activation
    for guest in ("web01", "app01"):
        counts = server.counts()[guest]
        assert counts["requests"] - counts["handshakes"] <= 11
    state = outputs(stack)
    assert state["hv01"]["activatesGuests"] is True
    assert state["hv01"]["osBuild"] == 20348
    assert state["web01"]["activatedByHost"] == "HV01"
    assert state["app01"]["guestVersion"] == "2019"

    server.reset_counts()
    stack.run("preview", "--expect-no-changes")
    stack.run("up", "--yes", "--expect-no-changes")
    assert methods(server) == []
    stack.run("refresh", "--yes", "--expect-no-changes")
    stack.run("preview", "--expect-no-changes")

    exported = stack.run("stack", "export").stdout
    stack.run("stack", "import", text=exported)
    stack.run("preview", "--expect-no-changes")

    stack.run("destroy", "--yes")
    assert stack.export()["deployment"].get("resources", []) == []
    assert server.machine("web01")["status"] == "Licensed"


def test_licensing_a_fresh_host_costs_few_requests(serve, workspace):
    """The provider reads identity, license, operating system and Hyper-V role. It calls two methods and reads back."""
    server = serve(estate())
    stack = workspace({"hv01": host_license(productKey="${productKey}")}, {"productKey": HOST_KEY})
    stack.run("up", "--yes", "--skip-preview")
    counts, of_lock = server.counts()["hv01"], 6
    assert counts["requests"] - counts["handshakes"] <= 12 + of_lock


def test_drift_is_shown_as_it_is_and_repaired(server, stack):
    stack.run("up", "--yes", "--skip-preview")
    server.install_key("web01", published(KeyKind.KMS_CLIENT, "2022", "Standard"))
    shown = stack.run("refresh", "--yes", "--diff", "--skip-preview").stdout
    changed = {line.split()[1].rstrip(":") for line in shown.splitlines() if "=>" in line}
    assert changed == {"licenseChannel", "licenseStatus", "partialProductKey"}
    assert '"VIRTUAL_MACHINE_ACTIVATION" => "VOLUME_KMSCLIENT"' in shown
    assert stack.preview_steps() == {"web01": "update"}
    stack.run("up", "--yes", "--skip-preview")
    assert server.machine("web01")["channel"] == "VIRTUAL_MACHINE_ACTIVATION"
    stack.run("refresh", "--yes", "--expect-no-changes")


def test_a_host_that_lost_its_licence_is_licensed_again_without_spending(server, stack):
    stack.run("up", "--yes", "--skip-preview")
    server.uninstall_key("hv01")
    stack.run("up", "--yes", "--refresh", "--skip-preview")
    assert server.machine("hv01")["status"] == "Licensed"
    assert server.keys()[keys.partial(HOST_KEY)] == 0


def test_edits_change_only_what_they_say(server, stack):
    stack.run("up", "--yes", "--skip-preview")
    server.reset_counts()
    stack.write_resources({**PROGRAM, "web01": vm_activation("web01", onDelete="uninstallKey")})
    assert stack.preview_steps() == {"web01": "update"}
    stack.run("up", "--yes", "--skip-preview")
    assert methods(server) == []

    stack.run("config", "set", "--secret", "productKey", text=SPARE_KEY)
    assert stack.preview_steps() == {"hv01": "update"}
    stack.run("up", "--yes", "--skip-preview")
    assert server.machine("hv01")["partialProductKey"] == keys.partial(SPARE_KEY)

    stack.run("config", "set", "avma:connectTimeout", "5s")
    assert not {"hv01", "web01", "app01"} & set(stack.preview_steps())

    stack.write_resources({name: PROGRAM[name] for name in ("hv01", "app01")})
    stack.run("up", "--yes", "--skip-preview")
    assert server.machine("web01")["status"] != "Licensed"


def test_another_vm_is_another_resource(server, stack):
    stack.run("up", "--yes", "--skip-preview")
    stack.write_resources({**PROGRAM, "web01": vm_activation("app01")})
    assert stack.preview_steps()["web01"] in ("replace", "create-replacement")


def test_secrets_are_ciphertext_in_the_state(stack):
    stack.run("up", "--yes", "--skip-preview")
    state = stack.export()["deployment"]["resources"]
    host = next(r for r in state if r["type"] == "avma:index:HostLicense")
    assert "ciphertext" in host["inputs"]["productKey"]
    assert "ciphertext" in host["outputs"]["productKey"]
    provider = next(r for r in state if r["type"] == "pulumi:providers:avma")
    assert HOST_KEY not in json.dumps(state)
    assert "ciphertext" in json.dumps(provider["inputs"]["password"])


def test_a_vm_that_went_elsewhere_is_dropped_from_the_state_only_when_the_host_said_so(serve, workspace):
    server = serve(estate(WEB, hosts=(machine("hv02", "2022", "Datacenter", address(12)),)))
    stack = workspace({name: PROGRAM[name] for name in ("hv01", "web01")}, {"productKey": HOST_KEY})
    stack.run("up", "--yes", "--skip-preview")
    stack.run("config", "set", "avma:port", "1")
    failed = stack.run("refresh", "--yes", "--run-program", check=False)
    assert failed.returncode != 0
    assert "nothing listens on that port" in failed.stdout
    assert set(outputs(stack)) == {"hv01", "web01"}
    stack.run("config", "rm", "avma:port")
    server.move("web01", "hv02")
    stack.run("refresh", "--yes", "--run-program")
    assert set(outputs(stack)) == {"hv01"}


def test_a_host_reached_over_https_with_the_estates_authority(serve, workspace):
    host = estate(https={"port": 5986}, logons=["ntlm", "basic"])
    server = serve(host)
    stack = workspace({"hv01": host_license(productKey="${productKey}")}, {"productKey": HOST_KEY})
    stack.run("config", "rm", "avma:https")
    failed = stack.run("up", "--yes", "--skip-preview", check=False)
    assert "an untrusted authority. Set `caCert`" in failed.stdout
    stack.run("config", "set", "avma:caCert", server.ca_certificate)
    stack.run("config", "set", "avma:auth", "basic")
    stack.run("up", "--yes", "--skip-preview")
    assert outputs(stack)["hv01"]["host"] == HOST
    stack.run("config", "rm", "avma:caCert")
    stack.run("config", "set", "avma:insecure", "true")
    assert "`insecure` is set" in stack.run("up", "--yes").stdout
