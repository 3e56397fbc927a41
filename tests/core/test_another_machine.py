"""The name of a host leads to another machine than the one in the state. No update and no deletion changes it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from avma import errors
from avma.properties import dump
from avma.resources.cluster_license.cluster_resource import ClusterLicenseResource
from avma.resources.resource import Result, Stored
from avma.resources.stored_machine import is_another
from avma.wording import NEUTRAL
from core.runner import HOST_KEY, HV01, KEYLESS, LICENSED, OTHER_KEY, methods, stored
from pulumi_resource_avma.replacement import Replacement

OTHER = "hv99.workgroup/4c4c4544-0042-3510-8052-b4c04f4d3132"
CLUSTER = ClusterLicenseResource()


def at(host: str, first: Result, **inputs: object) -> Stored:
    """Return the state of a host, whose name leads to the machine at `host` now."""
    wanted = {**first.inputs, "host": host, **inputs}
    return Stored(wanted, {**wanted, **dump(first.outputs)})


@pytest.fixture
def first(estate, run) -> Result:
    """A host. The machine at KEYLESS has the same key."""
    run.license(KEYLESS)
    first = run.license()
    estate.reset_counts()
    return first


def require_refused(run, estate, first: Result, error: errors.AvmaError) -> None:
    text = str(error)
    assert f"and this resource is the machine {first.outputs.machine_id}" in text
    assert "the machine keyless.workgroup/" in text
    assert "Check the name in DNS, and `connection`" in text
    assert "refresh the state" in text
    assert methods(estate, "keyless") == {}


def test_a_deletion_uninstalls_no_key_there(estate, run, first):
    state = at(KEYLESS, first, on_delete="uninstallKey")
    with pytest.raises(errors.Refused, match=r"uninstall the host's product key: the machine keyless") as caught:
        run.host.delete(first.identifier, state, run.operation())
    require_refused(run, estate, first, caught.value)
    assert estate.machine("keyless")["status"] == "Licensed"


def test_a_deletion_is_refused_even_if_the_other_machine_has_another_key(estate, run, first):
    state = at(LICENSED, first, on_delete="uninstallKey")
    with pytest.raises(errors.Refused, match="the machine licensed"):
        run.host.delete(first.identifier, state, run.operation())


def test_a_deletion_that_keeps_the_key_asks_no_machine(estate, run, first):
    run.host.delete(first.identifier, at(KEYLESS, first), run.operation())
    assert estate.counts()["keyless"]["requests"] == 0


@pytest.mark.parametrize("work", ["update", "probe_update"])
def test_an_update_installs_no_key_there(estate, run, first, work):
    state = at(KEYLESS, first)
    wanted = {**state.inputs, "product_key": OTHER_KEY}
    with pytest.raises(errors.Refused, match=r"license the host: the machine keyless") as caught:
        getattr(run.host, work)(first.identifier, state, wanted, run.operation())
    require_refused(run, estate, first, caught.value)


def test_a_refresh_warns_and_then_the_state_is_that_of_the_other_machine(estate, run, first):
    state = at(KEYLESS, first, on_delete="uninstallKey")
    run.told.clear()
    found = run.host.read(first.identifier, state, run.operation())
    (warning,) = [text for text in run.told if "answers there" in text]
    assert f"and this resource was the machine {first.outputs.machine_id}" in warning
    assert "the next run and a deletion change that machine" in warning
    assert found.outputs.machine_id.startswith("keyless.workgroup/")
    run.host.delete(first.identifier, stored(found), run.operation())
    assert methods(estate, "keyless") == {"UninstallProductKey": 1}


def test_the_same_machine_is_no_warning(estate, run, first):
    run.told.clear()
    run.host.read(first.identifier, stored(first), run.operation())
    run.host.read(HV01, None, run.operation())
    assert not [text for text in run.told if "answers there" in text]


@pytest.mark.parametrize("identity", [None, ""])
def test_a_state_without_an_identity_is_no_obstacle(estate, run, first, identity):
    state = at(KEYLESS, first, on_delete="uninstallKey")
    old = Stored(state.inputs, {**state.outputs, "machine_id": identity})
    run.host.delete(first.identifier, old, run.operation())
    assert methods(estate, "keyless") == {"UninstallProductKey": 1}


@pytest.mark.parametrize(
    ("before", "now", "same"),
    [
        ("hv01.a/u1", "hv01.a/u1", True),
        ("hv01.workgroup/u1", "hv01.example.com/u1", True),  # it joined a domain
        ("hv01.a/u1", "hv02.a/u1", True),  # it has a new name
        ("hv01.a", "hv01.a/u1", True),  # new firmware reports a UUID
        ("hv01.a/u1", "hv01.a", True),
        ("hv01.a/u1", "hv01.a/u2", False),
        ("hv01.a", "hv02.a", False),
        ("hv01.a", "hv02.a/u1", False),
    ],
)
def test_a_machine_that_was_renamed_or_has_new_firmware_may_be_the_same(before, now, same):
    assert is_another({"machine_id": before}, now) is not same


def test_a_renamed_host_is_still_changed(estate, run, first):
    uuid = first.outputs.machine_id.partition("/")[2]
    state = at(HV01, first, on_delete="uninstallKey", force_destroy=True)
    renamed = Stored(state.inputs, {**state.outputs, "machine_id": f"former.example.com/{uuid}"})
    run.host.delete(first.identifier, renamed, run.operation())
    assert methods(estate, "hv01") == {"UninstallProductKey": 1}


def test_a_replacement_under_the_new_name_of_the_machine_leaves_both_machines_alone(estate, run, first):
    """The former name of the machine leads to another one, and the program declares its new name."""
    state = at(KEYLESS, first, on_delete="uninstallKey")
    wanted = {**first.inputs, "host": HV01}
    replacement = Replacement(run.host, first.identifier, state, wanted)
    assert replacement.stays(run.operation())
    elsewhere = Replacement(run.host, first.identifier, state, {**wanted, "host": LICENSED, "product_key": OTHER_KEY})
    assert not elsewhere.stays(run.operation())
    run.told.clear()
    elsewhere.foretell(run.host.probe(elsewhere.wanted, run.operation()), run.operation())
    assert "unless its state changes, this will fail" in run.told[-1]
    assert "and this resource is the machine hv01.workgroup/" in run.told[-1]
    assert methods(estate, "keyless") == methods(estate, "hv01") == {}


def cluster_of(first: Result, *others: str) -> Stored:
    """Return the state of a ClusterLicense in which those nodes were other machines."""
    nodes = [
        {**node, "machine_id": OTHER} if node["node"] in others else node
        for node in dump(first.outputs)["node_licenses"]
    ]
    return Stored(first.inputs, {**stored(first).outputs, "node_licenses": nodes})


@pytest.fixture
def cluster(estate, run) -> Result:
    wanted = {"nodes": [HV01, KEYLESS], "product_key": HOST_KEY}
    created = CLUSTER.create(wanted, run.operation())
    estate.reset_counts()
    return created


def test_an_update_changes_no_node_that_is_another_machine(estate, run, cluster):
    wanted = {**cluster.inputs, "product_key": OTHER_KEY}
    with pytest.raises(errors.PartlyDone, match=rf"this resource is the machine {OTHER}") as caught:
        CLUSTER.update(cluster.identifier, cluster_of(cluster, KEYLESS), wanted, run.operation())
    assert methods(estate, "keyless") == {}
    assert methods(estate, "hv01") == {"InstallProductKey": 1, "Activate": 1}
    (node,) = [each for each in caught.value.state.outputs.node_licenses if each.node == KEYLESS]
    assert (node.machine_id, node.license_status) == (OTHER, None)
    assert node.error.endswith(f"this resource is the machine {OTHER}")
    with pytest.raises(errors.Refused, match=rf"this resource is the machine {OTHER}"):
        CLUSTER.probe_update(cluster.identifier, cluster_of(cluster, KEYLESS), wanted, run.operation())


def test_a_refresh_warns_of_a_node_that_is_another_machine(estate, run, cluster):
    run.told.clear()
    found = CLUSTER.read(cluster.identifier, cluster_of(cluster, KEYLESS), run.operation())
    assert found is not None
    assert found == replace(cluster, outputs=found.outputs)
    assert found.outputs == cluster.outputs
    (warning,) = [text for text in run.told if "answers there" in text]
    assert warning.startswith(f"{KEYLESS}: the machine keyless.workgroup/")


def test_new_settings_of_a_cluster_must_lead_to_the_same_machines(estate, run, cluster):
    wanted = {**cluster.inputs, "connection": {"operation_timeout": "30s"}}
    with pytest.raises(errors.NodesFailed) as caught:
        CLUSTER.update(cluster.identifier, cluster_of(cluster, HV01, KEYLESS), wanted, run.operation())
    assert NEUTRAL.render(caught.value.answer).count(f"this resource is the machine {OTHER}") == 2
    assert methods(estate, "keyless") == methods(estate, "hv01") == {}
