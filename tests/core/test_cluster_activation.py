"""ClusterActivation against a simulated cluster, through PowerShell Direct."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from avma import errors
from avma.configuration import Configuration, GuestDefaults
from avma.properties import dump
from avma.resources.cluster_activation.activation_resource import ClusterActivationResource
from avma.resources.resource import Result
from avma_simulator import EstateServer, load_estate, running
from core.runner import ADMINISTRATOR, OTHER_KEY, PASSWORD, Runner, stored
from loopback import address

GUEST_PASSWORD = "Battery-Staple-8"
CLUSTER = address(100)
N1, N2 = address(1), address(2)
ACCOUNT = f"username: {ADMINISTRATOR}, password: {PASSWORD}"
GUEST_ACCOUNT = f"network: false, username: {ADMINISTRATOR}, password: {GUEST_PASSWORD}"
HOST = f'version: "2022", edition: Datacenter, license: {{key: {OTHER_KEY}}}, http: {{port: 5985}}, {ACCOUNT}'
MAK = "GFDCB-NMKJH-VTRQP-32YXW-98764"
ESTATE = f"""
keys:
  - {{key: {OTHER_KEY}, channel: Retail, version: "2022", edition: Datacenter}}
hosts:
  - {{name: n1, address: {N1}, {HOST}, vms: [
      {{name: web01, version: "2022", edition: Standard, {GUEST_ACCOUNT}}},
      {{name: web02, version: "2019", edition: Datacenter, {GUEST_ACCOUNT}}},
      {{name: eval01, version: "2019", edition: Standard, evaluation: true, {GUEST_ACCOUNT}}},
      {{name: off01, version: "2022", edition: Standard, state: "off", {GUEST_ACCOUNT}}}]}}
  - {{name: n2, address: {N2}, {HOST}, vms: [
      {{name: db01, version: "2022", edition: Datacenter, {GUEST_ACCOUNT}}},
      {{name: other01, version: "2022", edition: Standard, network: false, username: {ADMINISTRATOR},
          password: Other-Word-9}}]}}
clusters:
  - {{name: cl01, nodes: [n1, n2], address: {CLUSTER}, http: {{port: 5985}}}}
"""
RESOURCE = ClusterActivationResource()
WANTED: dict[str, Any] = {"cluster": CLUSTER}


@pytest.fixture
def configuration() -> Configuration:
    guest = GuestDefaults(username=ADMINISTRATOR, password=GUEST_PASSWORD, ready_timeout="1s")
    return Configuration(https=False, username=ADMINISTRATOR, password=PASSWORD, guest=guest)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[EstateServer]:
    file = tmp_path / "cluster.yaml"
    file.write_text(ESTATE)
    with running(load_estate(file)) as server:
        yield server


def create(run: Runner, **inputs: Any) -> Result:
    wanted = {**WANTED, **inputs}
    assert RESOURCE.check(wanted) == []
    return RESOURCE.create(wanted, run.operation())


def states(result: Result) -> dict[str, str]:
    return {guest.vm_name: guest.state.value for guest in result.outputs.guest_activations}


def test_every_guest_is_activated(cluster: EstateServer, run: Runner) -> None:
    result = create(run)
    print("\n".join(run.told))
    for each in dump(result.outputs)["guest_activations"]:
        print(each)
    assert states(result) == {
        "db01": "activated",
        "eval01": "notApplicable",
        "off01": "stopped",
        "other01": "unreachable",
        "web01": "activated",
        "web02": "activated",
    }
    print({name: (c["pools"], c["pipelines"], c["requests"], c["operations"]) for name, c in cluster.counts().items()})
