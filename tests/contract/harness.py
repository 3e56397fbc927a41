"""The provider and a fake engine on real sockets, with short request helpers."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Mapping
from concurrent import futures
from typing import Any

import grpc
from google.protobuf.empty_pb2 import Empty
from google.protobuf.struct_pb2 import Struct

from avma.configuration import Configuration
from avma.redaction import Redactor
from avma.resources.resource import Resource
from pulumi_resource_avma.protocol import engine_pb2, engine_pb2_grpc, provider_pb2_grpc, status_pb2
from pulumi_resource_avma.protocol import provider_pb2 as pb
from pulumi_resource_avma.server import GrpcServer
from pulumi_resource_avma.servicer import Servicer, all_resources
from pulumi_resource_avma.session import Session
from pulumi_resource_avma.values import SECRET, SIGNATURE, UNKNOWN_STRING
from pulumi_resource_avma.wording import PULUMI
from waiting import PATIENCE

TYPE = "avma:index:Shelf"
URN = f"urn:pulumi:dev::test::{TYPE}::s"
PROVIDER_URN = "urn:pulumi:dev::test::pulumi:providers:avma::default"
UNRENDERED = re.compile("[\ufdd0-\ufdef]")
"""The marks of a part of a text that no front end has rendered."""


def struct(values: Mapping[str, Any]) -> Struct:
    """Convert values to a Struct. Marks stay."""
    message = Struct()
    message.update(values)
    return message


def plain(message: Struct) -> dict[str, Any]:
    """Convert a Struct to Python values. Marks stay."""
    return {name: _plain(value) for name, value in message.fields.items()}


def _plain(value: Any) -> Any:
    kind = value.WhichOneof("kind")
    if kind == "struct_value":
        return plain(value.struct_value)
    if kind == "list_value":
        return [_plain(item) for item in value.list_value.values]
    plain_value = None if kind == "null_value" else getattr(value, kind)
    assert not UNRENDERED.search(str(plain_value)), plain_value
    return plain_value


def secret(value: Any) -> dict[str, Any]:
    """Mark a value as secret."""
    return {SIGNATURE: SECRET, "value": value}


UNKNOWN = UNKNOWN_STRING


class FakeEngine(engine_pb2_grpc.EngineServicer):
    """An engine with a record of log lines: severity, message, URN, and True for a status."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str, str, bool]] = []
        self._server = grpc.server(futures.ThreadPoolExecutor(4))
        engine_pb2_grpc.add_EngineServicer_to_server(self, self._server)
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()

    def Log(self, request: engine_pb2.LogRequest, context: grpc.ServicerContext) -> Empty:
        severity = engine_pb2.LogSeverity.Name(request.severity)
        self.lines.append((severity, request.message, request.urn, request.ephemeral))
        return Empty()

    def stop(self) -> None:
        self._server.stop(None).wait()


class Provider:
    """The provider in its own thread, and a stub for calls. Without `resource` it has the core's resources."""

    def __init__(
        self, resource: Resource | None = None, configuration: type[Configuration] = Configuration, workers: int = 8
    ) -> None:
        self.session = Session(Redactor(PULUMI))
        resources = all_resources if resource is None else lambda: (resource,)
        self._servicer = Servicer(self.session, resources, lambda: configuration, workers)
        self._started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))
        self._thread.start()
        assert self._started.wait(PATIENCE)
        self.channel = grpc.insecure_channel(f"127.0.0.1:{self.port}")
        self.stub = provider_pb2_grpc.ResourceProviderStub(self.channel)

    def stop(self) -> None:
        self.channel.close()
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(PATIENCE)

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        server = GrpcServer(self._servicer)
        self.port = await server.start()
        self._started.set()
        await self._stop.wait()
        await server.stop(grace=0)


def failure(error: grpc.RpcError) -> tuple[grpc.StatusCode, str]:
    """Return the code and message of a failed call."""
    return error.code(), error.details() or ""


def details(error: grpc.RpcError) -> list[bytes]:
    """Return the serialized status details of a failed call."""
    return [entry.value for entry in error.trailing_metadata() if entry.key == "grpc-status-details-bin"]


def detail(error: grpc.RpcError, message: Any) -> Any:
    """Return the status detail of a failed call, unpacked into the message."""
    status = status_pb2.Status.FromString(details(error)[0])
    assert (status.code, status.message) == (error.code().value[0], error.details())
    assert status.details[0].Unpack(message)
    return message


class Calls:
    """The provider's calls about the shelf, with plain values as arguments and results."""

    def __init__(self, provider: Provider) -> None:
        self.provider = provider
        self.stub = provider.stub

    def configure(self, **values: Any) -> pb.ConfigureResponse:
        response: pb.ConfigureResponse = self.stub.Configure(pb.ConfigureRequest(args=struct(values), urn=PROVIDER_URN))
        return response

    def check_config(self, values: Mapping[str, Any]) -> pb.CheckResponse:
        response: pb.CheckResponse = self.stub.CheckConfig(pb.CheckRequest(urn=PROVIDER_URN, news=struct(values)))
        return response

    def check(self, news: Mapping[str, Any], olds: Mapping[str, Any] | None = None) -> pb.CheckResponse:
        response: pb.CheckResponse = self.stub.Check(
            pb.CheckRequest(urn=URN, type=TYPE, olds=struct(olds or {}), news=struct(news))
        )
        return response

    def diff(
        self,
        old: Mapping[str, Any],
        new: Mapping[str, Any],
        state: Mapping[str, Any] | None = None,
        ignore: tuple[str, ...] = (),
    ) -> pb.DiffResponse:
        olds = struct({**old, **(state or {})})
        request = pb.DiffRequest(
            id="1", urn=URN, type=TYPE, olds=olds, old_inputs=struct(old), news=struct(new), ignoreChanges=ignore
        )
        response: pb.DiffResponse = self.stub.Diff(request)
        return response

    def create(self, values: Mapping[str, Any], **more: Any) -> pb.CreateResponse:
        response: pb.CreateResponse = self.stub.Create(
            pb.CreateRequest(urn=URN, type=TYPE, properties=struct(values), **more)
        )
        return response

    def read(self, identifier: str, **more: Any) -> pb.ReadResponse:
        response: pb.ReadResponse = self.stub.Read(pb.ReadRequest(id=identifier, urn=URN, type=TYPE, **more))
        return response

    def update(self, old: Mapping[str, Any], new: Mapping[str, Any], **more: Any) -> pb.UpdateResponse:
        request = pb.UpdateRequest(
            id="lab", urn=URN, type=TYPE, olds=struct(old), old_inputs=struct(old), news=struct(new), **more
        )
        response: pb.UpdateResponse = self.stub.Update(request)
        return response

    def delete(self, values: Mapping[str, Any], **more: Any) -> None:
        request = pb.DeleteRequest(
            id="lab", urn=URN, type=TYPE, properties=struct(values), old_inputs=struct(values), **more
        )
        self.stub.Delete(request)
