"""The calls about functions, from request to response. All of it blocks and may run on any thread."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from grpc import StatusCode

from avma import topics
from avma.functions import Function
from avma.properties import dump, known
from avma.wording import camel_case
from pulumi_resource_avma import PACKAGE
from pulumi_resource_avma.grpc_errors import Declined, check_failures, invalid
from pulumi_resource_avma.names import external, external_failures
from pulumi_resource_avma.operations import Operations
from pulumi_resource_avma.protocol import provider_pb2 as pb
from pulumi_resource_avma.session import Session
from pulumi_resource_avma.values import declared_secrets, decode_declared, encode


class Functions:
    """The functions of the core, for the calls of the engine."""

    def __init__(self, session: Session, operations: Operations, functions: Iterable[Function]) -> None:
        self._session = session
        self._operations = operations
        self._functions = {f"{PACKAGE}:index:{camel_case(function.name)}": function for function in functions}
        self._listing = {f"{PACKAGE}:index:{each.lists}": each for each in self._functions.values() if each.lists}

    def invoke(self, request: pb.InvokeRequest) -> pb.InvokeResponse:
        """Call a function. Invalid arguments become failures in the response instead of an error."""
        function = self._functions.get(request.tok)
        if function is None:
            known = ", ".join(sorted(self._functions))
            message = f"the provider has no function `{request.tok}`. It has {known}"
            raise Declined(StatusCode.INVALID_ARGUMENT, message, topics.UNSUPPORTED)
        arguments = decode_declared(request.args, self._session.redact, function.inputs)
        failures = [*arguments.rejected, *external_failures(function.check(arguments.values), function.inputs)]
        if failures:
            return pb.InvokeResponse(failures=check_failures(failures, self._session.redact))
        answer = function.call(arguments.values, lambda: self._operations.begin(function.timeout, reads_only=True))
        outputs = external(dump(answer), function.outputs)
        response = pb.InvokeResponse()
        # The field name is a Python keyword.
        getattr(response, "return").CopyFrom(encode(outputs, declared_secrets(outputs, function.outputs)))
        return response

    def list(self, request: pb.ListRequest) -> Sequence[pb.ListResponse]:
        """Use a function to find resources for import. If the query has unknown values, the result is unknown.

        Raises:
            Declined: resources of this type cannot be listed, or the query is not valid.
        """
        function = self._listing.get(request.token)
        if function is None:
            known_types = ", ".join(sorted(self._listing))
            message = f"`{request.token}` cannot be listed. The provider can list {known_types}"
            raise Declined(StatusCode.UNIMPLEMENTED, message, topics.UNSUPPORTED)
        query = decode_declared(request.query, self._session.redact, function.inputs)
        failures = [*query.rejected, *external_failures(function.check(query.values), function.inputs)]
        if failures:
            raise invalid(failures)
        if not known(query.values):
            return [pb.ListResponse(computed=pb.ListResponse.Computed())]
        outputs = function.call(query.values, lambda: self._operations.begin(function.timeout, reads_only=True))
        found = function.listed(query.values, outputs)
        wanted = found[: request.limit] if request.limit > 0 else found
        return [pb.ListResponse(result=pb.ListResponse.Result(id=each.identifier, name=each.name)) for each in wanted]
