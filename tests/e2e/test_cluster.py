"""examples/cluster with the real engine: four nodes, forty guests, a new node and a moved guest."""

import yaml

from avma import keys
from avma_simulator import load_estate, running
from e2e.estate import HOST_KEY, machine
from loopback import address, relocated
from workspace import ROOT, Workspace

EXAMPLE = ROOT / "examples" / "cluster"
ESTATE, PROGRAM = (relocated((EXAMPLE / name).read_text()) for name in ("estate.yaml", "Pulumi.yaml"))
DECLARED = yaml.safe_load(ESTATE)
KEY = DECLARED["keys"][0]["key"]
PASSWORD = DECLARED["hosts"][0]["password"]


def test_a_cluster_is_licensed_followed_and_repaired(tmp_path):
    file = tmp_path / "estate.yaml"
    file.write_text(ESTATE)
    with running(load_estate(file)) as server:
        stack = Workspace(tmp_path, PROGRAM)
        account = {"https": "false", "username": "Administrator"}
        config = {f"avma:{name}": value for name, value in account.items()}
        config |= {f"avma:guest.{name}": value for name, value in {**account, "transport": "winrm"}.items()}
        stack.new_stack("dev", config, {"avma:password": PASSWORD, "avma:guest.password": PASSWORD, "productKey": KEY})

        stack.run("up", "--yes", "--skip-preview", "--parallel", "50")
        states = [server.machine(f"vm{number:02}") for number in range(1, 41)]
        assert {state["status"] for state in states} == {"Licensed"}
        assert server.keys()[keys.partial(KEY)] == 1
        stack.run("refresh", "--yes", "--expect-no-changes", "--skip-preview", "--parallel", "50")

        server.change_nodes("cl01", "add", "n5")
        server.move("vm02", "n5")
        assert server.machine("vm02")["status"] != "Licensed"
        stack.run("refresh", "--yes", "--skip-preview", "--parallel", "50")
        assert stack.preview_steps() == {"nodes": "update", "vm02": "update"}
        stack.run("up", "--yes", "--skip-preview")
        assert server.machine("n5")["status"] == "Licensed"
        assert server.machine("vm02")["activatedByHost"] == "N5"
        assert server.keys()[keys.partial(KEY)] == 0

        server.power("n3", "off")
        printed = stack.run("refresh", "--yes", "--skip-preview", "--parallel", "50", check=False).stdout
        assert KEY not in stack.printed
        assert PASSWORD not in stack.printed + stack.stored()
        assert "nothing listens on that port" in printed


CLUSTER = address(50)


def four_nodes() -> dict:
    """Return a cluster of four unlicensed nodes, and a key with four activations."""
    nodes = [machine(f"n{number}", "2022", "Datacenter", address(50 + number)) for number in range(1, 5)]
    named = {"name": "cl01", "nodes": [node["name"] for node in nodes], "address": CLUSTER, "http": {"port": 5985}}
    key = {"key": HOST_KEY, "channel": "MAK", "version": "2022", "edition": "Datacenter", "activations": 4}
    return {"keys": [key], "hosts": nodes, "clusters": [named]}


def cluster_license() -> dict:
    properties = {"cluster": CLUSTER, "productKey": "${productKey}"}
    return {"type": "avma:ClusterLicense", "properties": properties}


def test_a_node_that_is_down_is_named_and_the_next_up_finishes_with_nothing_spent_twice(serve, workspace):
    server = serve(four_nodes())
    server.power("n3", "off")
    stack = workspace({"nodes": cluster_license()}, {"productKey": HOST_KEY})
    failed = stack.run("up", "--yes", "--skip-preview", check=False)
    assert failed.returncode != 0
    assert "n3" in failed.stdout
    assert "Bring the node up" in failed.stdout
    (state,) = [r for r in stack.export()["deployment"]["resources"] if r["type"] == "avma:index:ClusterLicense"]
    licensed = {node["node"] for node in state["outputs"]["nodeLicenses"] if node.get("licenseStatus") == "Licensed"}
    assert licensed == {"n1", "n2", "n4"}
    assert server.keys()[keys.partial(HOST_KEY)] == 1

    server.power("n3", "running")
    server.reset_counts()
    stack.run("up", "--yes", "--skip-preview")
    assert server.keys()[keys.partial(HOST_KEY)] == 0
    changed = {
        name
        for name, counts in server.counts().items()
        if any(operation.startswith("Invoke") for operation in counts["operations"])
    }
    assert changed == {"n3"}
    stack.run("preview", "--expect-no-changes")
    stack.run("refresh", "--yes", "--expect-no-changes", "--skip-preview")


def test_a_pipeline_passes_while_a_licensed_node_is_in_maintenance(serve, workspace):
    server = serve(four_nodes())
    stack = workspace({"nodes": cluster_license()}, {"productKey": HOST_KEY})
    stack.run("up", "--yes", "--skip-preview")
    server.power("n3", "off")
    checked = stack.run("preview", "--refresh", "--expect-no-changes")
    assert "the cluster reports the node as Down" in checked.stdout
    assert "The state keeps the license that the provider verified before." in checked.stdout
    updated = stack.run("up", "--refresh", "--yes", "--skip-preview", "--expect-no-changes")
    assert "set `unreachableNodes: fail`" in updated.stdout
    (state,) = [r for r in stack.export()["deployment"]["resources"] if r["type"] == "avma:index:ClusterLicense"]
    assert state["outputs"]["licensedNodes"] == 4


def test_a_cluster_is_imported_and_the_program_then_changes_nothing(serve, workspace):
    declared = four_nodes()
    for node in declared["hosts"]:
        node["license"] = {"key": HOST_KEY}
    server = serve(declared)
    stack = workspace({"nodes": {"type": "avma:ClusterLicense", "properties": {"cluster": CLUSTER}}})
    stack.run("import", "avma:index:ClusterLicense", "nodes", CLUSTER, "--yes", "--protect=false")
    stack.run("preview", "--expect-no-changes")
    stack.run("refresh", "--yes", "--expect-no-changes", "--skip-preview")
    assert not [op for each in server.counts().values() for op in each["operations"] if op.startswith("Invoke")]
