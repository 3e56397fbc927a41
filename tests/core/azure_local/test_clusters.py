"""ClusterLicense on machines of Azure Local."""

from __future__ import annotations

import pytest

from avma import errors
from avma.resources.cluster_license.cluster_resource import ClusterLicenseResource
from core.azure_local.lab import CLUSTER, KEY_2019, KEY_2022, MIXED, OTHER, left
from core.runner import stored


def test_a_cluster_gets_keys_of_one_version(estate, run):
    cluster = ClusterLicenseResource()
    result = cluster.create({"cluster": CLUSTER, "product_key": KEY_2022}, run.operation())
    assert result.outputs.key_version == "2022"
    assert {node.partial_product_key for node in result.outputs.node_licenses} == {"4678B"}
    assert left(estate, KEY_2022) == 0
    again = cluster.update(result.identifier, stored(result), result.inputs, run.operation())
    assert again.outputs == result.outputs
    imported = cluster.read(CLUSTER, None, run.operation())
    assert imported is not None
    assert imported.outputs == result.outputs
    assert cluster.diff(stored(imported), imported.inputs) == []


def test_mixed_key_versions_in_a_cluster_are_refused_before_the_first_change(estate, run):
    cluster, before = ClusterLicenseResource(), estate.keys()
    wanted = {"cluster": CLUSTER, "product_keys": {"plain": KEY_2022}, "product_key_version": "2022"}
    run.license(OTHER, KEY_2019)
    before = estate.keys()
    with pytest.raises(errors.Refused, match=r"the nodes use keys for different versions .*other 2019, plain 2022"):
        cluster.create(wanted, run.operation())
    assert estate.keys() == before
    with pytest.raises(errors.PartlyDone, match=r"the nodes use keys for different versions"):
        cluster.create({**wanted, "product_key_version": None}, run.operation())
    assert estate.keys() != before
    fixed = cluster.create({"cluster": CLUSTER, "product_key": KEY_2022}, run.operation())
    assert fixed.outputs.key_version == "2022"


def test_a_machine_that_is_down(estate, run):
    estate.power("other", "off")
    with pytest.raises(errors.PartlyDone, match="Bring the node up, then run again"):
        ClusterLicenseResource().create({"cluster": CLUSTER, "product_key": KEY_2022}, run.operation())
    assert left(estate, KEY_2022) == 1


def test_the_key_of_a_machine_that_is_down_stays_known(estate, run, sets):
    cluster = ClusterLicenseResource()
    first = cluster.create({"cluster": MIXED, "product_key": KEY_2022}, run.operation())
    estate.power("mute", "off")
    now = cluster.read(first.identifier, stored(first), run.operation())
    assert now is not None
    assert [node.partial_product_key for node in now.outputs.node_licenses] == ["4678B", "4678B"]
    estate.power("mute", "running")
    again = cluster.update(first.identifier, stored(now), first.inputs, run.operation())
    assert again.outputs == first.outputs
    assert sets == ["4678B", "4678B"]
