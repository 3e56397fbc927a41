"""examples/cluster with the real engine: four nodes and forty guests; a node joins and a guest moves."""

import yaml

from avma import keys
from avma_simulator import load_estate, running
from workspace import ROOT, Workspace

EXAMPLE = ROOT / "examples" / "cluster"
DECLARED = yaml.safe_load((EXAMPLE / "estate.yaml").read_text())
KEY = DECLARED["keys"][0]["key"]
PASSWORD = DECLARED["hosts"][0]["password"]


def test_a_cluster_is_licensed_followed_and_repaired(tmp_path):
    with running(load_estate(EXAMPLE / "estate.yaml")) as server:
        stack = Workspace(tmp_path, (EXAMPLE / "Pulumi.yaml").read_text())
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
