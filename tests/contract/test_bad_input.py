"""Any text as host, address, name or key: the provider accepts it literally or rejects it with a clear reason."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Iterator, Mapping
from typing import Any

import grpc
import pytest
from google.protobuf.struct_pb2 import Struct
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from avma.addresses import canonical
from contract.harness import PROVIDER_URN, Provider, failure, struct
from odd_texts import HOSTS, KEYS, NAMES, numeric_address
from pulumi_resource_avma.protocol import provider_pb2 as pb

KEY = "BCDFG-HJKMN-PQRTV-WXY23-46789"
HOST, VM, CLUSTER = "HostLicense", "VmActivation", "ClusterLicense"
A_VM = {"host": "hv01", "vmName": "web01"}
HOST_FIELDS = [
    (HOST, "host", lambda text: {"host": text}),
    (HOST, "connection.address", lambda text: {"host": "hv01", "connection": {"address": text}}),
    (HOST, "connection.kerberosHostname", lambda text: {"host": "hv01", "connection": {"kerberosHostname": text}}),
    (VM, "host", lambda text: {**A_VM, "host": text}),
    (VM, "hosts[1]", lambda text: {"vmName": "web01", "hosts": ["hv01", text]}),
    (VM, "guest.address", lambda text: {**A_VM, "guest": {"address": text}}),
    (CLUSTER, "cluster", lambda text: {"cluster": text}),
    (CLUSTER, "nodes[0]", lambda text: {"nodes": [text]}),
]
OTHER_FIELDS = [
    (HOST, "productKey", KEYS, lambda text: {"host": "hv01", "productKey": text}),
    (VM, "productKey", KEYS, lambda text: {**A_VM, "productKey": text}),
    (CLUSTER, 'productKeys["n1"]', KEYS, lambda text: {"cluster": "cl01", "productKeys": {"n1": text}}),
    (VM, "vmName", NAMES, lambda text: {"host": "hv01", "vmName": text}),
    (VM, "vmId", NAMES, lambda text: {"host": "hv01", "vmId": text}),
    (VM, "guest.username", NAMES, lambda text: {**A_VM, "guest": {"username": text}}),
    (HOST, "connection.username", NAMES, lambda text: {"host": "hv01", "connection": {"username": text}}),
]
WORDS = re.compile("[A-Za-z ]*")
"""Texts that any sentence can contain. If an error contains one, it still reveals nothing about a key."""
CLASS_NAME = re.compile(r"\b\w+(?:Error|Exception)\b|Traceback")
LONGEST = 600
SECONDS = 0.3
"""Maximum seconds of a search for a missing host."""
CODES = (
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.FAILED_PRECONDITION,  # several nodes, and no node was found
)
FUZZ = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    provider = Provider()
    yield provider
    provider.stop()


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names passed to the resolver. It never finds them."""
    names: list[str] = []

    def look_up(host: str, *arguments: Any, **keywords: Any) -> Any:
        names.append(host)
        raise socket.gaierror(socket.EAI_NONAME, "not known")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return names


def urn(kind: str) -> str:
    return f"urn:pulumi:dev::test::avma:index:{kind}::r"


def check(provider: Provider, kind: str, values: Mapping[str, Any]) -> pb.CheckResponse:
    request = pb.CheckRequest(urn=urn(kind), type=f"avma:index:{kind}", news=struct(values), olds=Struct())
    return provider.stub.Check(request)


def assert_clear(response: pb.CheckResponse, path: str, given: str) -> None:
    assert {failed.property for failed in response.failures} <= {path}
    for failed in response.failures:
        assert_readable(failed.reason, given)


def recognizable(key: str) -> bool:
    return len(key) > 5 and not WORDS.fullmatch(key)


def assert_readable(text: str, given: str) -> None:
    """Assert that an error is readable. Quoted input may have any form."""
    assert text.isprintable()
    assert len(text) < LONGEST * (1 + given.count(","))  # an error about a list contains each node with its failure
    assert CLASS_NAME.search(given) or not CLASS_NAME.search(text)


@pytest.mark.parametrize(
    ("kind", "path", "inputs"), HOST_FIELDS, ids=[f"{kind} {path}" for kind, path, _ in HOST_FIELDS]
)
@FUZZ
@given(text=HOSTS)
def test_a_host_is_rejected_with_a_reason_or_read_as_it_is_written(provider, kind, path, inputs, text) -> None:
    response = check(provider, kind, inputs(text))
    assert_clear(response, path, text)
    reached = numeric_address(text)
    if reached is not None and not response.failures:
        assert ipaddress.ip_address(reached) == ipaddress.ip_address(text)


@pytest.mark.parametrize(
    ("kind", "path", "texts", "inputs"), OTHER_FIELDS, ids=[f"{kind} {path}" for kind, path, *_ in OTHER_FIELDS]
)
@FUZZ
@given(data=st.data())
def test_a_name_or_key_is_rejected_with_a_reason_or_taken(provider, kind, path, texts, inputs, data) -> None:
    text = data.draw(texts)
    response = check(provider, kind, inputs(text))
    assert_clear(response, path, text)
    for failed in response.failures:
        assert "productKey" not in path or not recognizable(text.strip()) or text.strip() not in failed.reason


@pytest.mark.parametrize("field", HOST_FIELDS[:2], ids=["host", "connection.address"])
@FUZZ
@example(text="127.0.0.011")
@example(text="\uff11\uff10.0.0.011")
@given(text=HOSTS)
def test_a_create_looks_for_no_other_host_even_if_nobody_checked(provider, asked, field, text) -> None:
    kind, _, inputs = field
    provider.stub.Configure(pb.ConfigureRequest(args=struct({"username": "a", "password": "b"}), urn=PROVIDER_URN))
    asked.clear()
    properties = struct({**inputs(text), "productKey": KEY})
    with pytest.raises(grpc.RpcError) as caught:
        provider.stub.Create(
            pb.CreateRequest(urn=urn(kind), type=f"avma:index:{kind}", properties=properties, timeout=SECONDS)
        )
    assert caught.value.code() in CODES
    assert_readable(failure(caught.value)[1], text)
    assert {canonical(name) for name in asked} <= {canonical(text or "hv01")}
    assert all(not numeric_address(name) or ipaddress.ip_address(name) for name in asked)


@pytest.mark.parametrize("kind", [HOST, VM, CLUSTER])
@FUZZ
@given(text=st.one_of(HOSTS, NAMES, st.tuples(HOSTS, NAMES).map("/".join), st.lists(HOSTS, max_size=3).map(",".join)))
def test_an_import_id_is_rejected_with_a_reason_or_names_its_hosts(provider, asked, kind, text) -> None:
    provider.stub.Configure(pb.ConfigureRequest(args=struct({"username": "a", "password": "b"}), urn=PROVIDER_URN))
    asked.clear()
    with pytest.raises(grpc.RpcError) as caught:
        provider.stub.Read(pb.ReadRequest(id=text, urn=urn(kind), type=f"avma:index:{kind}", timeout=SECONDS))
    assert caught.value.code() in CODES
    assert_readable(failure(caught.value)[1], text)
    named = {canonical(name) for name in text.partition("/")[0].split(",")}
    assert {canonical(name) for name in asked} <= named
