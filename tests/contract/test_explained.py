"""Every error that leaves the plugin ends with the command that explains it, whichever call it answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import grpc
import pytest

from avma import errors, explanations
from avma.functions import FUNCTIONS
from avma.properties import Property, properties
from avma.resources import RESOURCES
from avma.resources.resource import Operation
from avma.wording import camel_case
from contract.harness import PROVIDER_URN, URN, Calls, FakeEngine, Provider, failure, struct
from contract.shelf import Shelf
from contract.test_configuration import Demanding
from pulumi_resource_avma import dynamic
from pulumi_resource_avma.protocol import provider_pb2 as pb

SEE = "See: avma explain "
ASSET = {"4dabf18193072939515e22adb298388d": "c44067f5952c0a294b673a41bacd8c17", "text": "x"}
WRONG: tuple[Any, ...] = (
    "\u200b",
    "127.1",
    "not a key",
    3.5,
    True,
    [],
    [3],
    {"frob": 1},
    "YQB4H-NKHHJ-Q6K4R-4VMY6-VCH67",
)
PARTS = ("hang the shelf", "lab", "no", "ask")


def assert_explained(message: str, topic: str = "") -> None:
    """Assert that a message ends with the command, exactly once, and that an explanation exists."""
    text, _, found = message.rpartition(SEE)
    assert text.endswith((". ", "? ", "! ")), message
    assert SEE not in text
    assert explanations.find(found), message
    assert found.isprintable()
    assert " " not in found
    assert topic in ("", found)


@pytest.fixture(scope="module")
def real() -> Iterator[Provider]:
    """A provider with the core's own resources."""
    provider = Provider()
    yield provider
    provider.stop()


def wrong_inputs(record: type) -> Iterator[dict[str, Any]]:
    """Yield inputs with one mistake each."""
    yield {"frob": 1}
    for prop in properties(record):
        for value in WRONG:
            yield {camel_case(prop.name): value}
            for name in nested(prop):
                inner = {name: value}
                yield {camel_case(prop.name): {"item": inner} if prop.collection is dict else inner}


def nested(prop: Property) -> Iterable[str]:
    record = (prop.item if prop.collection else prop).record
    return [camel_case(each.name) for each in properties(record)] if record is not None else []


@pytest.mark.parametrize("resource", RESOURCES, ids=lambda resource: resource.name)
def test_failures_of_resources(real: Provider, resource: Any) -> None:
    kind, topics = f"avma:index:{resource.name}", set()
    for inputs in wrong_inputs(resource.inputs):
        for found in real.stub.Check(pb.CheckRequest(urn=URN, type=kind, news=struct(inputs))).failures:
            assert_explained(found.reason)
            topics.add(found.reason.rpartition(" ")[2])
    assert topics == {"invalid-input", "invalid-host", "invalid-key"}


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.name)
def test_failures_of_functions(real: Provider, function: Any) -> None:
    required = {camel_case(prop.name): prop.example for prop in properties(function.inputs) if prop.required}
    for inputs in ({"frob": 1}, *({**required, **inputs, "frob": 1} for inputs in wrong_inputs(function.inputs))):
        request = pb.InvokeRequest(tok=f"avma:index:{camel_case(function.name)}", args=struct(inputs))
        found = real.stub.Invoke(request).failures
        assert found
        for each in found:
            assert_explained(each.reason)


def test_failures_of_the_configuration(real: Provider) -> None:
    for inputs in wrong_inputs(Demanding):
        for found in real.stub.CheckConfig(pb.CheckRequest(urn=PROVIDER_URN, news=struct(inputs))).failures:
            assert_explained(found.reason)


def test_failures_of_dynamic_resources(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AVMA_USERNAME", "u")
    monkeypatch.setenv("AVMA_PASSWORD", "environment-pass")
    (found,) = dynamic._Provider("HostLicense").check({}, {"host": "10.0.0.011"}).failures
    assert_explained(found.reason, "invalid-host")


def refused(call: Callable[[], Any]) -> str:
    with pytest.raises(grpc.RpcError) as caught:
        call()
    return failure(caught.value)[1]


def test_calls_that_the_plugin_declines(calls: Calls) -> None:
    stub = calls.stub
    for call in (
        lambda: stub.Parameterize(pb.ParameterizeRequest()),
        lambda: stub.Construct(pb.ConstructRequest()),
        lambda: stub.Call(pb.CallRequest()),
        lambda: list(stub.List(pb.ListRequest(token="avma:index:Sofa"))),
        lambda: stub.Invoke(pb.InvokeRequest(tok="avma:index:getSofa")),
        lambda: stub.Check(pb.CheckRequest(urn=URN, type="avma:index:Sofa")),
        lambda: stub.Create(pb.CreateRequest(urn=URN, type="avma:index:Sofa")),
    ):
        assert_explained(refused(call), "unsupported")
    assert_explained(refused(lambda: calls.create({"room": "lab", "label": ASSET})), "invalid-input")
    query = pb.ListRequest(token="avma:index:VmActivation", query=struct({"host": "10.0.0.011"}))
    assert_explained(refused(lambda: list(stub.List(query))), "invalid-host")


def test_a_configuration_that_is_missing_or_wrong(
    unconfigured: Calls, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert_explained(refused(lambda: unconfigured.create({"room": "lab"})), "configuration")
    demanding = Provider(shelf, Demanding)
    try:
        assert_explained(refused(lambda: Calls(demanding).configure()), "configuration")
    finally:
        demanding.stop()
    assert_explained(refused(lambda: unconfigured.configure(port=99999)), "invalid-input")
    monkeypatch.setenv("AVMA_PORT", "many")
    assert_explained(refused(lambda: unconfigured.configure()), "invalid-input")


def kinds() -> list[type[errors.AvmaError]]:
    found = [errors.AvmaError]
    for kind in found:
        found += kind.__subclasses__()
    return [kind for kind in found if kind not in (errors.AvmaError, errors.PartlyDone)]


def example(kind: type[errors.AvmaError]) -> errors.AvmaError:
    return kind(*PARTS, code=5) if issubclass(kind, errors.WsmanFault) else kind(*PARTS)


def operations(calls: Calls) -> list[Callable[[], Any]]:
    stored = struct({"room": "lab"})
    return [
        lambda: calls.create({"room": "lab"}),
        lambda: calls.read("lab", inputs=stored, properties=stored),
        lambda: calls.read("lab"),
        lambda: calls.update({"room": "lab"}, {"room": "attic"}),
        lambda: calls.delete({"room": "lab"}),
    ]


@pytest.mark.parametrize("kind", kinds(), ids=lambda kind: kind.__name__)
def test_errors_of_the_core_in_each_call(calls: Calls, shelf: Shelf, kind: type[errors.AvmaError]) -> None:
    def script(_name: str, _operation: Operation) -> None:
        raise example(kind)

    shelf.script = script
    for call in operations(calls):
        assert_explained(refused(call), example(kind).topic)


def test_bugs(calls: Calls, shelf: Shelf) -> None:
    def script(_name: str, _operation: Operation) -> None:
        raise ValueError("x")

    shelf.script = script
    for call in operations(calls):
        assert_explained(refused(call), "internal-error")


def test_an_error_of_one_machine_that_does_not_end_a_refresh(calls: Calls, shelf: Shelf, engine: FakeEngine) -> None:
    def script(_name: str, operation: Operation) -> None:
        operation.warn_of("n1", errors.LogonRefused(*PARTS))
        operation.warn_of("n2", errors.Unreachable(*PARTS))

    shelf.script = script
    stored = struct({"room": "lab"})
    calls.read("lab", inputs=stored, properties=stored)
    calls.read("lab")
    warnings = [message for severity, message, _, _ in engine.lines if severity == "WARNING"]
    assert [message.partition(":")[0] for message in warnings] == ["n1", "n2", "n1", "n2"]
    assert ["`--run-program`" in message for message in warnings] == [True, False, False, False]
    for message in warnings:
        assert_explained(message)
