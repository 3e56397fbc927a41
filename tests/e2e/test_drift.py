"""What the real engine shows of a change outside of Pulumi: the machine, the old value and the new value."""

import json

import pytest
import yaml

from avma.keys import KeyKind
from avma_simulator import load_estate, running
from e2e.estate import HOST, HOST_KEY, estate, host_license, machine, published, vm_activation
from e2e.test_cluster import cluster_license, four_nodes
from loopback import address

REFRESH = ("refresh", "--yes", "--skip-preview")
UNCHANGED = (*REFRESH, "--expect-no-changes")
WEB = machine("web01", "2022", "Standard", address(21))
PROGRAM = {"hv01": host_license(productKey="${productKey}"), "web01": vm_activation("web01")}


def changed(shown: str) -> list[str]:
    """Return the lines of a diff with a changed value, without their indentation."""
    lines = (" ".join(line.split()) for line in shown.splitlines())
    return [line for line in lines if line.startswith(("~ ", "+ ", "- ")) and ("=>" in line or line.endswith('"'))]


def described(shown: str) -> list[str]:
    return [line.strip() for line in shown.splitlines() if ": drift: " in line or ": its drift is gone" in line]


@pytest.fixture
def nodes(serve):
    return serve(four_nodes())


@pytest.fixture
def cluster(nodes, workspace):
    stack = workspace({"nodes": cluster_license()}, {"productKey": HOST_KEY})
    stack.run("up", "--yes", "--skip-preview")
    return stack


LOST = [
    "~ licensedNodes: 4 => 3",
    "~ activatesGuests : true => false",
    '- licenseChannel : "VOLUME_MAK"',
    '~ licenseStatus : "Licensed" => "Unlicensed"',
    '- partialProductKey: "46789"',
]
DRIFT = (
    'n3: drift: `partialProductKey` is absent instead of "46789", `licenseStatus` is "Unlicensed" instead of "Licensed"'
)


def test_a_refresh_shows_the_node_and_what_changed_on_it_and_nothing_the_second_time(nodes, cluster):
    nodes.uninstall_key("n3")
    shown = cluster.run(*REFRESH, "--diff").stdout
    assert changed(shown) == LOST
    assert "~ [2]: {" in shown
    assert "[0]" not in shown
    assert described(shown) == [DRIFT]
    assert described(cluster.run(*UNCHANGED).stdout) == []


@pytest.mark.parametrize("command", [("preview",), ("up", "--yes", "--skip-preview")], ids=["preview", "up"])
def test_a_run_with_refresh_shows_the_old_and_the_new_value_once(nodes, cluster, command):
    nodes.uninstall_key("n3")
    shown = cluster.run(*command, "--refresh", "--diff").stdout
    refreshed, _, updated = shown.partition("ClusterLicense: (update)")
    assert changed(refreshed) == LOST
    assert described(shown) == [DRIFT]
    before_outputs = updated.partition("--outputs:--")[0]
    assert changed(before_outputs) == []
    assert "~ [2]: {" in before_outputs
    assert "[0]" not in before_outputs


def test_a_preview_of_a_repair_names_the_properties_and_lists_no_other_node(nodes, cluster):
    nodes.uninstall_key("n3")
    cluster.run(*REFRESH)
    preview = json.loads(cluster.run("preview", "--json").stdout)
    (step,) = [step for step in preview["steps"] if step["op"] == "update"]
    assert set(step["detailedDiff"]) == {"nodeLicenses[2].licenseStatus", "nodeLicenses[2].partialProductKey"}
    assert [each["message"].strip() for each in preview["diagnostics"]] == [DRIFT]


def test_a_recovery_is_shown(nodes, cluster):
    nodes.uninstall_key("n3")
    cluster.run(*REFRESH)
    nodes.install_key("n3", HOST_KEY)
    nodes.set_license("n3", "Licensed")
    shown = cluster.run(*REFRESH, "--diff").stdout
    assert '~ licenseStatus : "Unlicensed" => "Licensed"' in changed(shown)
    assert described(shown) == ["n3: its drift is gone"]
    cluster.run(*UNCHANGED)
    cluster.run("preview", "--refresh", "--expect-no-changes")


@pytest.fixture
def server(serve):
    return serve(estate(WEB))


@pytest.fixture
def stack(server, workspace):
    stack = workspace(PROGRAM, {"productKey": HOST_KEY})
    stack.run("up", "--yes", "--skip-preview")
    return stack


def test_a_host_and_a_guest_show_old_and_new_values_once(server, stack):
    server.uninstall_key("hv01")
    server.install_key("web01", published(KeyKind.KMS_CLIENT, "2022", "Standard"))
    shown = stack.run(*REFRESH, "--diff").stdout
    assert '~ licenseStatus : "Licensed" => "Unlicensed"' in changed(shown)
    assert '~ licenseChannel : "VIRTUAL_MACHINE_ACTIVATION" => "VOLUME_KMSCLIENT"' in changed(shown)
    stack.run(*UNCHANGED)
    preview = stack.run("preview", "--diff").stdout
    assert changed(preview) == []
    host, guest = described(preview)
    assert host.startswith(f"{HOST}: drift: ")
    assert host.endswith('`licenseStatus` is "Unlicensed" instead of "Licensed"')
    assert guest.startswith("web01: drift: ")
    assert '`licenseChannel` is "VOLUME_KMSCLIENT" instead of "VIRTUAL_MACHINE_ACTIVATION"' in guest


def test_a_renamed_vm_is_shown_and_is_no_drift(server, stack):
    server.rename("web01", "web02")
    shown = stack.run(*REFRESH, "--diff").stdout
    assert changed(shown) == ['~ vmName: "web01" => "web02"']
    stack.run(*UNCHANGED)
    stack.run("preview", "--expect-no-changes")


def test_another_vm_with_the_declared_name_is_shown_and_replaces(server, stack):
    server.rename("web01", "old01")
    server.create("hv01", {**WEB, "address": address(22)})
    shown = stack.run(*REFRESH, "--diff").stdout
    assert '~ vmName : "web01" => "old01"' in changed(shown)
    assert "+ nameTakenBy: " in shown
    stack.run(*UNCHANGED)
    assert '~ vmName: "old01" => "web01"' in changed(stack.run("preview", "--diff").stdout)


def test_an_upgrade_in_place_is_shown(tmp_path, workspace):
    file = tmp_path / "estate.yaml"
    before, after = (
        yaml.safe_dump(estate({**WEB, "version": version}, version="2025", license={"key": HOST_KEY}))
        for version in ("2022", "2025")
    )
    file.write_text(before)
    with running(load_estate(file)):
        stack = workspace(PROGRAM, {"productKey": HOST_KEY})
        stack.run("up", "--yes", "--skip-preview")
    file.write_text(after)
    with running(load_estate(file)):
        shown = stack.run(*REFRESH, "--diff").stdout
        assert '~ guestVersion : "2022" => "2025"' in changed(shown)
        stack.run(*UNCHANGED)
        stack.run("up", "--yes", "--skip-preview")
        stack.run(*UNCHANGED)
