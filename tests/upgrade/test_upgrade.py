"""An upgrade of the provider changes nothing: the state and the calls of each recorded version still work."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import grpc
import pytest
from google.protobuf import json_format
from google.protobuf.message import Message

from avma.functions import FUNCTIONS
from avma.resources import RESOURCES
from avma.wording import camel_case
from contract.harness import Provider
from pulumi_resource_avma import __version__
from pulumi_resource_avma.protocol import provider_pb2 as pb
from pulumi_resource_avma.values import decode_tree
from schema_inputs import unused_inputs
from upgrade import lab

REQUESTS: dict[str, type[Message]] = {
    "CheckConfig": pb.CheckRequest,
    "DiffConfig": pb.DiffRequest,
    "Configure": pb.ConfigureRequest,
    "Check": pb.CheckRequest,
    "Diff": pb.DiffRequest,
    "Create": pb.CreateRequest,
    "Read": pb.ReadRequest,
    "Update": pb.UpdateRequest,
    "Delete": pb.DeleteRequest,
    "Invoke": pb.InvokeRequest,
}
"""The recorded methods, and their requests."""


@pytest.fixture(autouse=True)
def no_settings_in_the_environment(monkeypatch):
    for name in list(os.environ):
        if name.startswith(("AVMA_", "HYPERV_")):
            monkeypatch.delenv(name)


def test_this_version_is_recorded():
    """Record each version before its release: see docs/distribution.md."""
    assert __version__ in lab.VERSIONS


def test_each_resource_type_and_call_is_recorded():
    stored = {resource["type"] for resource in lab.read(__version__, "state")["deployment"]["resources"]}
    assert stored >= {f"avma:index:{resource.name}" for resource in RESOURCES}
    calls = [each for command in lab.COMMANDS for each in lab.read(__version__, command)]
    assert {each["method"] for each in calls} == set(REQUESTS)
    called = {each["request"]["tok"] for each in calls if each["method"] == "Invoke"}
    assert called == {f"avma:index:{camel_case(function.name)}" for function in FUNCTIONS}


def recorded_inputs() -> Iterator[tuple[str, Any]]:
    """Yield the inputs in the calls of this version, with the name of their resource, function or provider."""
    kinds = {"Check": ("type", "news"), "CheckConfig": ("type", "news"), "Invoke": ("tok", "args")}
    for command in lab.COMMANDS:
        for each in lab.read(__version__, command):
            if each["method"] in kinds:
                token, inputs = (each["request"][name] for name in kinds[each["method"]])
                values = decode_tree(inputs).values
                if each["method"] == "CheckConfig":  # objects of the configuration are JSON text
                    values["guest"] = json.loads(values["guest"])
                yield token.rpartition(":")[2], values


def test_each_input_of_the_schema_is_recorded():
    assert unused_inputs(recorded_inputs()) == []
    assert len(unused_inputs([])) > 300


@pytest.mark.engine
@pytest.mark.parametrize("version", lab.VERSIONS)
def test_the_state_of_a_version_needs_no_change(serve, tmp_path, version):
    server = serve(licensed=True)
    stack = lab.new_stack(tmp_path / "pulumi")
    stack.run("stack", "import", text=json.dumps(lab.read(version, "state")))
    stack.run("preview", "--expect-no-changes", "--diff")
    stack.run("refresh", "--yes", "--expect-no-changes", "--skip-preview")
    assert "namedGuests" in str(stack.run("stack", "export"))  # an output that 0.1.0 did not record
    stack.run("up", "--yes", "--expect-no-changes", "--skip-preview")
    operations = {name for counts in server.counts().values() for name in counts["operations"]}
    assert not [name for name in operations if name.startswith("Invoke")]
    stack.run("destroy", "--yes", "--skip-preview")


@contextmanager
def provider() -> Iterator[Provider]:
    started = Provider()
    try:
        yield started
    finally:
        started.stop()


def call(started: Provider, recorded: dict[str, Any]) -> dict[str, Any]:
    """Repeat a recorded call. Return the answer, or the error as text."""
    request = json_format.ParseDict(recorded["request"], REQUESTS[recorded["method"]](), ignore_unknown_fields=True)
    try:
        answer = getattr(started.stub, recorded["method"])(request)
    except grpc.RpcError as error:
        return {"error": f"{error.code()}: {error.details()}"}
    return json_format.MessageToDict(answer)


def differences(recorded: Any, answer: Any, path: str = "") -> Iterator[str]:
    """Yield the paths of an answer that differ from the recorded one. An answer may have new fields."""
    if isinstance(recorded, dict) and isinstance(answer, dict):
        for name, value in recorded.items():
            yield from differences(value, answer.get(name), f"{path}.{name}")
    elif isinstance(recorded, list) and isinstance(answer, list) and len(recorded) == len(answer):
        for number, (value, other) in enumerate(zip(recorded, answer, strict=True)):
            yield from differences(value, other, f"{path}[{number}]")
    elif recorded != answer and (recorded or answer):
        yield f"{path}: {recorded!r} was recorded, and the answer is {answer!r}"


@pytest.mark.parametrize("version", lab.VERSIONS)
def test_recorded_calls_have_the_recorded_answers(serve, version):
    """Each command of the engine starts a plugin, as it did in the recording."""
    serve(licensed=False)
    for command in lab.COMMANDS:
        with provider() as started:
            for recorded in lab.read(version, command):
                place = f"{command}: {recorded['method']} {recorded['request'].get('urn', '')}"
                assert list(differences(recorded["response"], call(started, recorded), place)) == []


@pytest.mark.parametrize("version", lab.VERSIONS)
@pytest.mark.parametrize("other", [{"version": "99.0.0"}, {"version": "99.0.0", "pluginDownloadURL": "x"}, {}])
def test_another_version_of_the_provider_replaces_nothing(version, other):
    (recorded,) = (each for each in lab.read(version, "update") if each["method"] == "DiffConfig")
    changed = copy.deepcopy(recorded)
    changed["request"]["olds"]["version"] = changed["request"]["oldInputs"]["version"] = version
    changed["request"]["news"].pop("version", None)
    changed["request"]["news"].update(other)
    with provider() as started:
        answer = call(started, changed)
    assert "error" not in answer
    assert not answer.get("replaces")
    assert answer["changes"] == "DIFF_NONE"


def test_a_difference_is_found():
    recorded = {"a": 1, "list": [{"b": "x"}], "empty": {}}
    assert list(differences(recorded, {"a": 1, "list": [{"b": "x", "new": 1}], "new": 2})) == []
    for answer in ({"a": 2, "list": [{"b": "x"}]}, {"list": [{"b": "x"}]}, {"a": 1, "list": []}, {"error": "no"}):
        assert list(differences(recorded, answer))
