"""A simulated cluster with guests of several kinds, and helpers for the tests of ClusterActivation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from avma import errors
from avma.resources.cluster_activation.activation_properties import GuestActivation
from avma.resources.cluster_activation.activation_resource import ClusterActivationResource
from avma.resources.resource import Result
from avma_simulator import EstateServer
from core.runner import ADMINISTRATOR, OTHER_KEY, PASSWORD, Runner, methods, stored
from loopback import address

GUEST_PASSWORD = "Battery-Staple-8"
CLUSTER = address(100)
N1, N2, N1_ALIAS = address(1), address(2), address(3)
ACCOUNT = f"username: {ADMINISTRATOR}, password: {PASSWORD}"
GUEST_ACCOUNT = f"network: false, username: {ADMINISTRATOR}, password: {GUEST_PASSWORD}"
HOST = f'version: "2022", edition: Datacenter, license: {{key: {OTHER_KEY}}}, http: {{port: 5985}}, {ACCOUNT}'
MAK = "CDFGH-JKMPQ-RTVWX-Y2346-789NB"
SPARE_MAK = "CDFGH-JKMPQ-RTVWX-Y2346-78N9B"
ESTATE = f"""
keys:
  - {{key: {OTHER_KEY}, channel: Retail, version: "2022", edition: Datacenter}}
  - {{key: {MAK}, channel: MAK, version: "2022", edition: Standard}}
  - {{key: {SPARE_MAK}, channel: MAK, version: "2022", edition: Standard}}
hosts:
  - {{name: n1, address: {N1}, aliases: [{N1_ALIAS}], {HOST}, vms: [
      {{name: web01, version: "2022", edition: Standard, {GUEST_ACCOUNT}}},
      {{name: web02, version: "2019", edition: Datacenter, {GUEST_ACCOUNT}}},
      {{name: eval01, version: "2019", edition: Standard, evaluation: true, {GUEST_ACCOUNT}}},
      {{name: off01, version: "2022", edition: Standard, state: "off", {GUEST_ACCOUNT}}}]}}
  - {{name: n2, address: {N2}, {HOST}, vms: [
      {{name: db01, version: "2022", edition: Datacenter, {GUEST_ACCOUNT}}},
      {{name: penguin, linux: {{name: Ubuntu, version: "24.04"}}}},
      {{name: mak01, version: "2022", edition: Standard, license: {{key: {MAK}, status: Licensed}}, {GUEST_ACCOUNT}}}]}}
clusters:
  - {{name: cl01, nodes: [n1, n2], address: {CLUSTER}, http: {{port: 5985}}}}
"""
ALL = {
    "db01": "activated",
    "eval01": "notApplicable",
    "mak01": "notApplicable",
    "off01": "stopped",
    "penguin": "notApplicable",
    "web01": "activated",
    "web02": "activated",
}
NEW = {"name": "new01", "version": "2022", "edition": "Standard", "network": False}
NEW_ACCOUNT = {"username": ADMINISTRATOR, "password": GUEST_PASSWORD}
INSTALL = "SoftwareLicensingService/InstallProductKey"
RESOURCE = ClusterActivationResource()
WANTED: dict[str, Any] = {"cluster": CLUSTER}


def create(run: Runner, **inputs: Any) -> Result:
    wanted = {**WANTED, **inputs}
    assert RESOURCE.check(wanted) == []
    return RESOURCE.create(wanted, run.operation())


def read(run: Runner, result: Result) -> Result:
    found = RESOURCE.read(result.identifier, stored(result), run.operation())
    assert found is not None
    return found


def update(run: Runner, result: Result, **inputs: Any) -> Result:
    wanted = {**result.inputs, **inputs}
    assert RESOURCE.check(wanted) == []
    return RESOURCE.update(result.identifier, stored(result), wanted, run.operation())


def states(result: Result) -> dict[str, str]:
    return {guest.vm_name: guest.state.value for guest in result.outputs.guest_activations}


def guest_in(result: Result, name: str) -> GuestActivation:
    guests: list[GuestActivation] = result.outputs.guest_activations
    return next(guest for guest in guests if guest.vm_name == name)


def changed(cluster: EstateServer) -> set[str]:
    """Return the machines on which a method was called since the last reset of the counts."""
    return {name for name in cluster.counts() if methods(cluster, name)}


def drifted(result: Result) -> dict[str, str]:
    """Return the wrong states by VM."""
    found = RESOURCE.diff(stored(result), result.inputs)
    assert all(change.path.startswith("guest_activations[") and not change.replaces for change in found)
    return {change.drift.machine: change.drift.found for change in found if change.drift}


def failed(call: Callable[[], object]) -> errors.PartlyDone[Result]:
    with pytest.raises(errors.PartlyDone) as caught:
        call()
    return caught.value
