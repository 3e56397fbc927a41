"""The conversion between protobuf's Struct with Pulumi's marks and plain Python values with `UNKNOWN`.

Decoding removes the secret marks and returns their paths, so that encoding can restore them. The properties of a
resource are stored with external names and marks on secrets.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from google.protobuf.struct_pb2 import NULL_VALUE, Struct, Value

from avma.properties import UNKNOWN, InvalidProperty, Property, dump, properties
from avma.wording import camel_case
from pulumi_resource_avma.names import external, internal, misnamed, records_in

if TYPE_CHECKING:
    from avma.redaction import Redactor
    from avma.resources.resource import Resource

Path = tuple[str | int, ...]
Secrets = AbstractSet[Path]

NO_SECRETS: Secrets = frozenset()

SIGNATURE = "4dabf18193072939515e22adb298388d"
SECRET = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105 - the protocol's mark, not a password
OUTPUT = "d0e6a833031e9bbcd3f4e8bde6ca49a4"
RESOURCE = "5cf8f73096256a8f31e491e813e4eb8e"
ASSET = "c44067f5952c0a294b673a41bacd8c17"
ARCHIVE = "0def7320c3a5731c473e5ecbe6d01bc7"

UNKNOWN_STRING = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
UNKNOWN_SENTINELS = frozenset(
    {
        UNKNOWN_STRING,
        "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",  # bool
        "3eeb2bf0-c639-47a8-9e75-3b44932eb421",  # number
        "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",  # array
        "030794c1-ac77-496b-92df-f27374a8bd58",  # asset
        "e48ece36-62e2-4504-bad9-02848725956a",  # archive
        "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",  # object
    }
)

_NAMES = {ASSET: "an asset", ARCHIVE: "an archive"}
_EXACT = 2**53


@dataclass(frozen=True)
class Decoded:
    """Plain values, the paths of secrets, and the failures for values that no property accepts.

    `written` contains the values of declared properties with their external names.
    """

    values: dict[str, Any] = field(default_factory=dict)
    secrets: Secrets = NO_SECRETS
    rejected: tuple[InvalidProperty, ...] = ()
    written: Mapping[str, Any] = field(default_factory=dict)


def decode(struct: Struct) -> Decoded:
    """Convert a Struct to plain values."""
    return decode_tree(_fields_of(struct))


def decode_declared(struct: Struct, redact: Redactor, *records: type) -> Decoded:
    """Decode the properties of records to values of the core, and register their secrets for redaction.

    The paths of secrets keep their external names.
    """
    decoded = decode(struct)
    secrets = decoded.secrets | declared_secrets(decoded.values, *records)
    redact.learn(texts_at(decoded.values, secrets))
    failures = [failure for record in records for failure in misnamed(decoded.values, record)]
    values = internal(decoded.values, *records)
    written = external(values, *records) if failures else decoded.values
    return Decoded(values, decoded.secrets, (*decoded.rejected, *failures), written)


def decode_tree(tree: Mapping[str, Any]) -> Decoded:
    """Remove the protocol's marks from Python values, such as parsed JSON."""
    reader = _Reader()
    values = {name: reader.read(value, (name,), hidden=False) for name, value in tree.items()}
    return Decoded(values, frozenset(reader.secrets), tuple(reader.rejected))


def encode(values: Mapping[str, Any], secrets: Secrets = NO_SECRETS) -> Struct:
    """Convert plain values to a Struct.

    The values at the `secrets` paths are marked, including everything below them.
    """
    struct = Struct()
    for name, value in values.items():
        _write(value, (name,), secrets, struct.fields[name])
    return struct


def path_text(path: Path) -> str:
    """Return a path in Pulumi's notation: `connection.password`, `hosts[0]`."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return text.removeprefix(".")


def texts_at(values: Mapping[str, Any], paths: Secrets) -> Iterator[str]:
    """Yield all texts at or below the paths."""
    for path in paths:
        yield from _texts(_step_down(values, path))


class _Reader:
    """Reader of a tree. It collects the secrets and the rejected values."""

    def __init__(self) -> None:
        self.secrets: set[Path] = set()
        self.rejected: list[InvalidProperty] = []

    def read(self, value: Any, path: Path, hidden: bool) -> Any:
        if isinstance(value, str):
            return UNKNOWN if value in UNKNOWN_SENTINELS else value
        if isinstance(value, list):
            return [self.read(item, (*path, index), hidden) for index, item in enumerate(value)]
        if isinstance(value, dict):
            return self._read_object(value, path, hidden)
        return value

    def _read_object(self, value: Mapping[str, Any], path: Path, hidden: bool) -> Any:
        signature = value.get(SIGNATURE)
        if signature is None:
            return {name: self.read(item, (*path, name), hidden) for name, item in value.items()}
        if signature == SECRET:
            return self._read_secret(value.get("value"), path, hidden)
        if signature == OUTPUT:
            return self._read_output(value, path, hidden)
        if signature == RESOURCE:
            return _reference(value)
        name = _NAMES.get(signature, "a value of an unknown type")
        self.rejected.append(
            InvalidProperty(path_text(path), f"is {name}, but no property of this provider accepts one")
        )
        return UNKNOWN

    def _read_secret(self, value: Any, path: Path, hidden: bool) -> Any:
        if not hidden:
            self.secrets.add(path)
        return self.read(value, path, hidden=True)

    def _read_output(self, value: Mapping[str, Any], path: Path, hidden: bool) -> Any:
        element = value.get("value", UNKNOWN)
        if value.get("secret"):
            return self._read_secret(element, path, hidden)
        return self.read(element, path, hidden)


def _reference(value: Mapping[str, Any]) -> Any:
    """Return the ID of a resource reference, or UNKNOWN for an unknown ID. Components have only a URN."""
    identifier = value.get("id")
    if identifier is None:
        return value.get("urn", "")
    return UNKNOWN if identifier == "" or identifier in UNKNOWN_SENTINELS else identifier


def _fields_of(struct: Struct) -> dict[str, Any]:
    fields = struct.fields
    # The views of protobuf's maps are slower than their keys.
    return {name: _to_python(fields[name]) for name in fields}


def _to_python(value: Value) -> Any:
    kind = value.WhichOneof("kind")
    if kind == "struct_value":
        return _fields_of(value.struct_value)
    if kind == "list_value":
        return [_to_python(item) for item in value.list_value.values]
    if kind == "number_value":
        return _number(value.number_value)
    if kind == "string_value":
        return value.string_value
    return value.bool_value if kind == "bool_value" else None


def _number(number: float) -> int | float:
    """Return a whole number as int. The protocol has only doubles, which are exact up to 2**53."""
    return int(number) if number.is_integer() and abs(number) <= _EXACT else number


def _write(value: Any, path: Path, secrets: Secrets, target: Value) -> None:
    """Write a plain value into a message. To fill the message in place is faster than to create it from parts."""
    if path in secrets:
        marked = target.struct_value.fields
        marked[SIGNATURE].string_value = SECRET
        _write_bare(value, path, NO_SECRETS, marked["value"])
    else:
        _write_bare(value, path, secrets, target)


def _write_bare(value: Any, path: Path, secrets: Secrets, target: Value) -> None:
    if value is None:
        target.null_value = NULL_VALUE
    elif value is UNKNOWN:
        target.string_value = UNKNOWN_STRING
    elif isinstance(value, bool):
        target.bool_value = value
    elif isinstance(value, (int, float)):
        target.number_value = value
    elif isinstance(value, str):
        target.string_value = value
    elif isinstance(value, Mapping):
        target.struct_value.SetInParent()
        for name, item in value.items():
            _write(item, (*path, name), secrets, target.struct_value.fields[name])
    else:
        target.list_value.SetInParent()
        for index, item in enumerate(value):
            _write(item, (*path, index), secrets, target.list_value.values.add())


def _step_down(value: Any, path: Path) -> Any:
    for step in path:
        if isinstance(value, Mapping):
            value = value.get(step)
        elif isinstance(value, list) and isinstance(step, int) and step < len(value):
            value = value[step]
        else:
            return None
    return value


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)


def declared_secrets(values: Mapping[str, Any], *records: type) -> Secrets:
    """Return the paths of the values that the records declare secret, marked by the user's program or not.

    They are leaves, never the objects around them.
    """
    return frozenset(path for record in records for path in _declared_secrets(record, values, ()))


def _declared_secrets(record: type, values: Mapping[str, Any], prefix: Path) -> Iterator[Path]:
    for name, prop in _secret_or_nested(record).items():
        value = values.get(name)
        path = (*prefix, name)
        if value is not None and prop.rule.secret:
            yield path
            continue
        for steps, nested, values_in_it in records_in(prop, value) if value else ():
            yield from _declared_secrets(nested, values_in_it, (*path, *steps))


@functools.cache
def _secret_or_nested(record: type) -> Mapping[str, Property]:
    """Return the properties that are secret or contain properties, by their external names."""
    found = (prop for prop in properties(record) if prop.rule.secret or prop.holds_records)
    return {camel_case(prop.name): prop for prop in found}


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
