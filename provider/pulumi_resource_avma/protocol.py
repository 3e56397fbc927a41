"""The generated messages and stubs of Pulumi's provider protocol, without the rest of Pulumi's Python SDK.

`pulumi.runtime.proto` imports all of `pulumi`. A plugin never uses it, and every `pulumi` command would start more
slowly. This module loads the same files as its submodules, which takes milliseconds. protobuf creates the same classes
either way.
"""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path
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
    __path__ = [str(Path(_SDK.origin).parent / "runtime" / "proto")]
    for _name in __all__:
        globals()[_name] = importlib.import_module(f"{__name__}.{_name}")
