"""The gRPC service: one short method for each call of the protocol.

The event loop answers calls that do not wait. Each blocking call runs in a thread, so `Cancel` works at any time. Only
this module converts errors to statuses.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

import grpc
from google.protobuf.empty_pb2 import Empty
from grpc import StatusCode

from pulumi_resource_avma import __version__
from pulumi_resource_avma.protocol import plugin_pb2, provider_pb2_grpc
from pulumi_resource_avma.protocol import provider_pb2 as pb
from pulumi_resource_avma.session import Session

if TYPE_CHECKING:
    from avma.configuration import Configuration
    from avma.resources.resource import Resource
    from pulumi_resource_avma.functions import Functions
    from pulumi_resource_avma.grpc_errors import Declined
    from pulumi_resource_avma.lifecycle import Lifecycle
    from pulumi_resource_avma.operations import Operations
    from pulumi_resource_avma.provider_config import ProviderConfig

WORKERS = 10_000
"""The maximum of threads. The engine limits its calls (`--parallel`). Some wait for others, so none may queue here."""

_log = logging.getLogger(__name__)

R = TypeVar("R")
Context = grpc.aio.ServicerContext[Any, Any]
Method = Callable[[Any, Any, Context], Awaitable[R]]


def all_resources() -> Iterable[Resource]:
    """Return the core's resources."""
    from avma.resources import RESOURCES

    return RESOURCES


def core_configuration() -> type[Configuration]:
    """Return the core's record of the provider's configuration."""
    from avma.configuration import Configuration

    return Configuration


def answer(method: Method[R]) -> Method[R]:
    """Convert every error of the method to a status."""

    @functools.wraps(method)
    async def answered(self: Servicer, request: Any, context: Context) -> R:
        try:
            return await method(self, request, context)
        except Exception as error:
            await self.refuse(error, context)
            raise

    return answered


class Servicer(provider_pb2_grpc.ResourceProviderServicer):
    """The resource provider.

    It imports a module of the provider in the first call that needs the module. So a plugin starts quickly, and
    returns its schema without the resources.
    """

    def __init__(
        self,
        session: Session,
        resources: Callable[[], Iterable[Resource]] = all_resources,
        configuration: Callable[[], type[Configuration]] = core_configuration,
        workers: int = WORKERS,
    ) -> None:
        self._session = session
        self._resources = resources
        self._configuration = configuration
        self._workers = ThreadPoolExecutor(workers, thread_name_prefix="operation")
        self.call_lost = asyncio.Event()
        """Set when the engine was killed or has ended a call."""

    @functools.cached_property
    def _provider_config(self) -> ProviderConfig:
        from pulumi_resource_avma.provider_config import ProviderConfig

        return ProviderConfig(self._session, self._configuration())

    @functools.cached_property
    def _operations(self) -> Operations:
        from pulumi_resource_avma.operations import Operations

        return Operations(self._session)

    @functools.cached_property
    def _lifecycle(self) -> Lifecycle:
        from pulumi_resource_avma.lifecycle import Lifecycle

        return Lifecycle(self._session, self._operations, self._resources())

    @functools.cached_property
    def _functions(self) -> Functions:
        from avma.functions import FUNCTIONS
        from pulumi_resource_avma.functions import Functions

        return Functions(self._session, self._operations, FUNCTIONS)

    def cancel(self) -> None:
        """Request the end of every operation."""
        self._session.cancel()

    def close(self) -> None:
        """Release everything without waiting for running operations."""
        self._workers.shutdown(wait=False, cancel_futures=True)
        if "_operations" in self.__dict__:
            self._operations.close()
        self._session.log.close()

    @answer
    async def Handshake(self, request: pb.ProviderHandshakeRequest, _: Context) -> pb.ProviderHandshakeResponse:
        """Start a run."""
        self._begin(request.engine_address)
        return pb.ProviderHandshakeResponse(accept_secrets=True, accept_resources=True, accept_outputs=True)

    @answer
    async def Attach(self, request: plugin_pb2.PluginAttach, _: Context) -> Empty:
        """Start a run of an engine that did not start this process."""
        self._begin(request.address)
        return Empty()

    @answer
    async def Cancel(self, _request: Empty, _: Context) -> Empty:
        """Request the end of every operation. The process continues until the engine ends it."""
        self._session.cancel()
        return Empty()

    @answer
    async def GetPluginInfo(self, _request: Empty, _: Context) -> plugin_pb2.PluginInfo:
        """Return the version."""
        return plugin_pb2.PluginInfo(version=__version__)

    @answer
    async def GetSchema(self, _request: pb.GetSchemaRequest, _: Context) -> pb.GetSchemaResponse:
        """Return the schema of the package."""
        from pulumi_resource_avma.packaged_schema import schema_text

        return pb.GetSchemaResponse(schema=schema_text(__version__))

    @answer
    async def GetMapping(self, _request: pb.GetMappingRequest, _: Context) -> pb.GetMappingResponse:
        """Return no mapping, as the provider does not replace one of another tool."""
        return pb.GetMappingResponse()

    @answer
    async def GetMappings(self, _request: pb.GetMappingsRequest, _: Context) -> pb.GetMappingsResponse:
        """Return no mappings."""
        return pb.GetMappingsResponse()

    @answer
    async def CheckConfig(self, request: pb.CheckRequest, _: Context) -> pb.CheckResponse:
        """Validate the provider's configuration."""
        return self._provider_config.check(request)

    @answer
    async def DiffConfig(self, request: pb.DiffRequest, _: Context) -> pb.DiffResponse:
        """Compare two configurations of the provider."""
        return self._provider_config.diff(request)

    @answer
    async def Configure(self, request: pb.ConfigureRequest, _: Context) -> pb.ConfigureResponse:
        """Apply the provider's configuration."""
        await self._in_pool(self._configure, request)
        return pb.ConfigureResponse(acceptSecrets=True, supportsPreview=True, acceptResources=True, acceptOutputs=True)

    @answer
    async def Check(self, request: pb.CheckRequest, _: Context) -> pb.CheckResponse:
        """Validate a resource's inputs."""
        return await self._at_once_or_in_pool(self._lifecycle.check, request)

    @answer
    async def Diff(self, request: pb.DiffRequest, _: Context) -> pb.DiffResponse:
        """Compare a resource's inputs and state."""
        return await self._at_once_or_in_pool(self._lifecycle.diff, request)

    @answer
    async def Create(self, request: pb.CreateRequest, _: Context) -> pb.CreateResponse:
        """Create a resource."""
        return await self._in_pool(self._lifecycle.create, request)

    @answer
    async def Read(self, request: pb.ReadRequest, _: Context) -> pb.ReadResponse:
        """Return the current state of a resource."""
        return await self._in_pool(self._lifecycle.read, request)

    @answer
    async def Update(self, request: pb.UpdateRequest, _: Context) -> pb.UpdateResponse:
        """Update a resource."""
        return await self._in_pool(self._lifecycle.update, request)

    @answer
    async def Delete(self, request: pb.DeleteRequest, _: Context) -> Empty:
        """Delete a resource."""
        await self._in_pool(self._lifecycle.delete, request)
        return Empty()

    @answer
    async def Invoke(self, request: pb.InvokeRequest, _: Context) -> pb.InvokeResponse:
        """Call a function."""
        return await self._in_pool(self._functions.invoke, request)

    @answer
    async def Parameterize(self, _request: pb.ParameterizeRequest, _: Context) -> pb.ParameterizeResponse:
        """Reject the call: there is only one schema."""
        raise _unsupported("the provider takes no parameters")

    @answer
    async def Construct(self, _request: pb.ConstructRequest, _: Context) -> pb.ConstructResponse:
        """Reject the call: the provider has no components."""
        raise _unsupported("the provider has no components")

    @answer
    async def Call(self, _request: pb.CallRequest, _: Context) -> pb.CallResponse:
        """Reject the call: resources have no methods."""
        raise _unsupported("the provider's resources have no methods")

    async def List(self, request: pb.ListRequest, context: Context) -> AsyncIterator[pb.ListResponse]:
        """Find resources for import."""
        for response in await self._list(request, context):
            yield response

    @answer
    async def _list(self, request: pb.ListRequest, _: Context) -> Sequence[pb.ListResponse]:
        return await self._in_pool(self._functions.list, request)

    def _begin(self, engine_address: str) -> None:
        self._session.begin(engine_address)
        if "_operations" in self.__dict__:
            self._operations.leave()

    def _configure(self, request: pb.ConfigureRequest) -> None:
        """Apply the configuration and import the resources.

        This must not run on the event loop, as a warning waits for the engine and the import is slow.
        """
        self._provider_config.configure(request)
        self._resources()

    async def refuse(self, error: Exception, context: Context) -> None:
        """End the call with the status of an error."""
        from pulumi_resource_avma import grpc_errors

        if grpc_errors.is_bug(error):
            _log.error("unexpected error", exc_info=error)
        told = grpc_errors.status_of(error, self._session.redact)
        details = (("grpc-status-details-bin", told.SerializeToString()),) if told.details else ()
        await context.abort(grpc_errors.code_of(told), told.message, details)

    async def _at_once_or_in_pool(self, call: Callable[..., R], request: Any) -> R:
        """Run a call that seldom waits for other processes or for machines.

        A thread costs as much as the whole call, so the event loop runs it unless it must wait.
        """
        from avma.resources.claims import MustWait

        try:
            return call(request, wait=False)
        except MustWait:
            return await self._in_pool(call, request)

    async def _in_pool(self, call: Callable[[Any], R], request: Any) -> R:
        cancellation = self._session.begin_call()
        context = contextvars.copy_context()
        try:
            return await asyncio.get_running_loop().run_in_executor(self._workers, context.run, call, request)
        except asyncio.CancelledError:
            # The engine was killed or has ended the call. The thread continues, but must not change anything more.
            cancellation.set()
            self.call_lost.set()
            raise


def _unsupported(what: str) -> Declined:
    from avma import topics
    from pulumi_resource_avma.grpc_errors import Declined

    return Declined(StatusCode.UNIMPLEMENTED, what, topics.UNSUPPORTED)
