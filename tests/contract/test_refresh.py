"""A refresh: Read, then Diff. It shows the changes since the state, and not the differences from the inputs."""

from __future__ import annotations

from typing import Any

import pytest

from contract.harness import TYPE, URN, Calls, FakeEngine, struct
from contract.shelf import Shelf, ShelfOutputs
from contract.test_diff import kinds
from pulumi_resource_avma import diff
from pulumi_resource_avma.protocol import provider_pb2 as pb

INPUTS = {"room": "lab"}
GOOD: dict[str, Any] = {"condition": "good", "weight": 12}
BROKEN: dict[str, Any] = {"condition": "broken", "weight": 12}


def read(calls: Calls, state: dict[str, Any]) -> pb.ReadResponse:
    return calls.read("lab", inputs=struct(INPUTS), properties=struct({**INPUTS, **state}))


def refresh(calls: Calls, state: dict[str, Any], ignored: tuple[str, ...] = ()) -> pb.DiffResponse:
    """Read the shelf, and return the diff as the engine asks for it: from the shelf to the state."""
    found = read(calls, state)
    request = pb.DiffRequest(
        id="lab",
        urn=URN,
        type=TYPE,
        olds=found.properties,
        old_inputs=found.inputs,
        news=struct(INPUTS),
        ignoreChanges=ignored,
    )
    response: pb.DiffResponse = calls.stub.Diff(request)
    return response


def messages(engine: FakeEngine) -> list[str]:
    return [text for severity, text, _, status in engine.lines if severity == "INFO" and not status]


@pytest.mark.parametrize(
    ("state", "found", "expected"),
    [
        (GOOD, ShelfOutputs("good", 12), {}),
        (GOOD, ShelfOutputs("broken", 12), {"condition": ("UPDATE", False)}),
        (BROKEN, ShelfOutputs("broken", 12), {}),
        (BROKEN, ShelfOutputs("good", 12), {"condition": ("UPDATE", False)}),
        (GOOD, ShelfOutputs("good", 13), {"weight": ("UPDATE", False)}),
        (GOOD, ShelfOutputs("good", 12, "new-4711"), {"masterCode": ("DELETE", False)}),
        ({**GOOD, "masterCode": "old-4711"}, ShelfOutputs("good", 12), {"masterCode": ("ADD", False)}),
    ],
)
def test_a_refresh_shows_what_changed_since_the_state(
    calls: Calls, shelf: Shelf, state: dict[str, Any], found: ShelfOutputs, expected: dict[str, Any]
) -> None:
    shelf.found = found
    response = refresh(calls, state)
    assert kinds(response) == expected
    assert list(response.diffs) == list(expected)
    assert (response.changes == pb.DiffResponse.DIFF_SOME) == bool(expected)


def test_a_refresh_honors_ignored_changes(calls: Calls, shelf: Shelf) -> None:
    shelf.found = ShelfOutputs("broken", 13)
    assert list(refresh(calls, GOOD, ("condition",)).diffs) == ["weight"]


def test_the_update_after_a_refresh_still_repairs(calls: Calls, shelf: Shelf) -> None:
    shelf.found = ShelfOutputs("broken", 12)
    refresh(calls, BROKEN)
    assert kinds(calls.diff(INPUTS, INPUTS, BROKEN)) == {"condition": ("UPDATE", True)}


def test_an_engine_without_a_diff_in_its_refresh_still_repairs(calls: Calls, shelf: Shelf) -> None:
    shelf.found = ShelfOutputs("broken", 12)
    read(calls, BROKEN)
    calls.check(INPUTS, INPUTS)
    assert kinds(calls.diff(INPUTS, INPUTS, BROKEN)) == {"condition": ("UPDATE", True)}


def test_other_inputs_or_outputs_than_those_just_read_are_no_refresh(calls: Calls, shelf: Shelf) -> None:
    shelf.found = ShelfOutputs("broken", 12)
    read(calls, BROKEN)
    assert kinds(calls.diff(INPUTS, {**INPUTS, "label": "new"}, BROKEN))["label"] == ("ADD", True)
    read(calls, GOOD)
    assert kinds(calls.diff(INPUTS, INPUTS, {**BROKEN, "weight": 9})) == {"condition": ("UPDATE", True)}


def test_new_drift_is_described_once_in_a_run(calls: Calls, shelf: Shelf, engine: FakeEngine) -> None:
    shelf.found = ShelfOutputs("broken", 12)
    refresh(calls, GOOD)
    calls.update({**INPUTS, **BROKEN}, INPUTS, preview=True)
    assert messages(engine) == ['lab: drift: `condition` is "broken" instead of "good"']


def test_an_update_describes_what_it_repairs(calls: Calls, shelf: Shelf, engine: FakeEngine) -> None:
    calls.update({**INPUTS, **BROKEN}, INPUTS)
    assert messages(engine) == ['lab: drift: `condition` is "broken" instead of "good"']


def test_old_drift_is_not_described_again_but_its_end_is(calls: Calls, shelf: Shelf, engine: FakeEngine) -> None:
    shelf.found = ShelfOutputs("broken", 12)
    refresh(calls, BROKEN)
    assert messages(engine) == []
    shelf.found = ShelfOutputs("good", 12)
    refresh(calls, BROKEN)
    assert messages(engine) == ["lab: its drift is gone"]


def test_a_resource_that_a_program_only_reads_has_no_drift(calls: Calls, shelf: Shelf, engine: FakeEngine) -> None:
    shelf.found = ShelfOutputs("broken", 12)
    calls.read("lab", inputs=struct(INPUTS), properties=struct(INPUTS))
    assert messages(engine) == []


def test_a_node_is_shown_by_the_path_of_each_changed_value() -> None:
    before = {"nodes": [{"node": "n1", "status": "Licensed"}, {"node": "n2", "status": "Licensed", "key": "46789"}]}
    after = {"nodes": [before["nodes"][0], {"node": "n2", "status": "Notification"}, {"node": "n3"}]}
    assert kinds(diff.of_refresh(before, after)) == {
        "nodes[1].status": ("UPDATE", False),
        "nodes[1].key": ("ADD", False),
        "nodes[2]": ("DELETE", False),
    }


def test_an_item_between_others_is_the_only_difference() -> None:
    first, second, third = ({"node": name, "builds": 2.0} for name in ("n1", "n2", "n3"))
    without, with_second = {"nodes": [first, third]}, {"nodes": [{**first, "builds": 2, "key": None}, second, third]}
    assert kinds(diff.of_refresh(without, with_second)) == {"nodes[1]": ("DELETE", False)}
    assert kinds(diff.of_refresh(with_second, without)) == {"nodes[1]": ("ADD", False)}


def test_an_item_is_replaced_by_another_at_its_place() -> None:
    before = {"nodes": [{"node": "n1"}, {"node": "n2"}, {"node": "n4"}]}
    after = {"nodes": [{"node": "n2"}, {"node": "n3"}, {"node": "n4"}]}
    assert kinds(diff.of_refresh(before, after)) == {"nodes[0]": ("ADD", False), "nodes[1]": ("DELETE", False)}
