"""The calls about the provider's configuration: validate, compare, and build the record for the core.

Values from `pulumi config` arrive as JSON text. So do all provider arguments of an SDK that are not text. Nothing here
connects to a machine: an unreachable machine must fail the resource that needs it, not the whole run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from google.protobuf.struct_pb2 import Struct
from grpc import StatusCode

from avma.configuration import Configuration
from avma.environment import complete, from_environment, source_of, text_value, with_sources
from avma.properties import InvalidProperty, Property, build, known, properties, validate
from avma.wording import camel_case
from pulumi_resource_avma import PACKAGE, diff
from pulumi_resource_avma.grpc_errors import Declined, MissingKeys, check_failures
from pulumi_resource_avma.names import external, external_failures, external_path, internal, misnamed
from pulumi_resource_avma.protocol import provider_pb2 as pb
from pulumi_resource_avma.session import Session
from pulumi_resource_avma.values import Decoded, Secrets, declared_secrets, decode, decode_tree, encode, texts_at

INSECURE = (
    "`insecure` is set, so the provider does not verify TLS certificates. An attacker on the network can read and "
    "change all messages. Set `caCert` to the certificate of your authority instead"
)

_ENGINES_OWN = ("version", "pluginDownloadURL")


class ProviderConfig:
    """The provider's configuration in the calls of the engine. `record` declares it."""

    def __init__(self, session: Session, record: type[Configuration] = Configuration) -> None:
        self._session = session
        self._record = record

    def check(self, request: pb.CheckRequest) -> pb.CheckResponse:
        """Validate the configuration. Return it unchanged, with all failures."""
        news, given = self._decode(request.news)
        missing = {prop.name for prop in self._missing(given)}  # the environment may contain them: see `configure`
        found = (failure for failure in validate(self._record, given) if failure.path not in missing)
        failures = [*news.rejected, *external_failures(found, self._record)]
        return pb.CheckResponse(
            inputs=encode(news.values, news.secrets | self._secrets(news.values, given)),
            failures=check_failures(failures, self._session.redact),
        )

    def diff(self, request: pb.DiffRequest) -> pb.DiffResponse:
        """Compare configurations.

        A new configuration does not change the identity of a machine, so nothing is replaced.
        """
        # The core's resources are slow to import, and most runs do not need this method.
        from avma.resources.resource import input_changes

        olds, before = self._decode(request.old_inputs if request.HasField("old_inputs") else request.olds)
        news, after = self._decode(request.news)
        changes = input_changes(self._record, before, after)
        shown = (replace(change, path=external_path(change.path, self._record)) for change in changes)
        return diff.response(shown, olds.values, news.values, request.ignoreChanges)

    def configure(self, request: pb.ConfigureRequest) -> None:
        """Apply the configuration, with missing values from the environment."""
        decoded, given = self._decode(request.args)
        if not known(given):
            self._session.configuration = None
            return
        values = complete(given, from_environment(self._record))
        self._learn(values)
        self._require_usable(values, decoded.rejected, given)
        self._session.configuration = with_sources(build(self._record, values), given)
        if _insecure(values) or _insecure(values.get("guest")):
            self._session.log.warning(INSECURE, request.urn)

    def _decode(self, struct: Struct) -> tuple[Decoded, dict[str, Any]]:
        """Return all values as received, and the user's values in parsed form, with the names of the core."""
        decoded = decode(struct)
        self._session.redact.learn(texts_at(decoded.values, decoded.secrets))
        parsed = _parsed(self._record, {name: value for name, value in decoded.values.items() if _users(name)})
        given = internal(parsed, self._record)
        self._learn(given)
        return replace(decoded, rejected=(*decoded.rejected, *misnamed(parsed, self._record))), given

    def _learn(self, given: Mapping[str, Any]) -> None:
        values = external(given, self._record)
        self._session.redact.learn(texts_at(values, declared_secrets(values, self._record)))

    def _secrets(self, values: Mapping[str, Any], given: Mapping[str, Any]) -> Secrets:
        """Return the paths of secrets. JSON text with a secret inside is secret as a whole."""
        paths = declared_secrets(external(given, self._record), self._record)
        return frozenset(path[:1] if isinstance(values.get(str(path[0])), str) else path for path in paths)

    def _missing(self, values: Mapping[str, Any]) -> list[Property]:
        return [prop for prop in properties(self._record) if prop.required and values.get(prop.name) is None]

    def _require_usable(
        self, values: Mapping[str, Any], rejected: Sequence[InvalidProperty], given: Mapping[str, Any]
    ) -> None:
        missing = self._missing(values)
        if missing:
            raise MissingKeys({f"{PACKAGE}:{camel_case(prop.name)}": prop.rule.description for prop in missing})
        found = validate(self._record, values)
        failures = [*rejected, *found]
        if failures:
            texts = [f"`{failure.path}` {failure.reason}" for failure in rejected]
            texts += [f"{source_of(self._record, failure.path, given)} {failure.reason}" for failure in found]
            message = f"the provider's configuration cannot be used: {'. '.join(texts)}"
            raise Declined(StatusCode.INVALID_ARGUMENT, message, failures[0].topic)


def _users(name: str) -> bool:
    return name not in _ENGINES_OWN and not name.startswith("__")


def _parsed(record: type, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values with text parsed to the declared types."""
    declared_here = {camel_case(prop.name): prop for prop in properties(record)}
    return {
        name: _parsed_value(declared_here[name], value) if name in declared_here else value
        for name, value in values.items()
    }


def _parsed_value(prop: Property, value: Any) -> Any:
    if isinstance(value, str):
        value = text_value(prop, value)
    if prop.record is not None and isinstance(value, Mapping):
        return _parsed(prop.record, decode_tree(value).values)
    return value


def _insecure(values: Any) -> bool:
    return isinstance(values, Mapping) and values.get("insecure") is True
