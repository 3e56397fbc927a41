"""The provider validates the nodes reported by a cluster before it connects to them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from avma import errors
from avma.configuration import Configuration
from avma.deadline import Deadline
from avma.functions.get_cluster_nodes import _cluster_node
from avma.redaction import Redactor
from avma.resources.cluster_license.cluster_nodes import NodeState, cluster_outputs, find_nodes, read_node
from avma.resources.resource import Operation
from avma.windows.cluster import FailoverCluster, Node
from avma.wording import setting
from pulumi_resource_avma.wording import PULUMI

ACCOUNT = Configuration(username="a", password="b")


class Reporting:
    """Machines of the same cluster, as each of them reports it."""

    def __init__(self, *nodes: Node) -> None:
        self._cluster = FailoverCluster("cl01", nodes)

    def get(self, connection: Any) -> Any:
        return SimpleNamespace(connection=connection, where=connection.where, cluster=lambda _: self._cluster)


def nodes_of(cluster: str, node: Node) -> list[str]:
    machines: Any = Reporting(node)
    operation = Operation(ACCOUNT, machines, Deadline(5), lambda _: None, lambda _: None)
    return [found.machine.connection.address for found in find_nodes(cluster, [], None, operation)]


@pytest.mark.parametrize(
    ("cluster", "node"),
    [
        ("10.0.0.1", Node("hv01", "Up", "10.0.0.011")),
        ("10.0.0.1", Node("hv01", "Up", "0x7f.1")),
        ("10.0.0.1", Node("2130706433", "Up", "")),
        ("cl01", Node("0x7f", "Up", "10.0.0.2")),
        ("cl01.lab.example.com", Node("hv\u200b01", "Up", "10.0.0.2")),
        ("cl01.lab.example.com", Node("", "Up", "10.0.0.2")),
    ],
)
def test_a_node_at_an_address_that_can_be_misread_is_an_error(cluster: str, node: Node) -> None:
    with pytest.raises(errors.UnexpectedAnswer, match=r"at an unusable address: .*Set `nodes` to the names"):
        nodes_of(cluster, node)


@pytest.mark.parametrize("name", ["a';calc.exe;'", "a\u2019;calc.exe;\u2019", "a b", "$(calc)", "a\nb"])
def test_a_node_with_a_name_that_no_computer_has_is_an_error(name: str) -> None:
    with pytest.raises(errors.UnexpectedAnswer, match="no computer can have this name"):
        nodes_of("10.0.0.1", Node(name, "Up", "10.0.0.2"))


def test_a_node_can_have_a_name_of_any_script() -> None:
    assert nodes_of("10.0.0.1", Node("b\u00fcro-n1", "Up", "10.0.0.2")) == ["10.0.0.2"]


def test_a_node_is_reached_by_what_its_cluster_was_asked_by() -> None:
    node = Node("hv01", "Up", "10.0.0.2")
    assert nodes_of("10.0.0.1", node) == ["10.0.0.2"]
    assert nodes_of("cl01.lab.example.com", node) == ["hv01.lab.example.com"]


def test_an_error_in_outputs_has_the_words_of_the_front_end_and_no_secret() -> None:
    redact = Redactor(PULUMI)
    redact.learn(["Hush-Hush-1"])
    machines: Any = Reporting(Node("hv01", "Up", "10.0.0.2"))
    operation = Operation(ACCOUNT, machines, Deadline(5), lambda _: None, lambda _: None, rendered=redact)
    (node,) = find_nodes("10.0.0.1", [], None, operation)
    node.error = errors.Refused("read", "hv01", f"{setting('https', False)} and Hush-Hush-1", f"{setting('ca_cert')}")
    (license_of_node,) = cluster_outputs([node], operation).node_licenses
    assert license_of_node.error == "`https: false` and [secret]"
    assert "`caCert`" in str(_cluster_node(node, operation).error)


def test_an_error_that_several_readers_share_stays_as_it_is() -> None:
    shared = errors.Unreachable("identify the machine", "hyperv-host-rac", "no answer", "check the network")

    def identity(_: Deadline) -> str:
        raise shared

    machine: Any = SimpleNamespace(identity=identity)
    machines: Any = Reporting()
    operation = Operation(ACCOUNT, machines, Deadline(5), lambda _: None, lambda _: None)
    node = NodeState("hyperv-host-rac", machine, cluster_state="Up")
    remedies = []
    for _ in range(2):
        with pytest.raises(errors.Unreachable) as caught:
            read_node(node, operation)
        remedies.append(caught.value.remedy)
    assert remedies[0].count("the node's name is longer than") == 1
    assert remedies[1] == remedies[0]
    assert shared.remedy == "check the network"
