"""The generated messages and stubs of Pulumi's provider protocol, without the rest of Pulumi's Python SDK.

`pulumi.runtime.proto` imports all of `pulumi`. A plugin never uses it, and every `pulumi` command would start more
slowly. The submodules of this module are the same files, which load in milliseconds. protobuf creates the same classes
either way.
"""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING

__all__ = ["engine_pb2", "engine_pb2_grpc", "plugin_pb2", "provider_pb2", "provider_pb2_grpc", "status_pb2"]

if TYPE_CHECKING:
    from pulumi.runtime.proto import (
        engine_pb2,
        engine_pb2_grpc,
        plugin_pb2,
        provider_pb2,
        provider_pb2_grpc,
        status_pb2,
    )
else:
    _SDK = importlib.util.find_spec("pulumi")
    __path__ = [f"{folder}/runtime/proto" for folder in _SDK.submodule_search_locations]
