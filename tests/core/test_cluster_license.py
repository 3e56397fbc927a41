"""ClusterLicense against a simulated failover cluster."""

import socket

import pytest

from avma import errors, keys
from avma.properties import UNKNOWN, dump
from avma.resources.cluster_license.cluster_properties import UnreachableNodes
from avma.resources.cluster_license.cluster_resource import ClusterLicenseResource
from avma.resources.resource import Change, Drift, Stored
from avma.wording import NEUTRAL
from avma_simulator import load_estate, running
from core.runner import ADMINISTRATOR, HOST_KEY, OTHER_KEY, PASSWORD, stored
from loopback import address

CLUSTER = address(100)
ACCOUNT = f"http: {{port: 5985}}, username: {ADMINISTRATOR}, password: {PASSWORD}"
ESTATE = f"""
keys:
  - {{key: {HOST_KEY}, channel: MAK, version: "2022", edition: Datacenter, activations: 4}}
  - {{key: {OTHER_KEY}, channel: Retail, version: "2022", edition: Datacenter, activations: 4}}
hosts:
  - {{name: n1, version: "2022", edition: Datacenter, address: {address(1)}, {ACCOUNT}}}
  - {{name: n2, version: "2022", edition: Datacenter, address: {address(2)}, {ACCOUNT}}}
  - {{name: n3, version: "2022", edition: Datacenter, address: {address(3)}, {ACCOUNT}}}
  - {{name: late, version: "2022", edition: Datacenter, address: {address(4)}, {ACCOUNT}}}
  - {{name: newer, version: "2025", edition: Datacenter, address: {address(5)}, {ACCOUNT}}}
  - {{name: standard, version: "2022", edition: Standard, address: {address(6)}, {ACCOUNT}}}
clusters:
  - {{name: cl01, nodes: [n1, n2, n3], address: {CLUSTER}, http: {{port: 5985}}}}
"""
RESOURCE = ClusterLicenseResource()
WANTED = {"cluster": CLUSTER, "product_key": HOST_KEY}


@pytest.fixture
def cluster(tmp_path):
    file = tmp_path / "cluster.yaml"
    file.write_text(ESTATE)
    with running(load_estate(file)) as server:
        yield server


def create(run, **inputs):
    wanted = {**WANTED, **inputs}
    assert RESOURCE.check(wanted) == []
    return RESOURCE.create(wanted, run.operation())


def left(cluster) -> int:
    return cluster.keys()[keys.partial(HOST_KEY)]


def test_every_node_is_licensed(cluster, run):
    result = create(run)
    assert result.identifier == CLUSTER
    assert [(n.node, n.license_status.value) for n in result.outputs.node_licenses] == [
        ("n1", "Licensed"),
        ("n2", "Licensed"),
        ("n3", "Licensed"),
    ]
    assert result.outputs.licensed_nodes == 3
    assert left(cluster) == 1
    assert RESOURCE.diff(stored(result), WANTED) == []


def test_a_second_time_changes_nothing(cluster, run):
    first = create(run)
    cluster.reset_counts()
    assert create(run).outputs == first.outputs
    assert not [op for c in cluster.counts().values() for op in c["operations"] if op.startswith("Invoke")]


def test_keys_of_single_nodes(cluster, run):
    result = create(run, product_keys={"N2": OTHER_KEY})
    assert {n.node: n.partial_product_key for n in result.outputs.node_licenses} == {
        "n1": keys.partial(HOST_KEY),
        "n2": keys.partial(OTHER_KEY),
        "n3": keys.partial(HOST_KEY),
    }


def test_nodes_without_asking_the_cluster(cluster, run):
    wanted = {"nodes": [address(1), address(2)], "product_key": HOST_KEY}
    result = RESOURCE.create(wanted, run.operation())
    assert result.identifier == f"{address(1)},{address(2)}"
    assert result.outputs.licensed_nodes == 2


def test_when_one_of_two_nodes_fails_the_other_is_named_as_one(cluster, run):
    wanted = {"nodes": [address(1), address(99)], "product_key": HOST_KEY}
    with pytest.raises(errors.PartlyDone, match="licensed, and the next run continues with the failed"):
        RESOURCE.create(wanted, run.operation())


def test_a_node_that_is_down_fails_alone_and_the_next_run_finishes(cluster, run):
    cluster.power("n2", "off")
    with pytest.raises(errors.PartlyDone, match=r"the node as Down. Bring .* The other 2 nodes are licensed") as caught:
        create(run)
    reached = caught.value.state
    assert reached.outputs.licensed_nodes == 2
    assert left(cluster) == 2
    drift = Drift("n2", "the cluster reports the node as Down", None)
    assert RESOURCE.diff(stored(reached), WANTED) == [Change("node_licenses[1].error", drift=drift)]
    cluster.power("n2", "running")
    finished = RESOURCE.update(reached.identifier, stored(reached), WANTED, run.operation())
    assert finished.outputs.licensed_nodes == 3
    assert left(cluster) == 1


def test_a_node_that_joins_is_drift_and_is_licensed(cluster, run):
    first = create(run)
    cluster.change_nodes("cl01", "add", "late")
    now = RESOURCE.read(first.identifier, stored(first), run.operation())
    assert now is not None
    assert RESOURCE.diff(stored(now), WANTED) == [
        Change("node_licenses[0].partial_product_key", drift=Drift("late", "6VM33", "46789")),
        Change("node_licenses[0].license_status", drift=Drift("late", "OOBGrace", "Licensed")),
    ]
    assert RESOURCE.update(first.identifier, stored(now), WANTED, run.operation()).outputs.licensed_nodes == 4


def test_a_node_that_is_down_is_shown_with_its_error_if_the_user_wants_that(cluster, run):
    strict = {**WANTED, "unreachable_nodes": UnreachableNodes.FAIL}
    first = create(run)
    cluster.power("n3", "off")
    now = RESOURCE.read(first.identifier, Stored(strict, dump(first.outputs)), run.operation())
    assert now is not None
    down = now.outputs.node_licenses[2]
    assert (down.node, down.license_status, down.error) == ("n3", None, "the cluster reports the node as Down")
    assert [change.path for change in RESOURCE.diff(stored(now), strict)] == ["node_licenses[2].error"]
    with pytest.raises(errors.PartlyDone, match="the node as Down"):
        RESOURCE.update(first.identifier, stored(now), strict, run.operation())


def test_a_node_in_maintenance_keeps_its_verified_license(cluster, run):
    first = create(run)
    cluster.power("n3", "off")
    now = RESOURCE.read(first.identifier, stored(first), run.operation())
    assert now is not None
    assert now.outputs == first.outputs
    assert RESOURCE.diff(stored(now), WANTED) == []
    (warning,) = [text for text in run.told if "verified before" in text]
    assert warning.startswith("n3")
    assert "the cluster reports the node as Down" in warning


def test_a_node_in_maintenance_does_not_stop_the_licensing_of_a_new_node(cluster, run):
    first = create(run)
    cluster.power("n3", "off")
    cluster.change_nodes("cl01", "add", "late")
    now = RESOURCE.read(first.identifier, stored(first), run.operation())
    assert now is not None
    assert RESOURCE.update(first.identifier, stored(now), WANTED, run.operation()).outputs.licensed_nodes == 4


@pytest.mark.parametrize(
    "known", [{"license_status": "Unlicensed"}, {"error": "no answer"}, {"partial_product_key": "12345"}]
)
def test_a_node_that_was_not_verified_does_not_keep_its_license(cluster, run, known):
    first = create(run)
    cluster.power("n3", "off")
    outputs = dump(first.outputs)
    outputs["node_licenses"][2].update(known)
    now = RESOURCE.read(first.identifier, Stored(WANTED, outputs), run.operation())
    assert now is not None
    assert now.outputs.node_licenses[2].error == "the cluster reports the node as Down"


def test_a_node_that_rejects_the_account_is_a_warning_of_a_refresh(tmp_path, run):
    file = tmp_path / "cluster.yaml"
    third = f"address: {address(3)}, {ACCOUNT}"
    file.write_text(ESTATE.replace(third, third.replace(PASSWORD, "Another-pass-1")))
    wanted = {"nodes": [address(1), address(3)], "product_key": HOST_KEY}
    with running(load_estate(file)):
        with pytest.raises(errors.PartlyDone) as caught:
            RESOURCE.create(wanted, run.operation())
        first = caught.value.state
        run.told.clear()
        now = RESOURCE.read(first.identifier, stored(first), run.operation())
        assert now is not None
    assert [bool(node.error) for node in now.outputs.node_licenses] == [False, True]
    (warning,) = [text for text in run.told if "See: " in text]
    assert warning.startswith(f"{address(3)}:5985: could not ")
    assert warning.endswith("See: avma explain logon-refused")


@pytest.mark.parametrize(
    ("joins", "text"),
    [
        ("newer", "the nodes run different releases: n1 2022, n2 2022, n3 2022, newer 2025"),
        ("standard", "only Datacenter activates guests"),
    ],
)
def test_what_no_cluster_may_be_is_refused_before_the_first_change(cluster, run, joins, text):
    cluster.change_nodes("cl01", "add", joins)
    with pytest.raises(errors.Refused, match=text):
        create(run)
    assert left(cluster) == 4


def test_without_a_key_the_nodes_have_to_be_licensed(cluster, run):
    with pytest.raises(errors.NodesFailed, match="3 nodes failed: n1: `product_key` is not set"):
        RESOURCE.create({"cluster": CLUSTER}, run.operation())
    create(run)
    assert RESOURCE.create({"cluster": CLUSTER}, run.operation()).outputs.licensed_nodes == 3


def test_the_remedies_of_several_nodes_name_their_nodes(cluster, run):
    cluster.power("n3", "off")
    with pytest.raises(
        errors.NodesFailed, match=r"For n2: set `product_key` to .*\. For n3: bring the node up"
    ) as caught:
        RESOURCE.create({"cluster": CLUSTER}, run.operation())
    assert caught.value.where == CLUSTER
    with pytest.raises(
        errors.NodesFailed, match=r"not set.*\. Set `product_key` to the Datacenter key of the host\. See"
    ):
        RESOURCE.create({"nodes": [address(1), address(2)]}, run.operation())


def test_a_key_for_no_node_is_named(cluster, run):
    with pytest.raises(errors.InvalidInput, match="`product_keys` contains n9, but the nodes are n1, n2, n3"):
        create(run, product_keys={"n9": OTHER_KEY})


def test_a_machine_outside_of_a_cluster_is_an_error(cluster, run):
    with pytest.raises(errors.WsmanFault, match="could not read the nodes of the cluster"):
        create(run, cluster=address(4))


def test_import_by_the_cluster(cluster, run):
    created = create(run)
    result = RESOURCE.read(CLUSTER, None, run.operation())
    assert result is not None
    assert (result.identifier, result.inputs, result.outputs) == (CLUSTER, {"cluster": CLUSTER}, created.outputs)
    assert RESOURCE.diff(stored(result), result.inputs) == []


@pytest.mark.parametrize(
    ("identifier", "text"),
    [
        ("n1,n1", "the list contains `n1` twice"),
        ("n1,n2,N1", r"the list contains `N1` twice \(`n1` is the same host\)"),
        (f"{address(1)},::ffff:{address(1)}", rf"`::ffff:{address(1)}` twice \(`{address(1)}` is the same host\)"),
    ],
)
def test_an_import_names_the_node_that_is_listed_twice(run, identifier, text):
    with pytest.raises(errors.InvalidInput, match=text):
        RESOURCE.read(identifier, None, run.operation())


def test_the_preview_warns_of_a_node_that_is_down(cluster, run):
    cluster.power("n2", "off")
    RESOURCE.probe(WANTED, run.operation())
    assert any(text.startswith(f"n2 ({address(2)}:5985): could not reach the node") for text in run.told)
    assert left(cluster) == 4


@pytest.mark.parametrize(
    ("values", "complaints"),
    [
        ({"cluster": "cl01"}, []),
        ({}, ["cluster: is required unless you set `nodes`"]),
        ({"cluster": "cl01", "nodes": ["n1"]}, ["nodes: cannot be combined with `cluster`"]),
        ({"cluster": "cl01", "product_keys": {"n1": "x"}}, ['product_keys["n1"]: is not a product key']),
        ({"cluster": "cl01", "product_keys": HOST_KEY}, ["product_keys: must be a map, not text"]),
    ],
)
def test_check(values, complaints):
    found = [f"{failure.path}: {NEUTRAL.render(failure.reason)}" for failure in RESOURCE.check(values)]
    assert len(found) == len(complaints)
    assert all(text.startswith(start) for text, start in zip(found, complaints, strict=True))


def test_when_all_nodes_fail_after_a_change_the_state_is_kept(cluster, run):
    for name in ("n1", "n2", "n3"):
        cluster.faults(name, [{"operation": "SoftwareLicensingProduct/Activate", "hresult": 0xC004C020}])
    with pytest.raises(errors.PartlyDone, match="0xC004C020") as caught:
        create(run)
    assert {node.partial_product_key for node in caught.value.state.outputs.node_licenses} == {"46789"}


def test_a_node_that_is_named_twice_is_one(cluster, run):
    result = create(run, cluster=None, nodes=[address(1), address(2), address(1)])
    assert (result.outputs.licensed_nodes, result.identifier) == (2, f"{address(1)},{address(2)}")


def test_a_refresh_ignores_a_key_for_a_node_that_left(cluster, run):
    first = create(run, product_keys={"n2": OTHER_KEY})
    cluster.change_nodes("cl01", "remove", "n2")
    now = RESOURCE.read(CLUSTER, stored(first), run.operation())
    assert now is not None
    assert [node.node for node in now.outputs.node_licenses] == ["n1", "n3"]


def test_a_preview_with_keys_that_are_not_known_yet_looks_at_the_nodes(cluster, run):
    wanted = {"cluster": CLUSTER, "product_key": UNKNOWN}
    assert RESOURCE.askable(wanted)
    RESOURCE.probe(wanted, run.operation())
    (failure,) = RESOURCE.check({"cluster": CLUSTER, "product_key_version": "2022"})
    assert failure.path == "product_key_version"


LONG = "hyperv-host-rack12"
CUT = "hyperv-host-rac"
LONG_NAMES = f"""
keys:
  - {{key: {HOST_KEY}, channel: MAK, version: "2022", edition: Datacenter, activations: 4}}
  - {{key: {OTHER_KEY}, channel: Retail, version: "2022", edition: Datacenter, activations: 4}}
hosts:
  - {{name: {LONG}, version: "2022", edition: Datacenter, address: {address(1)}, {ACCOUNT}}}
  - {{name: n2, version: "2022", edition: Datacenter, address: {address(2)}, {ACCOUNT}}}
clusters:
  - {{name: cl01, nodes: [{LONG}, n2], address: {CLUSTER}, http: {{port: 5985}}}}
"""


@pytest.fixture
def long_names(tmp_path):
    file = tmp_path / "long.yaml"
    file.write_text(LONG_NAMES)
    with running(load_estate(file)) as server:
        yield server


def test_a_key_for_a_node_whose_name_the_cluster_reports_cut(long_names, run):
    result = create(run, product_keys={LONG.upper(): OTHER_KEY})
    assert {n.node: n.partial_product_key for n in result.outputs.node_licenses} == {
        CUT: keys.partial(OTHER_KEY),
        "n2": keys.partial(HOST_KEY),
    }
    wanted = {**WANTED, "product_keys": {LONG: OTHER_KEY}}
    assert RESOURCE.diff(stored(result), wanted) == []


def test_a_longer_name_that_fits_no_node_and_two_that_fit_one(long_names, run):
    with pytest.raises(errors.InvalidInput, match="`product_keys` contains hyperv-host-xyz12"):
        create(run, product_keys={"hyperv-host-xyz12": OTHER_KEY})
    with pytest.raises(errors.InvalidInput, match=f"contains the node {CUT} more than once"):
        create(run, product_keys={LONG: OTHER_KEY, "hyperv-host-rack13": OTHER_KEY})


def test_for_a_node_with_a_cut_name_the_remedy_is_to_list_it(long_names, run, monkeypatch):
    # The cluster answers at its name, and a node at `NAME.DOMAIN`. DNS contains only the full name.
    known = {"cl01.lab.test": CLUSTER, "n2.lab.test": address(2), f"{LONG}.lab.test": address(1)}
    look_up = socket.getaddrinfo

    def in_dns(name, *arguments, **keywords):
        if name.endswith(".lab.test") and name not in known:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return look_up(known.get(name, name), *arguments, **keywords)

    monkeypatch.setattr(socket, "getaddrinfo", in_dns)
    with pytest.raises(errors.PartlyDone) as caught:
        create(run, cluster="cl01.lab.test")
    assert f"longer than {CUT}, list the full names of all nodes in `nodes`" in str(caught.value)
    result = create(run, cluster=None, nodes=[f"{LONG}.lab.test", "n2.lab.test"])
    assert result.outputs.licensed_nodes == 2


def probe(run, **inputs):
    wanted = {"cluster": CLUSTER, **inputs}
    assert RESOURCE.check({name: value for name, value in wanted.items() if value is not UNKNOWN}) == []
    return RESOURCE.probe(wanted, run.operation())


def test_a_preview_without_a_key_fails_as_up_does_where_a_node_is_not_licensed(cluster, run):
    cluster.install_key("n1", HOST_KEY)
    cluster.set_license("n1", "Licensed")
    reason = r"2 nodes failed: n2: `product_key` is not set.*n3: `product_key` is not set"
    with pytest.raises(errors.NodesFailed, match=reason):
        probe(run)
    with pytest.raises(errors.PartlyDone, match=reason):
        RESOURCE.create({"cluster": CLUSTER}, run.operation())


@pytest.mark.parametrize("keys_of_nodes", [{"product_key": UNKNOWN}, {"product_keys": UNKNOWN}])
def test_a_preview_with_a_key_to_come_does_not_ask_for_a_license(cluster, run, keys_of_nodes):
    assert probe(run, **keys_of_nodes) == {}


def test_a_preview_fails_where_a_node_rejects_the_account(cluster, run):
    cluster.rights("n2", "none")
    with pytest.raises(errors.AvmaError) as caught:
        probe(run, product_key=HOST_KEY)
    assert not isinstance(caught.value, errors.PASSING)


def test_an_import_names_the_nodes_without_a_license(cluster, run):
    RESOURCE.read(CLUSTER, None, run.operation())
    told = [text for text in run.told if "imported, but the host does not activate its guests" in text]
    assert len(told) == 3
