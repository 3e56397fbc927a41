"""The calls about resources, from request to response: decode, call the core, encode.

It knows the protocol's messages and what the core offers. It must not know how a resource does its work. Everything
here blocks, and runs on any thread.
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
from avma.resources.resource import Operation, Resource, Result, Stored
from pulumi_resource_avma import PACKAGE, diff
from pulumi_resource_avma.operations import Operations
from pulumi_resource_avma.protocol import provider_pb2 as pb
from pulumi_resource_avma.replacement import Replacement, place_of
from pulumi_resource_avma.run import Replaced, Run
from pulumi_resource_avma.secrecy import declared
from pulumi_resource_avma.session import Session
from pulumi_resource_avma.status import Declined, InitFailed, Noted, check_failures, invalid
from pulumi_resource_avma.values import NO_SECRETS, Decoded, Secrets, encode

PROBE_TIMEOUT = 60.0
"""Seconds that a preview may ask a machine."""
LOCATE_TIMEOUT = 15.0
"""Seconds that a comparison may ask the machines of one resource who they are."""


class Request(Protocol):
    """What all requests about a resource have in common."""

    urn: str
    type: str


class TimedRequest(Request, Protocol):
    """A request whose time the user may set; 0 is not set."""

    timeout: float


class Lifecycle:
    """The resources of the core, as the engine calls them."""

    def __init__(self, session: Session, operations: Operations, resources: Iterable[Resource]) -> None:
        self._session = session
        self._operations = operations
        self._resources = {f"{PACKAGE}:index:{resource.name}": resource for resource in resources}

    def check(self, request: pb.CheckRequest) -> pb.CheckResponse:
        """Say what is wrong with the inputs, and return them as the user wrote them."""
        resource = self._resource(request)
        news = self._session.decode(request.news, resource.inputs)
        failures = [*news.rejected, *resource.check(_without_internal(news.values))]
        if not failures:
            self._run.wanted[request.urn] = news.values
            if resource.licenses_hosts:
                self._note(request.urn, coming=True)
        return pb.CheckResponse(
            inputs=_encode_inputs(resource, news.values, news.secrets),
            failures=check_failures(failures, self._session.redact),
        )

    def diff(self, request: pb.DiffRequest) -> pb.DiffResponse:
        """Compare the inputs wanted with those stored, and with the state stored."""
        resource = self._resource(request)
        stored, _ = self._stored(request, resource, request.olds)
        wanted = self._accepted(request.news, resource).values
        changes = resource.diff(stored, wanted)
        response = diff.response(changes, stored.inputs, wanted, request.ignoreChanges)
        if request.urn in self._run.wanted:
            self._claim(request, resource, stored, wanted, response)
        return response

    def create(self, request: pb.CreateRequest) -> pb.CreateResponse:
        """Make the resource, or predict it in a preview."""
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
        """Find out what the resource is now; an empty response says that it is gone."""
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
        """Change the resource, or predict it in a preview."""
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
        """End the resource."""
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
            operation.warn(error.with_note("The resource is forgotten all the same, as `deleteUnreachable` is set."))

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
        """Claim the machines of a resource that stays on them; note that guests need not wait if nothing changes.

        Raises:
            KeyConflict: another resource of the run wants another key there.
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
        """Return what a resource has. State of an older version does not show the machines, so these are asked.

        What cannot be asked stays unknown, and so does what `previewProbe: false` forbids to ask: a comparison does
        not show whether it belongs to a preview.
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
        """Return the inputs of what comes in place of a resource, None if nothing does or another process knows it.

        With an alias the new resource has another URN than the one that is deleted. Both have the same type and id.
        """
        own = self._run.wanted.get(request.urn)
        if own is not None:
            return own
        successors = (urn for urn, replaced in self._run.replaced.items() if replaced.identifier == request.id)
        urn = next((urn for urn in successors if _type_of(urn) == _type_of(request.urn)), "")
        return self._run.wanted.get(urn)

    def _note(self, urn: str, coming: bool = False, replaces: str = "") -> None:
        """Note whether a resource will license a host that it has not reached yet, and which one it replaces."""
        # Without the note guests do not wait for it. A deletion, which needs the notes, says that there are none.
        with contextlib.suppress(OSError):
            self._run.claims.add(Claim(urn, wants=False, coming=coming, replaces=replaces))

    @contextlib.contextmanager
    def _settling(self, urn: str, resource: Resource) -> Iterator[None]:
        """Let nobody wait any longer for a resource that ended its work, well or not."""
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
        """Return what is certain; what is left out is unknown to the engine."""
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
        """Ask the machines, if that is possible and wished; what the run itself may yet mend is a warning.

        Nothing mends it that an existing resource is not found, or that the new place of a replaced one is not.
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
            operation.warn(error.with_note("The preview continues without this machine."))
            return resource.predict(wanted)
        if replaced is not None:
            Replacement(resource, replaced.identifier, replaced.stored, wanted).foretell(found, operation)
        return found

    def _resource(self, request: Request) -> Resource:
        token = request.type or _type_of(request.urn)
        if token not in self._resources:
            known = ", ".join(sorted(self._resources))
            message = f"no resource type `{token}`; there are {known}"
            raise Declined(StatusCode.INVALID_ARGUMENT, message, topics.UNSUPPORTED)
        return self._resources[token]

    def _accepted(self, struct: Struct, resource: Resource) -> Decoded:
        """Decode inputs that have passed `check`, as far as the engine calls in the right order."""
        decoded = self._session.decode(struct, resource.inputs)
        if decoded.rejected:
            raise invalid(decoded.rejected)
        return decoded

    def _stored(
        self, request: pb.DiffRequest | pb.UpdateRequest | pb.DeleteRequest, resource: Resource, outputs: Struct
    ) -> tuple[Stored, Secrets]:
        """Return what the engine has stored; engines that send no inputs have them among the outputs."""
        has_inputs = request.HasField("old_inputs")
        return self._decode_stored(request.old_inputs if has_inputs else outputs, outputs, resource)

    def _stored_for_read(self, request: pb.ReadRequest, resource: Resource) -> tuple[Stored | None, Secrets]:
        """Return what the engine has stored; an import has nothing, which newer engines send as empty objects."""
        if not request.inputs.fields and not request.properties.fields:
            return None, NO_SECRETS
        inputs = request.inputs if request.HasField("inputs") else request.properties
        return self._decode_stored(inputs, request.properties, resource)

    def _decode_stored(self, inputs: Struct, outputs: Struct, resource: Resource) -> tuple[Stored, Secrets]:
        old_inputs = self._session.decode(inputs, resource.inputs)
        old_outputs = self._session.decode(outputs, resource.outputs)
        return Stored(old_inputs.values, old_outputs.values), old_inputs.secrets | old_outputs.secrets

    def _operation(self, request: TimedRequest, resource: Resource, most: float = math.inf) -> Operation:
        return self._operations.begin(min(request.timeout or resource.timeout, most), request.urn)


def _unsaid(_text: str) -> None:
    """Drop a line: what is asked beside an operation says nothing of its own."""


def _type_of(urn: str) -> str:
    """Return the type of `urn:pulumi:STACK::PROJECT::PARENT$TYPE::NAME`, for engines that do not send it."""
    parts = urn.split("::")
    return parts[2].rpartition("$")[2] if len(parts) > 2 else ""


def _without_internal(values: Mapping[str, Any]) -> dict[str, Any]:
    """Drop the engine's own properties."""
    return {name: value for name, value in values.items() if not name.startswith("__")}


def _encode_inputs(resource: Resource, inputs: Mapping[str, Any], secrets: Secrets) -> Struct:
    return encode(inputs, secrets | declared(resource.inputs, inputs))


def _encode_outputs(resource: Resource, inputs: Mapping[str, Any], outputs: Any, secrets: Secrets) -> Struct:
    return _encode_state(resource, {**inputs, **dump(outputs)}, secrets)


def _encode_state(resource: Resource, state: Mapping[str, Any], secrets: Secrets) -> Struct:
    return encode(state, secrets | declared(resource.inputs, state) | declared(resource.outputs, state))


@contextlib.contextmanager
def _kept_when_partly_done(resource: Resource, secrets: Secrets) -> Iterator[None]:
    """Hand the engine the state that was reached, so that it is not lost."""
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
    ", or set the environment variable AVMA_DELETE_UNREACHABLE=true for this run. (`deleteUnreachable: true` in the "
    "configuration is seen by `pulumi destroy --run-program`)"
)


_SIGN_IN = (errors.LogonRefused, errors.LogonUncertain)
_STORED = (
    "`pulumi refresh` and `pulumi destroy` use the settings that the last `pulumi up` saved. If the password or a "
    "setting has changed since then, add `--run-program`, or run `pulumi up` first."
)


def _ways_out(error: errors.AvmaError, urn: str, more: str = "") -> str:
    forget = f"To forget the resource and leave the machine as it is: `pulumi state delete '{urn}'`{more}."
    return f"{_STORED} {forget}" if _is_rejected_sign_in(error) else forget


def _is_rejected_sign_in(error: errors.AvmaError) -> bool:
    """Return True if a machine rejected the account; of several nodes, one is enough."""
    causes = error.causes if isinstance(error, errors.NodesFailed) else (error,)
    return any(isinstance(cause, _SIGN_IN) for cause in causes)


def _of_stored(error: errors.AvmaError) -> str:
    """Return the text of an error of a machine that was asked with stored settings."""
    return error.with_note(_STORED) if _is_rejected_sign_in(error) else str(error)


@contextlib.contextmanager
def _explained(stored: Stored | None) -> Iterator[None]:
    """Say, when a machine rejects a sign-in with stored settings, where these come from; an import has none."""
    try:
        yield
    except (*_SIGN_IN, errors.NodesFailed) as error:
        if stored is None or not _is_rejected_sign_in(error):
            raise
        raise Noted(error, _STORED) from error
