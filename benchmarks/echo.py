"""A program that serves Check and Diff with the gRPC library alone: it returns the inputs, and no changes."""

from __future__ import annotations

import asyncio

import grpc

from pulumi_resource_avma.protocol import provider_pb2 as pb
from pulumi_resource_avma.protocol import provider_pb2_grpc

_Context = grpc.aio.ServicerContext[object, object]


class Echo(provider_pb2_grpc.ResourceProviderServicer):
    """The two calls."""

    async def Check(self, request: pb.CheckRequest, _: _Context) -> pb.CheckResponse:
        """Return the inputs."""
        return pb.CheckResponse(inputs=request.news)

    async def Diff(self, _request: pb.DiffRequest, _: _Context) -> pb.DiffResponse:
        """Return no changes."""
        return pb.DiffResponse(changes=pb.DiffResponse.DIFF_NONE)


async def main() -> None:
    """Print the port, and serve until a signal."""
    server = grpc.aio.server()
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(Echo(), server)
    print(server.add_insecure_port("127.0.0.1:0"), flush=True)
    await server.start()
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(main())
