"""Handshake, Attach, Cancel and GetPluginInfo."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from queue import Queue
from typing import Any

import grpc
import pytest
from google.protobuf.empty_pb2 import Empty

from avma import errors
from avma.resources.resource import Operation
from avma.windows.machines import Machines
from contract.harness import UNKNOWN, Calls, FakeEngine, Provider, failure, struct
from contract.shelf import Shelf
from pulumi_resource_avma import __version__, servicer
from pulumi_resource_avma.engine import EngineHandler
from pulumi_resource_avma.protocol import plugin_pb2
from pulumi_resource_avma.protocol import provider_pb2 as pb
from systems import posix_only
from waiting import PATIENCE


def test_handshake_and_configure_promise_the_same(unconfigured: Calls, engine: FakeEngine) -> None:
    shaken = unconfigured.stub.Handshake(
        pb.ProviderHandshakeRequest(engine_address=engine.address, configure_with_urn=True, invoke_with_preview=True)
    )
    configured = unconfigured.configure()

    assert (shaken.accept_secrets, shaken.accept_resources, shaken.accept_outputs) == (True, True, True)
    assert (configured.acceptSecrets, configured.acceptResources, configured.acceptOutputs) == (True, True, True)
    assert configured.supportsPreview
    assert not shaken.supports_autonaming_configuration
    assert not configured.supports_autonaming_configuration
    assert not shaken.accepts_byte_string


def test_version_has_no_leading_v(unconfigured: Calls) -> None:
    assert unconfigured.stub.GetPluginInfo(Empty()).version == __version__
    assert __version__[0].isdigit()


def test_schema_is_served_with_the_version(unconfigured: Calls) -> None:
    schema = json.loads(unconfigured.stub.GetSchema(pb.GetSchemaRequest()).schema)
    assert (schema["name"], schema["version"]) == ("avma", __version__)


def test_there_are_no_mappings(unconfigured: Calls) -> None:
    assert unconfigured.stub.GetMapping(pb.GetMappingRequest(key="terraform")) == pb.GetMappingResponse()
    assert unconfigured.stub.GetMappings(pb.GetMappingsRequest(key="terraform")) == pb.GetMappingsResponse()


@pytest.mark.parametrize(
    ("method", "request_message"),
    [
        ("Parameterize", pb.ParameterizeRequest()),
        ("Construct", pb.ConstructRequest()),
        ("Call", pb.CallRequest()),
    ],
)
def test_what_is_not_offered_is_unimplemented(unconfigured: Calls, method: str, request_message: object) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        getattr(unconfigured.stub, method)(request_message)
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_a_type_that_cannot_be_listed_is_unimplemented(unconfigured: Calls) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        list(unconfigured.stub.List(pb.ListRequest(token="avma:index:ClusterLicense")))
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert "can list avma:index:HostLicense, avma:index:VmActivation" in failure(caught.value)[1]


def test_a_query_of_a_list_is_checked(calls: Calls) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        list(calls.stub.List(pb.ListRequest(token="avma:index:VmActivation", query=struct({"host": "a b"}))))
    assert failure(caught.value)[0] is grpc.StatusCode.INVALID_ARGUMENT
    assert "`host` `a b` is not a host name or an IP address" in failure(caught.value)[1]


def test_a_list_whose_query_is_not_known_yet_is_not_known_either(calls: Calls) -> None:
    request = pb.ListRequest(token="avma:index:VmActivation", query=struct({"host": UNKNOWN}))
    (response,) = calls.stub.List(request)
    assert response.WhichOneof("response") == "computed"


def test_unknown_function_is_named(unconfigured: Calls) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        unconfigured.stub.Invoke(pb.InvokeRequest(tok="avma:index:getMoon", args=struct({})))
    assert failure(caught.value)[0] is grpc.StatusCode.INVALID_ARGUMENT
    assert "avma:index:getMoon" in failure(caught.value)[1]


def test_an_attached_engine_gets_the_log(unconfigured: Calls, engine: FakeEngine) -> None:
    unconfigured.stub.Attach(plugin_pb2.PluginAttach(address=engine.address))
    unconfigured.configure(insecure=True)
    assert [line[0] for line in engine.lines] == ["WARNING"]


def test_the_log_of_the_core_goes_to_the_engines_debug_log(unconfigured: Calls, engine: FakeEngine) -> None:
    session = unconfigured.provider.session
    session.redact.learn(["shelf-pass"])
    session.begin(engine.address)
    handler = EngineHandler(session.log)
    handler.handle(logging.LogRecord("avma.wsman", logging.DEBUG, "", 0, "%s: ok", ("shelf-pass",), None))
    assert engine.lines == [("DEBUG", "avma.wsman: [secret]: ok", "", False)]


@pytest.mark.parametrize("begins", ["Attach", "Handshake"])
def test_the_connections_of_an_engine_end_when_another_one_begins(
    calls: Calls, shelf: Shelf, monkeypatch: pytest.MonkeyPatch, begins: str
) -> None:
    closed: Queue[Machines] = Queue()
    close = Machines.close

    def close_and_tell(machines: Machines) -> None:
        close(machines)
        closed.put(machines)

    monkeypatch.setattr(Machines, "close", close_and_tell)
    used: list[Machines] = []
    shelf.script = lambda _name, operation: used.append(operation.machines)
    calls.create({"room": "lab"})
    address = "127.0.0.1:1"
    if begins == "Attach":
        calls.stub.Attach(plugin_pb2.PluginAttach(address=address))
    else:
        calls.stub.Handshake(pb.ProviderHandshakeRequest(engine_address=address))
    assert closed.get(timeout=PATIENCE) is used[0]
    calls.create({"room": "lab"})
    assert used[1] is not used[0]


def test_an_engine_that_is_gone_fails_nothing(unconfigured: Calls) -> None:
    unconfigured.stub.Handshake(pb.ProviderHandshakeRequest(engine_address="127.0.0.1:1"))
    unconfigured.configure(insecure=True)
    assert unconfigured.create({"room": "lab"}).id == "lab"


@posix_only("Windows has no /proc")
def test_the_plugin_listens_only_on_loopback(provider: Provider) -> None:
    """The address can be that of IPv4 inside IPv6."""
    rows = (Path(f"/proc/self/net/{table}").read_text("utf-8").splitlines()[1:] for table in ("tcp", "tcp6"))
    sockets = [row.split() for table in rows for row in table]
    listening = [socket[1] for socket in sockets if socket[1].endswith(f":{provider.port:04X}") and socket[3] == "0A"]
    assert [address[-13:] for address in listening] == [f"0100007F:{provider.port:04X}"]


def test_large_messages_pass(calls: Calls) -> None:
    label = "x" * (8 * 1024 * 1024)
    options = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
    with grpc.insecure_channel(f"127.0.0.1:{calls.provider.port}", options) as channel:
        calls.stub = type(calls.stub)(channel)
        assert calls.check({"room": "lab", "label": label}).inputs["label"] == label


ENDLESS = 100 * PATIENCE
"""Seconds that an operation would wait by itself, far longer than a test waits for it."""


def error_of(call: grpc.Future[Any]) -> grpc.RpcError:
    """Wait until the call fails, and return its error."""
    error = call.exception(timeout=PATIENCE)
    assert isinstance(error, grpc.RpcError)
    return error


def test_the_plugin_does_not_limit_the_calls_under_way(shelf: Shelf) -> None:
    calls_under_way = 200
    everyone = threading.Barrier(calls_under_way)

    def meet(_name: str, _operation: Operation) -> None:
        everyone.wait(PATIENCE)

    shelf.script = meet
    provider = Provider(shelf, workers=servicer.WORKERS)
    request = pb.CreateRequest(urn="u", type="avma:index:Shelf", properties=struct({"room": "lab"}))
    Calls(provider).configure()
    under_way = [provider.stub.Create.future(request) for _ in range(calls_under_way)]
    assert {call.result(PATIENCE).id for call in under_way} == {"lab"}
    provider.stop()


class Endless:
    """Creations that wait far longer than a test. Only the end of a call or of the run ends them.

    `ends` has the error that ended each of them.
    """

    def __init__(self, shelf: Shelf) -> None:
        self.ends: Queue[errors.AvmaError] = Queue()
        self._begun = threading.Semaphore(0)
        shelf.script = self._wait

    def begin(self, calls: Calls) -> grpc.Future[Any]:
        """Begin a creation, and return its call once it waits."""
        properties = struct({"room": "lab"})
        request = pb.CreateRequest(urn="u", type="avma:index:Shelf", properties=properties, timeout=ENDLESS)
        call: grpc.Future[Any] = calls.stub.Create.future(request)
        assert self._begun.acquire(timeout=PATIENCE)
        return call

    def _wait(self, _name: str, operation: Operation) -> None:
        self._begun.release()
        try:
            operation.deadline.wait(ENDLESS, "wait for the paint", "lab")
        except errors.AvmaError as error:
            self.ends.put(error)
            raise


class TestCancel:
    """Cancel, with every worker busy."""

    WORKERS = 4
    ANSWERED = 10
    """Seconds until `Cancel` is answered. It takes milliseconds, but the tests run on a busy machine."""

    @pytest.fixture
    def provider(self, shelf: Shelf) -> Iterator[Provider]:
        provider = Provider(shelf, workers=self.WORKERS)
        yield provider
        provider.stop()

    @pytest.fixture
    def waiting(self, calls: Calls, shelf: Shelf) -> list[grpc.Future[Any]]:
        """Start one creation for each worker, and one more in the queue."""
        begun = threading.Semaphore(0)

        def wait(_name: str, operation: Operation) -> None:
            begun.release()
            operation.deadline.wait(ENDLESS, "wait for the paint", "lab")

        shelf.script = wait
        request = pb.CreateRequest(urn="u", type="avma:index:Shelf", properties=struct({"room": "lab"}))
        under_way: list[grpc.Future[Any]] = [calls.stub.Create.future(request) for _ in range(self.WORKERS + 1)]
        for _ in range(self.WORKERS):
            assert begun.acquire(timeout=PATIENCE)
        return under_way

    def test_all_that_only_computes_is_answered(self, calls: Calls, waiting: list[grpc.Future[Any]]) -> None:
        calls.stub.Handshake(pb.ProviderHandshakeRequest())
        calls.check({"room": "lab"})
        calls.diff({"room": "lab"}, {"room": "lab"})
        calls.stub.GetPluginInfo(Empty())
        assert not any(call.done() for call in waiting)
        calls.stub.Cancel(Empty())
        assert all(call.exception(timeout=PATIENCE) for call in waiting)

    def test_it_does_not_wait_for_the_operations(self, calls: Calls, shelf: Shelf) -> None:
        begun, over = threading.Event(), threading.Event()

        def wait(_name: str, operation: Operation) -> None:
            begun.set()
            over.wait(PATIENCE)
            operation.deadline.check("paint", "lab")

        shelf.script = wait
        request = pb.CreateRequest(urn="u", type="avma:index:Shelf", properties=struct({"room": "lab"}))
        call = calls.stub.Create.future(request)
        assert begun.wait(PATIENCE)
        calls.stub.Cancel(Empty(), timeout=self.ANSWERED)
        assert not call.done()
        over.set()
        assert error_of(call).code() is grpc.StatusCode.ABORTED

    def test_operations_end_as_cancelled(self, calls: Calls, waiting: list[grpc.Future[Any]]) -> None:
        calls.stub.Cancel(Empty())
        calls.stub.Cancel(Empty())
        for call in waiting:
            code, message = failure(error_of(call))
            assert code is grpc.StatusCode.ABORTED
            assert "the run was canceled" in message

    def test_an_operation_ends_with_its_call_and_others_go_on(self, calls: Calls, shelf: Shelf) -> None:
        endless = Endless(shelf)
        first, second = (endless.begin(calls) for _ in range(2))
        first.cancel()
        assert isinstance(endless.ends.get(timeout=PATIENCE), errors.Cancelled)
        assert not second.done()
        calls.stub.Cancel(Empty())
        assert error_of(second).code() is grpc.StatusCode.ABORTED

    def test_an_operation_ends_with_the_connection_of_its_engine(
        self, calls: Calls, provider: Provider, shelf: Shelf
    ) -> None:
        endless = Endless(shelf)
        # Keep a reference: gRPC cancels an unreferenced call.
        call = endless.begin(calls)
        provider.channel.close()
        assert isinstance(endless.ends.get(timeout=PATIENCE), errors.Cancelled)
        assert call.exception(timeout=PATIENCE)

    def test_the_next_run_of_an_attached_process_is_not_cancelled(
        self, calls: Calls, engine: FakeEngine, shelf: Shelf
    ) -> None:
        shelf.script = lambda _name, operation: operation.deadline.check("paint", "lab")
        calls.stub.Cancel(Empty())
        with pytest.raises(grpc.RpcError, match="cancelled"):
            calls.create({"room": "lab"})
        calls.stub.Handshake(pb.ProviderHandshakeRequest(engine_address=engine.address))
        assert calls.create({"room": "lab"}).id == "lab"
