"""The calls about resources, from request to response: decode, call the core, encode.

All of it may run on any thread. Only `check` and `diff` can run without waiting for anything.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Protocol

from google.protobuf.struct_pb2 import Struct
from grpc import StatusCode

from avma import errors, topics
from avma.properties import UNKNOWN, by_name, dump
from avma.resources.resource import Operation, Resource, Result, Stored
from pulumi_resource_avma import PACKAGE, diff, drift
from pulumi_resource_avma.grpc_errors import (
    UNREACHABLE,
    Declined,
    InitFailed,
    Noted,
    check_failures,
    invalid,
    stored_settings_explained,
    text_of_forgotten,
    text_of_preview,
    text_of_stored,
    ways_out,
)
from pulumi_resource_avma.names import external, external_failures, external_path
from pulumi_resource_avma.operations import Existing, Operations, Refreshed
from pulumi_resource_avma.protocol import provider_pb2 as pb
from pulumi_resource_avma.replacement import Replacement
from pulumi_resource_avma.run_claims import RunClaims, type_of
from pulumi_resource_avma.session import Session
from pulumi_resource_avma.values import (
    NO_SECRETS,
    Decoded,
    Secrets,
    declared_secrets,
    decode_declared,
    encode,
    encode_inputs,
    encode_outputs,
    encode_state,
)

PROBE_TIMEOUT = 60.0
"""Maximum seconds for the requests of a preview to a machine."""


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
        self._claims = RunClaims(session, operations)
        self._resources = {f"{PACKAGE}:index:{resource.name}": resource for resource in resources}

    def check(self, request: pb.CheckRequest, *, wait: bool = True) -> pb.CheckResponse:
        """Validate the inputs. Return them unchanged, with all failures.

        Raises:
            MustWait: the call must wait, but `wait` is False. Call it again on a thread that can wait.
        """
        resource = self._resource(request)
        self._operations.run.refreshed.pop(request.urn, None)
        news = decode_declared(request.news, self._session.redact, resource.inputs)
        checked = resource.check(_without_internal(news.values))
        failures = [*news.rejected, *external_failures(checked, resource.inputs)]
        if not failures:
            self._operations.run.wanted[request.urn] = news.values
            if resource.licenses_hosts:
                self._claims.record(request.urn, coming=True, wait=wait)
        return pb.CheckResponse(
            inputs=encode(news.written, news.secrets | declared_secrets(news.written, resource.inputs)),
            failures=check_failures(failures, self._session.redact),
        )

    def diff(self, request: pb.DiffRequest, *, wait: bool = True) -> pb.DiffResponse:
        """Compare the new inputs with the stored inputs and state.

        Raises:
            MustWait: the call must wait, but `wait` is False. Call it again on a thread that can wait.
        """
        resource, redact = self._resource(request), self._session.redact
        given = request.old_inputs if request.HasField("old_inputs") else request.olds
        old = decode_declared(given, redact, resource.inputs)
        outputs = decode_declared(request.olds, redact, resource.inputs, resource.outputs)
        new = _accepted(old if request.news == given else decode_declared(request.news, redact, resource.inputs))
        stored, wanted = Stored(old.values, outputs.values), new.values
        refreshed = self._operations.run.refreshed.pop(request.urn, None)
        if refreshed is not None and (stored.inputs, _outputs_of(resource, stored)) == (wanted, refreshed.after):
            record, states = resource.outputs, (refreshed.before, refreshed.after)
            before, after = (external(diff.settled(record, each), record) for each in states)
            return diff.of_refresh(before, after, request.ignoreChanges)
        changes = resource.diff(stored, wanted)
        records = resource.inputs, resource.outputs
        shown = [replace(change, path=external_path(change.path, *records)) for change in changes]
        response = diff.response(shown, old.written, new.written, request.ignoreChanges)
        if request.urn in self._operations.run.wanted:
            self._claims.claim_machines(request, resource, stored, wanted, response, wait=wait)
        return response

    def create(self, request: pb.CreateRequest) -> pb.CreateResponse:
        """Create the resource, or predict it in a preview."""
        resource = self._resource(request)
        wanted = self._wanted(request.properties, resource)
        if request.preview:
            replaced = self._operations.run.replaced.get(request.urn)
            return pb.CreateResponse(properties=self._predicted(request, resource, wanted, replaced=replaced))
        with _kept_when_partly_done(resource, wanted.secrets), self._claims.licensing(request.urn, resource):
            result = resource.create(wanted.values, self._operation(request, resource))
        properties = encode_outputs(resource, wanted.values, result.outputs, wanted.secrets)
        return pb.CreateResponse(id=result.identifier, properties=properties)

    def read(self, request: pb.ReadRequest) -> pb.ReadResponse:
        """Return the current state of the resource. An empty response means that it no longer exists."""
        resource = self._resource(request)
        stored, secrets = self._stored_for_read(request, resource)
        operation = self._operation(request, resource, reads_only=True)
        if stored is not None:
            operation = replace(operation, shown=text_of_stored)
        with _kept_when_partly_done(resource, secrets), stored_settings_explained(stored):
            result = resource.read(request.id, stored, operation)
        if result is None:
            return pb.ReadResponse()
        if stored is not None:
            self._note_refresh(request.urn, resource, stored, dump(result.outputs))
        return pb.ReadResponse(
            id=result.identifier,
            properties=encode_outputs(resource, result.inputs, result.outputs, secrets),
            inputs=encode_inputs(resource, result.inputs, secrets),
        )

    def update(self, request: pb.UpdateRequest) -> pb.UpdateResponse:
        """Update the resource, or predict it in a preview."""
        resource = self._resource(request)
        stored, _ = self._stored(request, resource, request.olds)
        wanted = self._wanted(request.news, resource)
        self._show(request.urn, drift.lines(resource.diff(stored, wanted.values)))
        if request.preview:
            updated = Existing(request.id, stored)
            return pb.UpdateResponse(properties=self._predicted(request, resource, wanted, updated))
        with _kept_when_partly_done(resource, wanted.secrets), self._claims.licensing(request.urn, resource):
            result = resource.update(request.id, stored, wanted.values, self._operation(request, resource))
        properties = encode_outputs(resource, wanted.values, result.outputs, wanted.secrets)
        return pb.UpdateResponse(properties=properties)

    def delete(self, request: pb.DeleteRequest) -> None:
        """Delete the resource."""
        resource = self._resource(request)
        stored, _ = self._stored(request, resource, request.properties)
        operation = self._operation(request, resource)
        wanted = self._claims.successor(request, resource)
        try:
            if Replacement(resource, request.id, stored, wanted).stays(operation):
                return
            resource.delete(request.id, stored, operation)
        except (errors.LogonRefused, errors.Refused) as error:
            raise Noted(error, ways_out(error, request.urn)) from error
        except errors.Unreachable as error:
            if not operation.configuration.delete_unreachable:
                raise Noted(error, ways_out(error, request.urn, UNREACHABLE)) from error
            operation.warn(text_of_forgotten(error))

    def _note_refresh(self, urn: str, resource: Resource, stored: Stored, found: Mapping[str, Any]) -> None:
        """Note what a refresh has read, for its diff, and show the drift that is new.

        Dynamic resources have no URN here. Without stored outputs, this is no refresh.
        """
        before = _outputs_of(resource, stored)
        if urn and before:
            self._operations.run.refreshed[urn] = Refreshed(before, found)
            now = Stored(stored.inputs, found)
            self._show(urn, drift.lines(resource.diff(now, now.inputs), resource.diff(stored, stored.inputs)))

    def _show(self, urn: str, lines: Iterable[str]) -> None:
        """Show lines about a resource, each once in a run."""
        for line in lines:
            if (urn, line) not in self._operations.run.shown:
                self._operations.run.shown.add((urn, line))
                self._session.log.info(line, urn)

    def _predicted(
        self,
        request: TimedRequest,
        resource: Resource,
        wanted: Decoded,
        updated: Existing | None = None,
        replaced: Existing | None = None,
    ) -> Struct:
        """Return the known values. The engine treats missing values as unknown."""
        state = {**wanted.values, **self._foreseen(request, resource, wanted.values, updated, replaced)}
        certain = {name: value for name, value in state.items() if value is not UNKNOWN}
        return encode_state(resource, certain, wanted.secrets)

    def _foreseen(
        self,
        request: TimedRequest,
        resource: Resource,
        wanted: Mapping[str, Any],
        updated: Existing | None,
        replaced: Existing | None,
    ) -> dict[str, Any]:
        """Query the machines if possible and not disabled. Turn errors into warnings if the run itself may fix them.

        A run cannot fix a missing machine of an existing resource, or of a replaced one.
        """
        configuration = self._session.configuration
        if configuration is None or not configuration.preview_probe or not resource.askable(wanted):
            self._claims.record(request.urn)
            return resource.predict(wanted)
        operation = self._operation(request, resource, PROBE_TIMEOUT, reads_only=True)
        try:
            if updated is None:
                found = resource.probe(wanted, operation)
            else:
                found = resource.probe_update(updated.identifier, updated.stored, wanted, operation)
        except errors.PASSING as error:
            self._claims.record(request.urn)
            if isinstance(error, errors.NotFound) and (updated or replaced):
                raise
            operation.warn(text_of_preview(error, PROBE_TIMEOUT))
            return resource.predict(wanted)
        if replaced is not None:
            Replacement(resource, replaced.identifier, replaced.stored, wanted).foretell(found, operation)
        return found

    def _resource(self, request: ResourceRequest) -> Resource:
        token = request.type or type_of(request.urn)
        if token not in self._resources:
            known = ", ".join(sorted(self._resources))
            message = f"the provider has no resource type `{token}`. It has {known}"
            raise Declined(StatusCode.INVALID_ARGUMENT, message, topics.UNSUPPORTED)
        return self._resources[token]

    def _wanted(self, struct: Struct, resource: Resource) -> Decoded:
        return _accepted(decode_declared(struct, self._session.redact, resource.inputs))

    def _stored(
        self, request: pb.UpdateRequest | pb.DeleteRequest, resource: Resource, outputs: Struct
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
        old_inputs = decode_declared(inputs, self._session.redact, resource.inputs)
        old_outputs = decode_declared(outputs, self._session.redact, resource.inputs, resource.outputs)
        return Stored(old_inputs.values, old_outputs.values), old_inputs.secrets | old_outputs.secrets

    def _operation(
        self, request: TimedRequest, resource: Resource, most: float = math.inf, *, reads_only: bool = False
    ) -> Operation:
        timeout = min(request.timeout or resource.timeout, most)
        return self._operations.begin(timeout, request.urn, reads_only=reads_only)


def _accepted(decoded: Decoded) -> Decoded:
    """Return inputs that have passed `check`.

    Raises:
        Declined: the inputs contain unsupported values, as the engine did not call `check` first.
    """
    if decoded.rejected:
        raise invalid(decoded.rejected)
    return decoded


def _outputs_of(resource: Resource, stored: Stored) -> dict[str, Any]:
    """Return the outputs in a state, without inputs and without absent values."""
    declared = by_name(resource.outputs)
    return {name: value for name, value in stored.outputs.items() if name in declared and value is not None}


def _without_internal(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values without the engine's own properties."""
    return {name: value for name, value in values.items() if not name.startswith("__")}


@contextlib.contextmanager
def _kept_when_partly_done(resource: Resource, secrets: Secrets) -> Iterator[None]:
    """Pass a partial state to the engine, so that it is not lost."""
    try:
        yield
    except errors.PartlyDone as partly:
        reached: Result = partly.state
        raise InitFailed(
            reached.identifier,
            encode_outputs(resource, reached.inputs, reached.outputs, secrets),
            encode_inputs(resource, reached.inputs, secrets),
            partly,
        ) from partly
