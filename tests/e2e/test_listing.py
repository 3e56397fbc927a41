"""`pulumi do … list`: what can be imported from a host and from a cluster."""

import json
import re

import pytest

from e2e.estate import ADMINISTRATOR, HOST, PASSWORD, estate, host_license, machine
from loopback import address

CLUSTER = address(50)
SETTINGS = {"AVMA_HTTPS": "false", "AVMA_USERNAME": ADMINISTRATOR, "AVMA_PASSWORD": PASSWORD}
WEB, DB = (machine(name, "2022", "Standard", address(n)) for name, n in (("web01", 21), ("db01", 22)))


@pytest.fixture
def stack(serve, workspace):
    """Return a stack, with a host of two VMs in a cluster of one node."""
    cluster = {"name": "cl01", "nodes": ["hv01"], "address": CLUSTER, "http": {"port": 5985}}
    serve({**estate(WEB, DB), "clusters": [cluster]})
    return workspace({"hv01": host_license()})


def listed(stack, token: str, *arguments: str) -> dict[str, str]:
    printed = stack.run("do", token, "list", *arguments, **SETTINGS).stdout
    return {found["name"]: found["id"] for found in json.loads(printed)}


def test_the_vms_of_a_host_are_listed_with_the_ids_for_an_import(stack):
    ids = listed(stack, "avma:index:VmActivation", "--host", HOST)
    assert list(ids) == ["db01", "web01"]
    assert re.fullmatch(rf"{re.escape(HOST)}/[0-9a-f-]{{36}}", ids["web01"])
    assert "web01" in stack.run("import", "avma:index:VmActivation", "web01", ids["web01"], "--yes").stdout
    assert len(listed(stack, "avma:index:VmActivation", "--host", HOST, "--count", "1")) == 1


def test_the_nodes_of_a_cluster_are_listed_with_the_ids_for_an_import(stack):
    assert listed(stack, "avma:index:HostLicense", "--cluster", CLUSTER) == {"hv01": HOST}


def test_a_query_that_is_not_valid_reaches_no_machine(stack):
    failed = stack.run("do", "avma:index:VmActivation", "list", "--host", "127.0.0.011", check=False, **SETTINGS)
    assert failed.returncode != 0
    assert "`host` `127.0.0.011` is not a valid IP address: you probably mean `127.0.0.11`" in failed.stdout
