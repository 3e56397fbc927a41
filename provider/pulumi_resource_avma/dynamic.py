"""`HostLicense`, `VmActivation` and `ClusterActivation` as dynamic resources, for Python programs without a plugin.

The pickled provider in the state contains only the name of a resource of the core. Connection settings come from the
resource's arguments and from the environment variables `AVMA_*` of the engine's process. Each call becomes the same
request as in the plugin, so both behave alike.

Pulumi's protocol for dynamic resources has no partial failures, no preview by the provider, and no log. If a resource
fails after its first change on a machine, the state does not contain it. The next `pulumi up` adopts the changes.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, TypeVar

import pulumi
from google.protobuf.struct_pb2 import Struct
from pulumi import dynamic

from avma import resources
from avma.properties import Property, properties
from avma.redaction import Redactor
from avma.wording import camel_case
from pulumi_resource_avma import PACKAGE
from pulumi_resource_avma.grpc_errors import status_of
from pulumi_resource_avma.lifecycle import Lifecycle
from pulumi_resource_avma.operations import Operations
from pulumi_resource_avma.protocol import provider_pb2 as pb
from pulumi_resource_avma.provider_config import ProviderConfig
from pulumi_resource_avma.session import Session
from pulumi_resource_avma.values import decode, encode
from pulumi_resource_avma.wording import PULUMI

Values = dict[str, Any]
Q = TypeVar("Q")
A = TypeVar("A")

_CORE = {resource.name: resource for resource in resources.RESOURCES}


class Failed(Exception):
    """The text of an error for the engine, without secrets. Pulumi's SDK prints it below a traceback."""


class _Resource(dynamic.Resource):
    """A resource of the core with Python names."""

    def __init__(self, name: str, opts: pulumi.ResourceOptions | None = None, **arguments: Any) -> None:
        core = type(self).__name__
        super().__init__(_Provider(core), name, _declared(core, arguments), opts)

    def translate_input_property(self, prop: str) -> str:
        """Return the core's name of a property. Names that begin with two underscores belong to Pulumi."""
        return prop if prop.startswith("__") else camel_case(prop)

    def translate_output_property(self, prop: str) -> str:
        """Return the Python name of a property."""
        return _attribute(type(self).__name__, prop)


class HostLicense(_Resource, module=PACKAGE, name="HostLicense"):
    """The license of a Hyper-V host. Arguments and outputs are the plugin's, in snake case."""

    host: pulumi.Output[str]
    partial_product_key: pulumi.Output[str]
    status: pulumi.Output[str]


class VmActivation(_Resource, module=PACKAGE, name="VmActivation"):
    """The activation of a guest by its host. Arguments and outputs are the plugin's, in snake case."""

    activated_by_host: pulumi.Output[str | None]
    vm_id: pulumi.Output[str]
    vm_name: pulumi.Output[str]


class ClusterActivation(_Resource, module=PACKAGE, name="ClusterActivation"):
    """The activation of all guests of a cluster. Arguments and outputs are the plugin's, in snake case.

    The objects in `guest_activations` and `named_guests` have the names of the plugin, such as `vmName`.
    """

    activated: pulumi.Output[int]
    guest_activations: pulumi.Output[list[dict[str, Any]]]
    named_guests: pulumi.Output[list[dict[str, Any]] | None]
    not_activated: pulumi.Output[int]
    not_applicable: pulumi.Output[int]


class _Provider(dynamic.ResourceProvider):
    """One resource of the core behind Pulumi's interface. Pulumi pickles it, so it contains only a name."""

    serialize_as_secret_always: ClassVar[bool] = False  # type: ignore[misc]  # there is no secret in a name

    def __init__(self, resource: str) -> None:
        super().__init__()
        self.resource = resource

    def check(self, _olds: Values, news: Values) -> dynamic.CheckResult:
        request = pb.CheckRequest(type=self._type, news=_struct(news))
        failures = self._call(Lifecycle.check, request).failures
        return dynamic.CheckResult(news, [dynamic.CheckFailure(each.property, each.reason) for each in failures])

    def diff(self, _id: str, _olds: Values, _news: Values) -> dynamic.DiffResult:
        request = pb.DiffRequest(
            type=self._type, id=_id, olds=_struct(_olds), old_inputs=self._inputs(_olds), news=_struct(_news)
        )
        found = self._call(Lifecycle.diff, request)
        return dynamic.DiffResult(
            changes=bool(found.diffs),
            replaces=list(found.replaces),
            delete_before_replace=found.deleteBeforeReplace,
        )

    def create(self, props: Values) -> dynamic.CreateResult:
        request = pb.CreateRequest(type=self._type, properties=_struct(props))
        made = self._call(Lifecycle.create, request)
        return dynamic.CreateResult(made.id, _plain(made.properties))

    def read(self, id_: str, props: Values) -> dynamic.ReadResult:
        request = pb.ReadRequest(type=self._type, id=id_, properties=_struct(props), inputs=self._inputs(props))
        found = self._call(Lifecycle.read, request)
        return dynamic.ReadResult(found.id, _plain(found.properties), _plain(found.inputs))

    def update(self, _id: str, _olds: Values, _news: Values) -> dynamic.UpdateResult:
        request = pb.UpdateRequest(
            type=self._type, id=_id, olds=_struct(_olds), old_inputs=self._inputs(_olds), news=_struct(_news)
        )
        return dynamic.UpdateResult(_plain(self._call(Lifecycle.update, request).properties))

    def delete(self, _id: str, _props: Values) -> None:
        # Pulumi does not pass the URN here. Error messages name a command that contains it.
        request = pb.DeleteRequest(
            type=self._type, id=_id, urn="URN", properties=_struct(_props), old_inputs=self._inputs(_props)
        )
        self._call(Lifecycle.delete, request)

    @property
    def _type(self) -> str:
        return f"{PACKAGE}:index:{self.resource}"

    def _inputs(self, state: Values) -> Struct:
        """Return the inputs in a state. The protocol of dynamic resources passes only the outputs."""
        names = {camel_case(prop.name) for prop in properties(_CORE[self.resource].inputs)}
        return encode({name: value for name, value in state.items() if name in names})

    def _call(self, method: Callable[[Lifecycle, Q], A], request: Q) -> A:
        try:
            return method(_lifecycle(), request)
        except Exception as error:
            raise Failed(status_of(error, _session().redact).message) from None


@functools.cache
def _session() -> Session:
    return Session(Redactor(PULUMI))


@functools.cache
def _lifecycle() -> Lifecycle:
    """Return the lifecycle of the process. The first call configures it from the environment."""
    session = _session()
    ProviderConfig(session).configure(pb.ConfigureRequest())
    return Lifecycle(session, Operations(session), resources.RESOURCES)


def _struct(values: Values) -> Struct:
    return encode({name: value for name, value in values.items() if name != dynamic.dynamic.PROVIDER_KEY})


def _plain(struct: Struct) -> Values:
    """Return values without secret marks. The engine restores the marks of its inputs."""
    return decode(struct).values


def _declared(resource: str, arguments: Mapping[str, Any]) -> Values:
    """Return the arguments with secrets marked, and a placeholder for each output."""
    places = dict.fromkeys(prop.name for prop in properties(_CORE[resource].outputs))
    return {**places, **_marked(_CORE[resource].inputs, arguments)}


def _marked(record: type, values: Mapping[str, Any]) -> Values:
    declared = {camel_case(prop.name): prop for prop in properties(record)}
    return {name: _marked_value(declared.get(camel_case(name)), value) for name, value in values.items()}


def _marked_value(prop: Property | None, value: Any) -> Any:
    if prop is None or value is None:
        return value
    if prop.record is not None and isinstance(value, Mapping):
        return _marked(prop.record, value)
    if prop.collection is dict and prop.item.record is not None and isinstance(value, Mapping):
        return {name: _marked_value(prop.item, each) for name, each in value.items()}
    # An object from another resource's outputs can contain a secret as well.
    return pulumi.Output.secret(value) if prop.rule.secret or prop.holds_records else value


def _attribute(resource: str, name: str) -> str:
    core = _CORE[resource]
    names = {camel_case(prop.name): prop.name for record in (core.inputs, core.outputs) for prop in properties(record)}
    return names.get(name, name)
