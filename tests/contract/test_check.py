"""Check: validation and normalization of inputs."""

from __future__ import annotations

from typing import Any

import grpc
import pytest

from contract.harness import TYPE, UNKNOWN, Calls, failure, plain, secret, struct
from pulumi_resource_avma.protocol import provider_pb2 as pb

SIGNATURE = "4dabf18193072939515e22adb298388d"


@pytest.mark.parametrize(
    "news",
    [
        {"room": "lab"},
        {"room": "Lab", "boards": 4, "wood": "oak", "lock": {"digits": 3}},
        {"room": UNKNOWN, "boards": UNKNOWN, "wood": UNKNOWN, "lock": {"code": secret(UNKNOWN)}},
        {"room": "lab", "lock": UNKNOWN},
        {"room": "lab", "label": None},
        {"room": "lab", "lock": {}},
        {"room": secret("lab"), "password": secret("shelf-pass"), "lock": {"code": secret("1234"), "maker": "m"}},
        {"room": "lab", "lock": secret({"code": "1234"})},
        {"room": "lab", "__internal": {"a": 1}, "__defaults": ["x"]},
    ],
)
def test_inputs_come_back_as_they_were_written(calls: Calls, news: dict[str, Any]) -> None:
    response = calls.check(news)
    assert not response.failures
    assert plain(response.inputs) == news


def test_declared_secrets_come_back_secret(calls: Calls) -> None:
    response = calls.check({"room": "lab", "password": "shelf-pass", "lock": {"code": "1234", "maker": "m"}})
    assert plain(response.inputs) == {
        "room": "lab",
        "password": secret("shelf-pass"),
        "lock": {"code": secret("1234"), "maker": "m"},
    }


def test_all_failures_come_at_once_each_with_its_path(calls: Calls) -> None:
    response = calls.check(
        {"boards": 77, "wood": "steel", "lable": "x", "lock": {"digits": "three", "kode": secret("1234")}}
    )
    found = {failure.property: failure.reason for failure in response.failures}
    assert set(found) == {"room", "boards", "wood", "lable", "lock.digits", "lock.kode"}
    assert "Did you mean `label`?" in found["lable"]


@pytest.mark.parametrize(
    "value",
    [
        {SIGNATURE: "c44067f5952c0a294b673a41bacd8c17", "text": "x"},
        {SIGNATURE: "0def7320c3a5731c473e5ecbe6d01bc7", "assets": {}},
        {SIGNATURE: "a signature of the future", "value": "x"},
    ],
)
def test_what_is_no_plain_value_is_rejected_with_its_path(calls: Calls, value: dict[str, Any]) -> None:
    response = calls.check({"room": "lab", "lock": {"maker": value}})
    assert [failure.property for failure in response.failures] == ["lock.maker"]


def test_a_secret_in_a_failure_is_redacted(calls: Calls) -> None:
    response = calls.check({"room": "lab", "label": secret("hush!hush")})
    assert [failure.reason for failure in response.failures] == [
        "`[secret]` is not a label. See: avma explain invalid-input"
    ]


def test_a_product_key_in_a_failure_is_redacted(calls: Calls) -> None:
    response = calls.check({"room": "lab", "label": "YQB4H-NKHHJ-Q6K4R-4VMY6-VCH67!"})
    assert [failure.reason for failure in response.failures] == [
        "`…VCH67!` is not a label. See: avma explain invalid-input"
    ]


def test_resource_references_and_output_values_are_taken(calls: Calls) -> None:
    reference = {SIGNATURE: "5cf8f73096256a8f31e491e813e4eb8e", "urn": "urn:x", "id": "lab"}
    output = {SIGNATURE: "d0e6a833031e9bbcd3f4e8bde6ca49a4", "value": "text", "secret": True, "dependencies": []}
    response = calls.check({"room": reference, "label": output, "wood": {**output, "value": "oak", "secret": False}})
    assert plain(response.inputs) == {"room": "lab", "label": secret("text"), "wood": "oak"}


def test_the_provider_need_not_be_configured(unconfigured: Calls) -> None:
    assert plain(unconfigured.check({"room": "lab"}).inputs) == {"room": "lab"}


def test_a_type_that_there_is_not(calls: Calls) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        calls.stub.Check(pb.CheckRequest(urn="u", type="avma:index:Sofa", news=struct({})))
    code, message = failure(caught.value)
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert "avma:index:Sofa" in message
    assert TYPE in message


def test_the_type_is_found_in_the_urn_of_engines_that_do_not_send_it(calls: Calls) -> None:
    urn = "urn:pulumi:dev::test::my:index:Room$avma:index:Shelf::s"
    assert not calls.stub.Check(pb.CheckRequest(urn=urn, news=struct({"room": "lab"}))).failures
