"""Diff: invariants for any pair of inputs and state."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from contract.harness import TYPE, UNKNOWN, URN, Calls, secret, struct
from contract.shelf import Shelf
from pulumi_resource_avma.protocol import provider_pb2 as pb

INPUTS: list[dict[str, Any]] = [
    {"room": "lab"},
    {"room": "attic"},
    {"room": "lab", "boards": 3},
    {"room": "lab", "boards": 5, "wood": "oak"},
    {"room": "lab", "label": None},
    {"room": "lab", "label": ""},
    {"room": "lab", "password": secret("shelf-pass")},
    {"room": "lab", "password": secret(UNKNOWN)},
    {"room": "lab", "lock": {}},
    {"room": "lab", "lock": {"code": "1234", "maker": "m"}},
    {"room": "lab", "lock": {"code": secret("1234"), "maker": "n", "digits": 4}},
    {"room": "lab", "lock": UNKNOWN},
    {"room": UNKNOWN},
]
REPLACING = {pb.PropertyDiff.ADD_REPLACE, pb.PropertyDiff.DELETE_REPLACE, pb.PropertyDiff.UPDATE_REPLACE}


@pytest.mark.parametrize("state", [{}, {"condition": "broken"}])
def test_invariants(calls: Calls, state: dict[str, Any]) -> None:
    for old, new in itertools.product(INPUTS, repeat=2):
        assert_invariants(calls.diff(old, new, state))
        if old == new and not state and UNKNOWN not in str(new):
            assert calls.diff(old, new).changes == pb.DiffResponse.DIFF_NONE


def assert_invariants(response: pb.DiffResponse) -> None:
    top_level = {path.split(".")[0] for path in response.detailedDiff}
    replacing = {path.split(".")[0] for path, entry in response.detailedDiff.items() if entry.kind in REPLACING}
    assert response.hasDetailedDiff
    assert response.changes in (pb.DiffResponse.DIFF_SOME, pb.DiffResponse.DIFF_NONE)
    assert (response.changes == pb.DiffResponse.DIFF_SOME) == bool(response.detailedDiff)
    assert sorted(response.diffs) == sorted(top_level)
    assert sorted(response.replaces) == sorted(replacing)
    assert response.deleteBeforeReplace == bool(replacing)


def kinds(response: pb.DiffResponse) -> dict[str, tuple[str, bool]]:
    return {
        path: (pb.PropertyDiff.Kind.Name(entry.kind), entry.inputDiff) for path, entry in response.detailedDiff.items()
    }


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ({}, {"label": "a"}, {"label": ("ADD", True)}),
        ({"label": "a"}, {"label": "b"}, {"label": ("UPDATE", True)}),
        ({"label": "a"}, {}, {"label": ("DELETE", True)}),
        ({"label": "a"}, {"label": None}, {"label": ("DELETE", True)}),
        ({"label": "a"}, {"label": UNKNOWN}, {"label": ("UPDATE", True)}),
        ({}, {"lock": {"code": "1"}}, {"lock": ("ADD", True)}),
        ({"lock": {"code": "1"}}, {"lock": {"code": "2"}}, {"lock.code": ("UPDATE", True)}),
        ({"lock": {"code": "1"}}, {"lock": {}}, {"lock.code": ("DELETE", True)}),
        ({"lock": {}}, {"lock": {"maker": "m"}}, {"lock.maker": ("ADD", True)}),
        ({"boards": 4}, {}, {"boards": ("DELETE", True)}),
        ({"boards": 3}, {}, {}),
    ],
)
def test_kinds(calls: Calls, old: dict[str, Any], new: dict[str, Any], expected: dict[str, Any]) -> None:
    assert kinds(calls.diff({"room": "lab", **old}, {"room": "lab", **new})) == expected


def test_another_room_is_another_shelf(calls: Calls) -> None:
    response = calls.diff({"room": "lab"}, {"room": "attic"})
    assert kinds(response) == {"room": ("UPDATE_REPLACE", True)}
    assert (list(response.replaces), list(response.diffs)) == (["room"], ["room"])


def test_a_room_not_known_yet_may_be_another(calls: Calls) -> None:
    assert list(calls.diff({"room": "lab"}, {"room": UNKNOWN}).replaces) == ["room"]


def test_drift_in_an_update_is_shown_by_its_path_alone(calls: Calls) -> None:
    response = calls.diff({"room": "lab"}, {"room": "lab"}, {"condition": "broken"})
    assert kinds(response) == {"condition": ("UPDATE", True)}
    assert list(response.diffs) == ["condition"]


def test_secretness_alone_is_no_change(calls: Calls) -> None:
    response = calls.diff({"room": "lab", "label": "a"}, {"room": secret("lab"), "label": secret("a")})
    assert response.changes == pb.DiffResponse.DIFF_NONE


@pytest.mark.parametrize(
    ("ignored", "left"),
    [
        (["lock"], ["label", "condition"]),
        (["lock.code"], ["label", "condition"]),
        (["lock.code.inner"], ["label", "lock.code", "condition"]),
        (["lo"], ["label", "lock.code", "condition"]),
        (["label", "condition"], ["lock.code"]),
        (["*"], []),
    ],
)
def test_ignored_changes(calls: Calls, ignored: list[str], left: list[str]) -> None:
    old = {"room": "lab", "label": "a", "lock": {"code": "1"}}
    new = {"room": "lab", "label": "b", "lock": {"code": "2"}}
    response = calls.diff(old, new, {"condition": "broken"}, tuple(ignored))
    assert sorted(response.detailedDiff) == sorted(left)


def test_without_old_inputs_the_olds_are_compared(calls: Calls, shelf: Shelf) -> None:
    olds = struct({"room": "lab", "label": "a", "condition": "good"})
    request = pb.DiffRequest(id="lab", urn=URN, type=TYPE, olds=olds, news=struct({"room": "lab", "label": "b"}))
    assert list(calls.stub.Diff(request).diffs) == ["label"]


def test_no_configuration_is_needed(unconfigured: Calls) -> None:
    assert unconfigured.diff({"room": "lab"}, {"room": "lab"}).changes == pb.DiffResponse.DIFF_NONE
