"""The properties of a resource as the engine stores them, with external names and marks on secrets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from google.protobuf.struct_pb2 import Struct

from avma.properties import dump
from avma.resources.resource import Resource
from pulumi_resource_avma.names import external
from pulumi_resource_avma.values import Secrets, declared_secrets, encode


def encode_inputs(resource: Resource, inputs: Mapping[str, Any], secrets: Secrets) -> Struct:
    """Encode inputs of the core. `secrets` and the declared secrets are marked."""
    written = external(inputs, resource.inputs)
    return encode(written, secrets | declared_secrets(written, resource.inputs))


def encode_outputs(resource: Resource, inputs: Mapping[str, Any], outputs: Any, secrets: Secrets) -> Struct:
    """Encode inputs of the core and an instance of the outputs class as one state."""
    return encode_state(resource, {**inputs, **dump(outputs)}, secrets)


def encode_state(resource: Resource, state: Mapping[str, Any], secrets: Secrets) -> Struct:
    """Encode a state of the core: inputs and outputs."""
    records = resource.inputs, resource.outputs
    written = external(state, *records)
    return encode(written, secrets | declared_secrets(written, *records))
