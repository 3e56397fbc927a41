"""The calls about resources, from request to response: decode, call the core, encode.

All of it blocks and may run on any thread.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol

from google.protobuf.struct_pb2 import Struct
from grpc import StatusCode

from avma import errors, topics
from avma.properties import UNKNOWN, dump
from avma.resources.claims import Claim, stake
from avma.resources.resource import Change, Operation, Resource, Result, Stored
from pulumi_resource_avma import PACKAGE, diff
from pulumi_resource_avma.grpc_errors import Declined, InitFailed, Noted, check_failures, invalid
from pulumi_resource_avma.names import external, external_failures, external_path
from pulumi_resource_avma.operations import Operations, Replaced, Run
from pulumi_resource_avma.protocol import provider_pb2 as pb
from pulumi_resource_avma.replacement import Replacement, place_of
from pulumi_resource_avma.session import Session
from pulumi_resource_avma.values import NO_SECRETS, Decoded, Secrets, declared_secrets, encode

PROBE_TIMEOUT = 60.0
"""Maximum seconds for the requests of a preview to a machine."""
LOCATE_TIMEOUT = 15.0
"""Maximum seconds for identifying the machines of one resource during a diff."""


class ResourceRequest(Protocol):
    """The common fields of all requests about a resource."""

    urn: str
    type: str


class TimedRequest(ResourceRequest, Protocol):
    """A request with a timeout from the user. 0 means not set."""

    timeout: float


class Lifecycle:
    """The resources of the core, for the calls of the engine."""

    def __init__(self, session: Session, operations: Operations, resources: Iterable[Resource]) -> None:
        self._session = session
        self._operations = operations
        self._resources = {f"{PACKAGE}:index:{resource.name}": resource for resource in resources}

    def check(self, request: pb.CheckRequest) -> pb.CheckResponse:
        """Validate the inputs. Return them unchanged, with all failures."""
        resource = self._resource(request)
        news = self._session.decode(request.news, resource.inputs)
        checked = resource.check(_without_internal(news.values))
        failures = [*news.rejected, *external_failures(checked, resource.inputs)]
        if not failures:
            self._run.wanted[request.urn] = news.values
            if resource.licenses_hosts:
                self._note(request.urn, coming=True)
        return pb.CheckResponse(
            inputs=_encode_inputs(resource, news.values, news.secrets),
            failures=check_failures(failures, self._session.redact),
        )

    def diff(self, request: pb.DiffRequest) -> pb.DiffResponse:
        """Compare the new inputs with the stored inputs and state."""
        resource = self._resource(request)
        stored, _ = self._stored(request, resource, request.olds)
        wanted = self._accepted(request.news, resource).values
        changes = resource.diff(stored, wanted)
        response = diff.response(
            _external_changes(resource, changes),
            external(stored.inputs, resource.inputs),
            external(wanted, resource.inputs),
            request.ignoreChanges,
        )
        if request.urn in self._run.wanted:
            self._claim(request, resource, stored, wanted, response)
        return response

    def create(self, request: pb.CreateRequest) -> pb.CreateResponse:
        """Create the resource, or predict it in a preview."""
        resource = self._resource(request)
        wanted = self._accepted(request.properties, resource)
        if request.preview:
            replaced = self._run.replaced.get(request.urn)
            return pb.CreateResponse(properties=self._predicted(request, resource, wanted, replaced=replaced))
        with _kept_when_partly_done(resource, wanted.secrets), self._settling(request.urn, resource):
            result = resource.create(wanted.values, self._operation(request, resource))
        properties = _encode_outputs(resource, wanted.values, result.outputs, wanted.secrets)
        return pb.CreateResponse(id=result.identifier, properties=properties)

    def read(self, request: pb.ReadRequest) -> pb.ReadResponse:
        """Return the current state of the resource. An empty response means that it no longer exists."""
        resource = self._resource(request)
        stored, secrets = self._stored_for_read(request, resource)
        operation = self._operation(request, resource)
        if stored is not None:
            operation = dataclasses.replace(operation, shown=_of_stored)
        with _kept_when_partly_done(resource, secrets), _explained(stored):
            result = resource.read(request.id, stored, operation)
        if result is None:
            return pb.ReadResponse()
        return pb.ReadResponse(
            id=result.identifier,
            properties=_encode_outputs(resource, result.inputs, result.outputs, secrets),
            inputs=_encode_inputs(resource, result.inputs, secrets),
        )

    def update(self, request: pb.UpdateRequest) -> pb.UpdateResponse:
        """Update the resource, or predict it in a preview."""
        resource = self._resource(request)
        stored, _ = self._stored(request, resource, request.olds)
        wanted = self._accepted(request.news, resource)
        if request.preview:
            return pb.UpdateResponse(properties=self._predicted(request, resource, wanted, request.id))
        with _kept_when_partly_done(resource, wanted.secrets), self._settling(request.urn, resource):
            result = resource.update(request.id, stored, wanted.values, self._operation(request, resource))
        properties = _encode_outputs(resource, wanted.values, result.outputs, wanted.secrets)
        return pb.UpdateResponse(properties=properties)

    def delete(self, request: pb.DeleteRequest) -> None:
        """Delete the resource."""
        resource = self._resource(request)
        stored, _ = self._stored(request, resource, request.properties)
        operation = self._operation(request, resource)
        wanted = self._successor(request, resource)
        try:
            if Replacement(resource, request.id, stored, wanted).stays(operation):
                return
            resource.delete(request.id, stored, operation)
        except (errors.LogonRefused, errors.Refused) as error:
            raise Noted(error, _ways_out(error, request.urn)) from error
        except errors.Unreachable as error:
            if not operation.configuration.delete_unreachable:
                raise Noted(error, _ways_out(error, request.urn, _UNREACHABLE)) from error
            operation.warn(
                error.with_note(
                    "`deleteUnreachable` is set, so the provider forgets the resource and leaves the machine unchanged."
                )
            )

    @property
    def _run(self) -> Run:
        return self._operations.run

    def _claim(
        self,
        request: pb.DiffRequest,
        resource: Resource,
        stored: Stored,
        wanted: Mapping[str, Any],
        found: pb.DiffResponse,
    ) -> None:
        """Claim the machines of a resource that stays on them. If nothing changes, guests do not have to wait for it.

        Raises:
            KeyConflict: another resource of the run wants a different key there.
        """
        if found.replaces:
            self._run.replaced[request.urn] = Replaced(request.id, stored)
            self._note(request.urn, coming=resource.licenses_hosts, replaces=place_of(resource, request.id))
            return
        if resource.licenses_hosts and not found.diffs:
            self._note(request.urn)
        for holding in self._holdings(request, resource, stored, wanted):
            self._stake(request, resource, holding)

    def _stake(self, request: pb.DiffRequest, resource: Resource, holding: Claim, asking: bool = False) -> None:
        claim = dataclasses.replace(holding, resource=request.urn, asking=asking)
        stake(self._run.claims, claim, request.id, f"keep {resource.name}")

    def _holdings(
        self, request: pb.DiffRequest, resource: Resource, stored: Stored, wanted: Mapping[str, Any]
    ) -> list[Claim]:
        """Return the holdings of a resource.

        State of an older version has no machines, so the machines identify themselves.

        A machine stays unknown if a request to it is impossible or if `previewProbe` is false. That setting must also
        apply here, because a diff request does not show whether it belongs to a preview.
        """
        found = resource.holdings(stored, wanted)
        configuration = self._session.configuration
        if all(claim.machine or not claim.installs for claim in found):
            return found
        if configuration is None or not configuration.preview_probe or not resource.askable(wanted):
            return found
        for claim in found:
            if not claim.machine:
                self._stake(request, resource, claim, asking=True)
        operation = self._operations.begin(LOCATE_TIMEOUT, request.urn)
        return resource.located(
            stored, wanted, dataclasses.replace(operation, show_status=_unsaid, show_warning=_unsaid)
        )

    def _successor(self, request: pb.DeleteRequest, resource: Resource) -> Mapping[str, Any] | None:
        """Return the inputs of a resource's successor. Return None without one, or if another process handles it.

        With an alias, the new resource has a different URN. Both have the same type and ID.
        """
        own = self._run.wanted.get(request.urn)
        if own is not None:
            return own
        successors = (urn for urn, replaced in self._run.replaced.items() if replaced.identifier == request.id)
        urn = next((urn for urn in successors if _type_of(urn) == _type_of(request.urn)), "")
        return self._run.wanted.get(urn)

    def _note(self, urn: str, coming: bool = False, replaces: str = "") -> None:
        """Record whether a resource is about to license a host, and which resource it replaces."""
        # Without this record, guests do not wait for the resource. A deletion needs the records and reports their
        # absence.
        with contextlib.suppress(OSError):
            self._run.claims.add(Claim(urn, wants=False, coming=coming, replaces=replaces))

    @contextlib.contextmanager
    def _settling(self, urn: str, resource: Resource) -> Iterator[None]:
        """Release the guests that wait for a resource when its work ends, with or without success."""
        try:
            yield
        finally:
            if resource.licenses_hosts:
                self._note(urn)

    def _predicted(
        self,
        request: TimedRequest,
        resource: Resource,
        wanted: Decoded,
        identifier: str | None = None,
        replaced: Replaced | None = None,
    ) -> Struct:
        """Return the known values. The engine treats missing values as unknown."""
        state = {**wanted.values, **self._foreseen(request, resource, wanted.values, identifier, replaced)}
        certain = {name: value for name, value in state.items() if value is not UNKNOWN}
        return _encode_state(resource, certain, wanted.secrets)

    def _foreseen(
        self,
        request: TimedRequest,
        resource: Resource,
        wanted: Mapping[str, Any],
        identifier: str | None,
        replaced: Replaced | None,
    ) -> dict[str, Any]:
        """Query the machines if possible and not disabled. Turn errors into warnings if the run itself may fix them.

        A run cannot fix a missing machine of an existing resource, or of a replaced one.
        """
        configuration = self._session.configuration
        if configuration is None or not configuration.preview_probe or not resource.askable(wanted):
            self._note(request.urn)
            return resource.predict(wanted)
        operation = self._operation(request, resource, PROBE_TIMEOUT)
        try:
            found = resource.probe(wanted, operation, identifier)
        except errors.PASSING as error:
            self._note(request.urn)
            if isinstance(error, errors.NotFound) and (identifier or replaced):
                raise
            operation.warn(error.with_note("The preview continues without the state of this machine."))
            return resource.predict(wanted)
        if replaced is not None:
            Replacement(resource, replaced.identifier, replaced.stored, wanted).foretell(found, operation)
        return found

    def _resource(self, request: ResourceRequest) -> Resource:
        token = request.type or _type_of(request.urn)
        if token not in self._resources:
            known = ", ".join(sorted(self._resources))
            message = f"the provider has no resource type `{token}`. It has {known}"
            raise Declined(StatusCode.INVALID_ARGUMENT, message, topics.UNSUPPORTED)
        return self._resources[token]

    def _accepted(self, struct: Struct, resource: Resource) -> Decoded:
        """Decode inputs that have passed `check`.

        Raises:
            Declined: the inputs contain unsupported values, as the engine did not call `check` first.
        """
        decoded = self._session.decode(struct, resource.inputs)
        if decoded.rejected:
            raise invalid(decoded.rejected)
        return decoded

    def _stored(
        self, request: pb.DiffRequest | pb.UpdateRequest | pb.DeleteRequest, resource: Resource, outputs: Struct
    ) -> tuple[Stored, Secrets]:
        """Return the stored inputs and outputs. Engines that do not send inputs keep them in the outputs."""
        has_inputs = request.HasField("old_inputs")
        return self._decode_stored(request.old_inputs if has_inputs else outputs, outputs, resource)

    def _stored_for_read(self, request: pb.ReadRequest, resource: Resource) -> tuple[Stored | None, Secrets]:
        """Return the stored inputs and outputs, or None for an import.

        Newer engines send empty objects for an import.
        """
        if not request.inputs.fields and not request.properties.fields:
            return None, NO_SECRETS
        inputs = request.inputs if request.HasField("inputs") else request.properties
        return self._decode_stored(inputs, request.properties, resource)

    def _decode_stored(self, inputs: Struct, outputs: Struct, resource: Resource) -> tuple[Stored, Secrets]:
        old_inputs = self._session.decode(inputs, resource.inputs)
        old_outputs = self._session.decode(outputs, resource.inputs, resource.outputs)
        return Stored(old_inputs.values, old_outputs.values), old_inputs.secrets | old_outputs.secrets

    def _operation(self, request: TimedRequest, resource: Resource, most: float = math.inf) -> Operation:
        return self._operations.begin(min(request.timeout or resource.timeout, most), request.urn)


def _unsaid(_text: str) -> None:
    """Drop a line. Requests that accompany an operation show no status of their own."""


def _type_of(urn: str) -> str:
    """Return the type in `urn:pulumi:STACK::PROJECT::PARENT$TYPE::NAME`, for engines that do not send it."""
    parts = urn.split("::")
    return parts[2].rpartition("$")[2] if len(parts) > 2 else ""


def _without_internal(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values without the engine's own properties."""
    return {name: value for name, value in values.items() if not name.startswith("__")}


def _external_changes(resource: Resource, changes: Iterable[Change]) -> Iterator[Change]:
    for change in changes:
        yield dataclasses.replace(change, path=external_path(change.path, resource.inputs, resource.outputs))


def _encode_inputs(resource: Resource, inputs: Mapping[str, Any], secrets: Secrets) -> Struct:
    written = external(inputs, resource.inputs)
    return encode(written, secrets | declared_secrets(written, resource.inputs))


def _encode_outputs(resource: Resource, inputs: Mapping[str, Any], outputs: Any, secrets: Secrets) -> Struct:
    return _encode_state(resource, {**inputs, **dump(outputs)}, secrets)


def _encode_state(resource: Resource, state: Mapping[str, Any], secrets: Secrets) -> Struct:
    records = resource.inputs, resource.outputs
    written = external(state, *records)
    return encode(written, secrets | declared_secrets(written, *records))


@contextlib.contextmanager
def _kept_when_partly_done(resource: Resource, secrets: Secrets) -> Iterator[None]:
    """Pass a partial state to the engine, so that it is not lost."""
    try:
        yield
    except errors.PartlyDone as partly:
        reached: Result = partly.state
        raise InitFailed(
            reached.identifier,
            _encode_outputs(resource, reached.inputs, reached.outputs, secrets),
            _encode_inputs(resource, reached.inputs, secrets),
            partly,
        ) from partly


_UNREACHABLE = (
    " Or set the environment variable AVMA_DELETE_UNREACHABLE=true for this run. `pulumi destroy` reads "
    "`deleteUnreachable: true` from the configuration only with `--run-program`."
)


_SIGN_IN = (errors.LogonRefused, errors.LogonUncertain)
_STORED = (
    "`pulumi refresh` and `pulumi destroy` use the settings that the last `pulumi up` saved. If the password or a "
    "setting has changed since then, add `--run-program`, or run `pulumi up` first."
)


def _ways_out(error: errors.AvmaError, urn: str, more: str = "") -> str:
    forget = f"To forget the resource and leave the machine unchanged, run `pulumi state delete '{urn}'`.{more}"
    return f"{_STORED} {forget}" if _is_rejected_sign_in(error) else forget


def _is_rejected_sign_in(error: errors.AvmaError) -> bool:
    """Return True if a machine rejected the account. For a cluster, one node is enough."""
    causes = error.causes if isinstance(error, errors.NodesFailed) else (error,)
    return any(isinstance(cause, _SIGN_IN) for cause in causes)


def _of_stored(error: errors.AvmaError) -> str:
    """Return the text of an error from a connection with stored settings."""
    return error.with_note(_STORED) if _is_rejected_sign_in(error) else error.message


@contextlib.contextmanager
def _explained(stored: Stored | None) -> Iterator[None]:
    """Add a note about stored settings to a rejected sign-in. An import has no stored settings."""
    try:
        yield
    except (*_SIGN_IN, errors.NodesFailed) as error:
        if stored is None or not _is_rejected_sign_in(error):
            raise
        raise Noted(error, _STORED) from error
