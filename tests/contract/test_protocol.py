"""The installed SDK contains all used parts of the protocol. Its stubs are not a documented interface."""

from __future__ import annotations

import pytest
from google.protobuf.message import Message

from pulumi_resource_avma.protocol import engine_pb2, plugin_pb2, provider_pb2, provider_pb2_grpc

FIELDS: dict[type[Message], str] = {
    engine_pb2.LogRequest: "severity message urn ephemeral",
    plugin_pb2.PluginAttach: "address",
    plugin_pb2.PluginInfo: "version",
    provider_pb2.ProviderHandshakeRequest: "engine_address",
    provider_pb2.ProviderHandshakeResponse: "accept_secrets accept_resources accept_outputs",
    provider_pb2.GetSchemaResponse: "schema",
    provider_pb2.ConfigureRequest: "urn args",
    provider_pb2.ConfigureResponse: "acceptSecrets supportsPreview acceptResources acceptOutputs",
    provider_pb2.ConfigureErrorMissingKeys: "missingKeys",
    provider_pb2.ConfigureErrorMissingKeys.MissingKey: "name description",
    provider_pb2.InvokeRequest: "tok",
    provider_pb2.CheckRequest: "urn type news",
    provider_pb2.CheckResponse: "inputs failures",
    provider_pb2.CheckFailure: "property reason",
    provider_pb2.DiffRequest: "urn type olds old_inputs news ignoreChanges",
    provider_pb2.DiffResponse: "changes diffs replaces detailedDiff hasDetailedDiff",
    provider_pb2.PropertyDiff: "kind inputDiff",
    provider_pb2.CreateRequest: "urn type properties timeout preview",
    provider_pb2.CreateResponse: "id properties",
    provider_pb2.ReadRequest: "id urn type properties inputs timeout",
    provider_pb2.ReadResponse: "id properties inputs",
    provider_pb2.UpdateRequest: "id urn type olds old_inputs news timeout preview",
    provider_pb2.UpdateResponse: "properties",
    provider_pb2.DeleteRequest: "id urn type properties old_inputs timeout",
    provider_pb2.ErrorResourceInitFailed: "id properties inputs reasons",
}
METHODS = (
    "Attach Call Cancel Check CheckConfig Configure Construct Create Delete Diff DiffConfig GetMapping GetMappings "
    "GetPluginInfo GetSchema Handshake Invoke List Parameterize Read Update"
)


@pytest.mark.parametrize("message", FIELDS, ids=lambda message: message.DESCRIPTOR.name)
def test_fields(message: type[Message]) -> None:
    assert set(FIELDS[message].split()) <= set(message.DESCRIPTOR.fields_by_name)


def test_every_call_is_answered_by_a_method_of_ours() -> None:
    from pulumi_resource_avma.servicer import Servicer

    offered = {name for name in vars(provider_pb2_grpc.ResourceProviderServicer) if not name.startswith("_")}
    assert offered == set(METHODS.split())
    assert offered <= set(vars(Servicer))


def test_the_messages_are_those_of_the_sdk() -> None:
    from pulumi.runtime.proto import provider_pb2 as of_the_sdk

    assert provider_pb2.CheckRequest is of_the_sdk.CheckRequest
