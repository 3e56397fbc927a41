"""The value codec: values and their marks survive a round trip."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict
from google.protobuf.struct_pb2 import Struct
from hypothesis import given
from hypothesis import strategies as st

from avma.properties import UNKNOWN
from pulumi_resource_avma.values import (
    ARCHIVE,
    ASSET,
    OUTPUT,
    RESOURCE,
    SECRET,
    SIGNATURE,
    UNKNOWN_SENTINELS,
    UNKNOWN_STRING,
    decode,
    decode_tree,
    encode,
    path_text,
    texts_at,
)

names = st.text(max_size=8).filter(lambda name: name != SIGNATURE)
leaves = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False).filter(lambda number: not number.is_integer())
    | st.text().filter(lambda text: text not in UNKNOWN_SENTINELS)
    | st.just(UNKNOWN)
)
trees = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4), max_leaves=20
)
objects = st.dictionaries(names, trees, max_size=5)


def paths(value: Any, prefix: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    steps: list[Any] = []
    if isinstance(value, Mapping):
        steps = list(value)
    elif isinstance(value, list):
        steps = list(range(len(value)))
    here = [(*prefix, step) for step in steps]
    return here + [path for step, path in zip(steps, here, strict=True) for path in paths(value[step], path)]


def outermost(chosen: set[tuple[Any, ...]]) -> set[tuple[Any, ...]]:
    """Return the outermost paths. A mark covers everything below its path."""
    return {path for path in chosen if not any(path[:length] in chosen for length in range(1, len(path)))}


@given(objects, st.data())
def test_what_is_encoded_is_decoded_again(values: dict[str, Any], data: st.DataObject) -> None:
    everywhere = paths(values)
    chosen = data.draw(st.sets(st.sampled_from(everywhere))) if everywhere else set()
    decoded = decode(encode(values, chosen))
    assert decoded.values == values
    assert decoded.secrets == outermost(chosen)
    assert decoded.rejected == ()
    assert {name: type(value) for name, value in decoded.values.items()} == {
        name: type(value) for name, value in values.items()
    }


@given(objects, st.data())
def test_a_message_goes_through_unchanged(values: dict[str, Any], data: st.DataObject) -> None:
    everywhere = paths(values)
    message = encode(values, data.draw(st.sets(st.sampled_from(everywhere))) if everywhere else set())
    decoded = decode(message)
    assert encode(decoded.values, decoded.secrets) == message


@given(objects)
def test_an_unmarked_tree_is_only_read(values: dict[str, Any]) -> None:
    assert decode_tree(values).values == values


@pytest.mark.parametrize("sentinel", sorted(UNKNOWN_SENTINELS))
@pytest.mark.parametrize("wrap", [lambda value: value, lambda value: {SIGNATURE: SECRET, "value": value}])
def test_every_sentinel_is_unknown_wherever_it_is(sentinel: str, wrap: Any) -> None:
    decoded = decode(message({"a": wrap(sentinel), "b": {"c": [wrap(sentinel)]}}))
    assert decoded.values == {"a": UNKNOWN, "b": {"c": [UNKNOWN]}}


def test_there_are_seven_sentinels() -> None:
    assert len(UNKNOWN_SENTINELS) == 7


def test_unknown_is_sent_as_the_sentinel_of_strings() -> None:
    assert MessageToDict(encode({"a": UNKNOWN})) == {"a": UNKNOWN_STRING}


def message(values: dict[str, Any]) -> Struct:
    struct = Struct()
    struct.update(values)
    return struct


def test_null_absent_and_empty_differ() -> None:
    values: dict[str, object] = {"null": None, "text": "", "object": {}, "list": []}
    assert decode(encode(values)).values == values


def test_an_empty_message_is_an_empty_object() -> None:
    assert decode(Struct()).values == {}
    assert encode({}) == Struct()


@pytest.mark.parametrize(
    ("value", "plain", "secret"),
    [
        ({"value": "x"}, "x", False),
        ({"value": "x", "secret": True}, "x", True),
        ({"value": "x", "secret": False, "dependencies": ["urn:x"]}, "x", False),
        ({"value": None}, None, False),
        ({}, UNKNOWN, False),
        ({"secret": True}, UNKNOWN, True),
        ({"value": {SIGNATURE: SECRET, "value": "x"}}, "x", True),
    ],
)
def test_output_values(value: dict[str, Any], plain: Any, secret: bool) -> None:
    decoded = decode(message({"a": {SIGNATURE: OUTPUT, **value}}))
    assert decoded.values == {"a": plain}
    assert decoded.secrets == ({("a",)} if secret else set())


@pytest.mark.parametrize(
    ("reference", "plain"),
    [
        ({"urn": "urn:x", "id": "hv01", "packageVersion": "1.0.0"}, "hv01"),
        ({"urn": "urn:x", "id": ""}, UNKNOWN),
        ({"urn": "urn:x", "id": UNKNOWN_STRING}, UNKNOWN),
        ({"urn": "urn:x"}, "urn:x"),
        ({"urn": "urn:x", "id": None}, "urn:x"),
    ],
)
def test_a_resource_reference_is_its_id_or_urn(reference: dict[str, Any], plain: Any) -> None:
    assert decode(message({"a": {SIGNATURE: RESOURCE, **reference}})).values == {"a": plain}


@pytest.mark.parametrize(("signature", "name"), [(ASSET, "asset"), (ARCHIVE, "archive"), ("of the future", "type")])
def test_what_cannot_be_a_property_is_rejected_with_its_path(signature: str, name: str) -> None:
    (failure,) = decode(message({"a": {"b": [1, {SIGNATURE: signature, "text": "x"}]}})).rejected
    assert failure.path == "a.b[1]"
    assert name in failure.reason


def test_secrets_inside_a_secret_are_one_secret() -> None:
    inner = {"b": {SIGNATURE: SECRET, "value": "x"}}
    decoded = decode(message({"a": {SIGNATURE: SECRET, "value": inner}}))
    assert decoded.values == {"a": {"b": "x"}}
    assert decoded.secrets == {("a",)}


def test_texts_at_paths() -> None:
    values = {"a": {"b": ["x", {"c": "y"}], "d": 5}, "e": "z"}
    assert set(texts_at(values, {("a", "b")})) == {"x", "y"}
    assert set(texts_at(values, {("a", "b", 1, "c"), ("e",), ("nowhere", "x"), ("a", "b", 7)})) == {"y", "z"}


def test_path_text() -> None:
    assert path_text(("connection", "password")) == "connection.password"
    assert path_text(("hosts", 0, "name")) == "hosts[0].name"
