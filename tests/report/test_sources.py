"""The sources of `avma report`: host lists, stack outputs and stack exports, and mistakes in them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from avma_cli import options
from avma_cli.report import source, stack
from avma_simulator import EstateServer
from loopback import address
from report.conftest import hosts, report, reported, written
from report.estate import ADMINISTRATOR, CLUSTER, LONE, N1, N2, N3

SECRET = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "ciphertext": "v1:abc"}


def resource(kind: str, name: str, **inputs: Any) -> dict[str, Any]:
    urn = f"urn:pulumi:dev::estate::{kind}::{name}"
    return {"urn": urn, "type": kind, "inputs": inputs, "created": "2026-01-02T03:04:05.6Z"}


def export(*resources: dict[str, Any]) -> str:
    provider = resource(
        "pulumi:providers:avma",
        "default",
        https="false",
        username=ADMINISTRATOR,
        password=SECRET,
        guest=json.dumps({"username": ADMINISTRATOR, "password": SECRET}),
        version="0.1.0",
    )
    return json.dumps({"version": 3, "deployment": {"manifest": {}, "resources": [provider, *resources]}})


def test_an_export_gives_settings_hosts_and_clusters(shared: EstateServer) -> None:
    text = export(
        resource("avma:index:ClusterLicense", "cl", cluster=CLUSTER, productKey=SECRET),
        resource("avma:index:HostLicense", "lone", host="lone.example.com", connection={"address": LONE}),
        resource("avma:index:VmActivation", "mail", hosts=[N1, N2], vmName="mail"),
        resource("random:index:RandomId", "other", host=address(77)),
        {**resource("avma:index:HostLicense", "replaced", host=address(78)), "delete": True},
    )
    document = reported("-", text=text, code=3)
    assert list(hosts(document)) == ["n1", "n2", "n3", "lone.example.com"]
    assert {host["recordedSince"] for host in document["hosts"]} == {"2026-01-02T03:04:05.6Z"}
    assert hosts(document)["lone.example.com"]["address"] == LONE


def test_an_export_of_whole_clusters_and_hosts(shared: EstateServer) -> None:
    text = export(
        resource("avma:index:ClusterActivation", "all", cluster=CLUSTER),
        resource("avma:index:ClusterActivation", "more", hosts=[LONE]),
    )
    document = reported("-", text=text, code=3)
    assert list(hosts(document)) == ["n1", "n2", "n3", LONE]
    assert not [host for host in document["hosts"] if "recordedSince" in host]


def test_an_export_of_nodes_and_vms_alone(shared: EstateServer) -> None:
    text = export(
        resource("avma:index:ClusterLicense", "cl", nodes=[N3]),
        resource("avma:index:VmActivation", "mail", host=N2, vmName="mail"),
    )
    found = hosts(reported("-", text=text, code=3))
    assert {name: "recordedSince" in host for name, host in found.items()} == {N3: True, N2: False}


def test_nothing_of_a_secret_is_read() -> None:
    text = export(
        resource("avma:index:HostLicense", "a", host="a", productKey=SECRET, connection=SECRET),
        resource("avma:index:HostLicense", "b", host="b", connection={"password": SECRET, "port": 1}),
        resource("avma:index:HostLicense", "c", host="c", connection={"password": "in clear", "port": 2}),
        resource("avma:index:HostLicense", "d", host=SECRET),
    )
    estate = stack.estate(json.loads(text))
    assert estate["settings"] == {"https": False, "username": ADMINISTRATOR, "guest": {"username": ADMINISTRATOR}}
    assert [(host["host"], host.get("connection")) for host in estate["hosts"]] == [
        ("a", None), ("b", {"port": 1}), ("c", {"port": 2}),
    ]  # fmt: skip


def test_outputs_of_a_stack(shared: EstateServer, tmp_path: Path) -> None:
    outputs = {"hosts": [N1], "url": "https://example.com", "key": "[secret]", "clusters": None}
    file = written(tmp_path / "outputs.json", json.dumps(outputs))
    document = reported(file, "--username", ADMINISTRATOR, "--no-https", "--guest-username", ADMINISTRATOR)
    assert list(hosts(document)) == [N1]


def test_options_come_before_the_file_and_that_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"USERNAME": "environment", "PORT": "1", "GUEST_USERNAME": "environment"}.items():
        monkeypatch.setenv(f"AVMA_{name}", value)
    made = options.settings({"username": "option"}, {"port": 2, "guest": {"username": "file"}})
    assert (made["username"], made["port"]) == ("option", 2)
    assert made["guest"]["username"] == "file"
    assert options.settings({}, {})["guest"]["username"] == "environment"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("hosts: [a b]", "hosts[0].host: `a b` is not a host name or an IP address"),
        ("hosts: [10.0.0.011]", "hosts[0].host: `10.0.0.011` is not a valid IP address: you probably mean `10.0.0.11`"),
        (
            "clusters: [{cluster: cl01, connection: {address: 0x7f.0.0.1}}]",
            "clusters[0].connection.address: `0x7f.0.0.1`",
        ),
        ("hosts: [{hots: a}]", "hosts[0].hots: is not a property here. Did you mean `host`?"),
        ("hosts: [1]", "hosts[0]: must be a name or an object with `host`"),
        ("hosts: a", "hosts: must be a list"),
        ("clusters: [{cluster: a, connection: {port: '5985'}}]", "clusters[0].connection.port: must be a whole number"),
        ("settings: {htps: true}\nhosts: [a]", "settings.htps: is not a property here. Did you mean `https`?"),
        ("settings: [a]\nhosts: [a]", "settings: must be an object with settings"),
        ("host: [a]", "host: is not a key of a host list. Use settings, hosts, clusters"),
        ("hosts: [a", "is not YAML"),
        ("just words", "must be a host list"),
        ("hosts: []", "lists no hosts and no clusters"),
        ('{"url": "x"}', "outputs with these names to the stack"),
        ('{"version": 3, "deployment": null}', "lists no hosts and no clusters"),
        ("[1, 2]", "lists no hosts and no clusters"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, text: str, said: str) -> None:
    file = written(tmp_path / "estate.yaml", text)
    printed = report(file, code=2)
    assert f"{file}:" in printed
    assert said in printed


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    assert "cannot be read: No such file" in report(tmp_path / "absent.yaml", code=2)
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe\xfa")
    assert "is not UTF-8 text" in report(tmp_path / "bytes.yaml", code=2)


def test_all_mistakes_come_at_once(tmp_path: Path) -> None:
    file = written(tmp_path / "estate.yaml", "hosts: [a b]\nclusters: [c d]")
    with pytest.raises(source.SourceError) as raised:
        source.read(file)
    assert len(str(raised.value).splitlines()) == 2


def test_the_list_in_the_page_is_valid(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "report.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^```yaml\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    found = source.read(written(tmp_path / "estate.yaml", block))
    assert [host.host for host in found.hosts] == ["hv01.example.com", "hv02.example.com"]
    assert [cluster.cluster for cluster in found.clusters] == ["cl01.example.com"]
