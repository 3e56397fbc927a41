"""One of several machines accepts a request and never answers. The operation still does its work on the others."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from avma import errors
from avma.configuration import Configuration, GuestDefaults
from avma.deadline import Deadline
from avma.functions.get_cluster_nodes import GetClusterNodes
from avma.functions.get_host_vms import GetHostVms
from avma.resources.cluster_activation.activation_resource import ClusterActivationResource
from avma.resources.cluster_license.cluster_resource import ClusterLicenseResource
from avma.resources.resource import Operation
from avma.resources.vm_activation.vm_resource import VmActivationResource
from core.phases import causes, serving
from core.runner import ADMINISTRATOR, HOST_KEY, PASSWORD, Runner
from core.silence import Silence
from core.whole_cluster.lab import GUEST_ACCOUNT, GUEST_PASSWORD
from loopback import address

LIMIT = 12.0
"""Seconds of each operation. Half of them go to the silent machine."""
HOUR = "1h"
N1, N2 = address(1), address(2)
HOST = f'version: "2022", edition: Datacenter, http: {{port: 5985}}, username: {ADMINISTRATOR}, password: {PASSWORD}'
WEB01 = f'{{name: web01, version: "2022", edition: Standard, {GUEST_ACCOUNT}}}'
ESTATE = f"""
keys:
  - {{key: {HOST_KEY}, channel: MAK, version: "2022", edition: Datacenter, activations: 4}}
hosts:
  - {{name: n1, address: {N1}, {HOST}, license: {{key: {HOST_KEY}}}, vms: [{WEB01}]}}
  - {{name: n2, address: {N2}, {HOST}}}
  - {{name: n3, address: {address(3)}, {HOST}}}
clusters:
  - {{name: cl01, nodes: [n2, n3], address: {address(100)}, http: {{port: 5985}}}}
"""
VMS, LICENSE = "Enumerate Msvm_ComputerSystem", "Enumerate SoftwareLicensingService"


@pytest.fixture
def configuration() -> Configuration:
    """Only the time limit of the operation ends the wait for a silent machine."""
    guest = GuestDefaults(username=ADMINISTRATOR, password=GUEST_PASSWORD, ready_timeout="1s")
    fixed = Configuration(https=False, username=ADMINISTRATOR, password=PASSWORD, guest=guest)
    return replace(fixed, connect_timeout=HOUR, operation_timeout=HOUR)


@pytest.fixture
def run(run: Runner) -> Runner:
    run.seconds = LIMIT
    return run


def test_the_guests_of_the_other_hosts_are_activated(tmp_path: Path, run: Runner) -> None:
    with serving(tmp_path, ESTATE, Silence("n2", VMS)) as estate:
        result = ClusterActivationResource().create({"hosts": [N1, N2]}, run.operation())
        assert estate.machine("web01")["status"] == "Licensed"
    assert result.outputs.activated == 1
    assert any(text.startswith(N2) and "time limit" in text for text in run.told)


def test_a_preview_shows_the_guests_of_the_other_hosts(tmp_path: Path, run: Runner) -> None:
    with serving(tmp_path, ESTATE, Silence("n2", VMS)):
        ClusterActivationResource().probe({"hosts": [N1, N2]}, run.operation())
    assert any("will activate 1 of 1 guests" in text for text in run.told)


def test_a_guest_on_another_host_is_activated(tmp_path: Path, run: Runner) -> None:
    wanted = {"vm_name": "web01", "hosts": [N1, N2]}
    with serving(tmp_path, ESTATE, Silence("n2", VMS)) as estate:
        VmActivationResource().create(wanted, run.operation())
        assert estate.machine("web01")["status"] == "Licensed"


def test_a_recent_listing_of_the_other_host_leaves_no_more_time(tmp_path: Path, run: Runner) -> None:
    """Another resource of the run has listed the other host, so only the silent one is asked."""
    wanted = {"vm_name": "web01", "hosts": [N1, N2]}
    with serving(tmp_path, ESTATE, Silence("n2", VMS)):
        GetHostVms().call({"host": N1}, lambda: recent(run))
        VmActivationResource().probe(wanted, recent(run))


def recent(run: Runner) -> Operation:
    """Return the tools of a preview, which accepts recent answers of machines."""
    operation = run.operation()
    return replace(operation, deadline=Deadline(LIMIT, run.cancellation, max_age=LIMIT))


def test_the_other_nodes_are_licensed(tmp_path: Path, run: Runner) -> None:
    wanted = {"nodes": [N2, address(3)], "product_key": HOST_KEY}
    with serving(tmp_path, ESTATE, Silence("n2", LICENSE)) as estate:
        with pytest.raises(errors.PartlyDone) as caught:
            ClusterLicenseResource().create(wanted, run.operation())
        assert estate.machine("n3")["status"] == "Licensed"
    assert [type(each) for each in causes(caught.value)] == [errors.TimedOut]
    assert N2 in caught.value.message


def test_the_other_nodes_are_listed_with_their_licenses(tmp_path: Path, run: Runner) -> None:
    with serving(tmp_path, ESTATE, Silence("n2", LICENSE)):
        found = GetClusterNodes().call({"cluster": address(100)}, run.operation)
    assert {node.node: node.error is None for node in found.nodes} == {"n2": False, "n3": True}
