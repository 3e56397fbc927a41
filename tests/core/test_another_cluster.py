"""The name of a cluster leads to another cluster. None of its nodes is in the state, and no run licenses them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from avma import errors
from avma.properties import dump
from avma.resources.resource import Result, Stored
from avma_simulator import EstateServer, load_estate, running
from core.runner import OTHER_KEY, Runner, methods, stored
from core.test_cluster_license import ESTATE, RESOURCE, WANTED, create
from loopback import address

REPORTED = "the cluster with the nodes late answers there, and this resource has the nodes n1, n2, n3"


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[EstateServer]:
    file = tmp_path / "cluster.yaml"
    file.write_text(ESTATE)
    with running(load_estate(file)) as server:
        yield server


@pytest.fixture
def first(cluster: EstateServer, run: Runner) -> Result:
    """A cluster of n1, n2 and n3. Since then, its name leads to a cluster of another node."""
    first = create(run)
    cluster.change_nodes("cl01", "add", "late")
    for name in ("n1", "n2", "n3"):
        cluster.change_nodes("cl01", "remove", name)
    cluster.reset_counts()
    run.told.clear()
    return first


def with_nodes(first: Result, **changed: object) -> Stored:
    """Return the state with other values of its first node."""
    node, *others = dump(first.outputs)["node_licenses"]
    return Stored(first.inputs, {**stored(first).outputs, "node_licenses": [{**node, **changed}, *others]})


@pytest.mark.parametrize("work", [RESOURCE.update, RESOURCE.probe_update])
@pytest.mark.parametrize("change", [{"product_key": OTHER_KEY}, {"connection": {"operation_timeout": "30s"}}])
def test_an_update_changes_no_node_of_another_cluster(
    cluster: EstateServer, run: Runner, first: Result, work: Callable[..., object], change: dict[str, object]
) -> None:
    with pytest.raises(errors.Refused, match=REPORTED) as caught:
        work(first.identifier, stored(first), {**WANTED, **change}, run.operation())
    assert "Check the name in DNS, `cluster` and `connection`" in str(caught.value)
    assert methods(cluster, "late") == {}


def test_new_settings_that_lead_to_another_cluster_are_refused(run: Runner, first: Result) -> None:
    with pytest.raises(errors.Refused, match=REPORTED):
        RESOURCE.try_settings(first.identifier, stored(first), run.operation())


def test_a_refresh_warns_and_then_the_state_is_that_of_the_other_cluster(
    cluster: EstateServer, run: Runner, first: Result
) -> None:
    found = RESOURCE.read(first.identifier, stored(first), run.operation())
    assert found is not None
    (warning,) = [text for text in run.told if "answers there" in text]
    assert REPORTED in warning
    assert "the next run changes them" in warning
    RESOURCE.update(first.identifier, stored(found), WANTED, run.operation())
    assert methods(cluster, "late") == {"InstallProductKey": 1, "Activate": 1}


def test_a_node_that_could_not_be_read_proves_nothing(cluster: EstateServer, run: Runner, first: Result) -> None:
    cluster.faults("late", [{"operation": "Enumerate", "class": "SoftwareLicensingProduct", "answer": "noRows"}])
    with pytest.raises(errors.EmptyAnswer):
        RESOURCE.update(first.identifier, stored(first), WANTED, run.operation())


def test_a_node_that_keeps_its_name_shows_the_cluster(cluster: EstateServer, run: Runner, first: Result) -> None:
    """All other nodes are new, and the node that is known by name is down."""
    cluster.change_nodes("cl01", "add", "n1")
    cluster.power("n1", "off")
    result = RESOURCE.update(first.identifier, stored(first), WANTED, run.operation())
    assert [node.node for node in result.outputs.node_licenses] == ["late", "n1"]
    assert methods(cluster, "late") == {"InstallProductKey": 1, "Activate": 1}


def test_a_node_that_was_renamed_shows_the_cluster(cluster: EstateServer, run: Runner, first: Result) -> None:
    found = RESOURCE.read(first.identifier, None, run.operation())
    assert found is not None
    renamed = with_nodes(first, machine_id=found.outputs.node_licenses[0].machine_id)
    RESOURCE.update(first.identifier, renamed, WANTED, run.operation())
    assert methods(cluster, "late") == {"InstallProductKey": 1, "Activate": 1}


def test_a_state_without_identities_is_no_obstacle(cluster: EstateServer, run: Runner, first: Result) -> None:
    nodes = [{**node, "machine_id": None} for node in dump(first.outputs)["node_licenses"]]
    old = Stored(first.inputs, {**stored(first).outputs, "node_licenses": nodes})
    RESOURCE.update(first.identifier, old, WANTED, run.operation())
    assert methods(cluster, "late") == {"InstallProductKey": 1, "Activate": 1}


def test_nodes_that_the_user_declares_are_no_other_cluster(cluster: EstateServer, run: Runner, first: Result) -> None:
    wanted = {"nodes": [address(4)], "product_key": WANTED["product_key"]}
    RESOURCE.update(first.identifier, stored(first), wanted, run.operation())
    assert methods(cluster, "late") == {"InstallProductKey": 1, "Activate": 1}
