"""Declarations of properties: fields of frozen dataclasses, with documentation and rules.

Such a class provides the validation of user input, the record for the code, the stored values, and the schemas of the
front ends. Values have the names of the fields here. A front end converts them to and from its own names.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeVar

from avma import topics
from avma.wording import camel_case, setting

Values = Mapping[str, Any]
"""Values as a front end passes them: names of fields mapped to None, bool, number, str, list, mapping or `UNKNOWN`."""

Prediction = Callable[[Values], Any]
"""Returns the value of an output that follows from the wanted inputs, None if none follows."""

T = TypeVar("T")


class Unknown:
    """A value that another resource has yet to produce. Only previews contain it."""

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN = Unknown()


class Choice(str, Enum):
    """A property with named values. Declare each member as `NAME = "value", "description"`.

    Write a value of several words with underscores. For users, it is in camel case, as `NAME.value`.
    """

    description: str

    def __new__(cls, value: str, description: str) -> Choice:
        """Create a member that is a string equal to its value."""
        value = camel_case(value) if value.islower() else value
        member = str.__new__(cls, value)
        member._value_ = value
        member.description = description
        return member


@dataclass(frozen=True)
class InvalidProperty:
    """One problem with the user's input: the property's path and the reason, remedy included.

    `topic` is the argument of `avma explain`. Front ends add the command, because several failures can share one.
    """

    path: str
    reason: str
    topic: str = topics.INVALID_INPUT


@dataclass(frozen=True)
class Rule:
    """The declared rules of a property, apart from its name, type and default.

    If a property has no default, `unset` describes in words how the provider behaves without a value.
    """

    description: str
    unit: str = ""
    unset: str = ""
    example: Any = None
    secret: bool = False
    replaces: bool = False
    check: Callable[[Any], str | None] | None = None
    environment: tuple[str, ...] = ()
    applies_later: bool = False
    connects: bool = False
    lasting: bool = False
    volatile: bool = False
    promised: Prediction | None = None
    expected: Prediction | None = None


@dataclass(frozen=True)
class Property:
    """A declared property: its name, its type without None, and its rules."""

    name: str
    type: Any
    required: bool
    default: Any
    rule: Rule

    @property
    def example(self) -> Any:
        """A valid value: the declared example or, for a boolean, the opposite of its default."""
        opposite = not self.default if self.type is bool else None
        return opposite if self.rule.example is None else self.rule.example

    @functools.cached_property
    def record(self) -> type | None:
        """The dataclass of a nested property, or None for a plain one."""
        return self.type if isinstance(self.type, type) and dataclasses.is_dataclass(self.type) else None

    @functools.cached_property
    def collection(self) -> type | None:
        """`list` or `dict` for a property with several values, else None."""
        origin = typing.get_origin(self.type)
        return origin if origin in (list, dict) else None

    @functools.cached_property
    def item(self) -> Property:
        """The property of each value of a list or a map."""
        return dataclasses.replace(self, type=typing.get_args(self.type)[-1])

    @property
    def holds_records(self) -> bool:
        """Whether the property is a record, or contains records."""
        return (self.item if self.collection else self).record is not None


def declare(
    description: str,
    *,
    default: Any = dataclasses.MISSING,
    unit: str = "",
    unset: str = "",
    example: Any = None,
    secret: bool = False,
    replaces: bool = False,
    check: Callable[[Any], str | None] | None = None,
    environment: tuple[str, ...] = (),
    applies_later: bool = False,
    connects: bool = False,
    lasting: bool = False,
    volatile: bool = False,
    promised: Prediction | None = None,
    expected: Prediction | None = None,
) -> Any:
    """Declare a property as a dataclass field. Without a default, it is required.

    Args:
        check: takes a known value, and returns an error or None.
        environment: the variables that provide a value if nothing else does.
        applies_later: a changed input needs no action now, because it is about a later action.
        connects: an input that only tells how to reach the machine. An update tries a new value before it is stored.
        lasting: an output that another product key does not change.
        volatile: an output that changes by itself, so a refresh reports no difference.
        promised: an output whose value success guarantees.
        expected: an output whose value is likely, but success does not guarantee it.
    """
    rule = Rule(
        description,
        unit,
        unset,
        example,
        secret,
        replaces,
        check,
        environment,
        applies_later,
        connects,
        lasting,
        volatile,
        promised,
        expected,
    )
    return dataclasses.field(default=default, metadata={"rule": rule})


def redeclare(record: type, attribute: str, **rules: Any) -> Any:
    """Declare a property of another record again, with other rules if given. The arguments are those of `declare`."""
    field = next(field for field in dataclasses.fields(record) if field.name == attribute)
    rule = dataclasses.replace(field.metadata["rule"], **rules)
    return dataclasses.field(default=field.default, metadata={"rule": rule})


def predicted(record: type, wanted: Values) -> dict[str, Any]:
    """Return the promised and the expected outputs of a record, as far as they follow from the wanted inputs."""
    return promises(record, wanted) | _following(record, "expected", wanted)


def promises(record: type, wanted: Values) -> dict[str, Any]:
    """Return the promised outputs of a record. After success, the outputs have these values."""
    return _following(record, "promised", wanted)


def _following(record: type, kind: str, wanted: Values) -> dict[str, Any]:
    rules = {prop.name: getattr(prop.rule, kind) for prop in properties(record)}
    values = {name: _plain(rule(wanted)) for name, rule in rules.items() if rule is not None}
    return {name: value for name, value in values.items() if value is not None}


@functools.cache
def by_name(*records: type) -> Mapping[str, Property]:
    """Return the declared properties of the record classes by their names."""
    return {prop.name: prop for record in records for prop in properties(record)}


_PROPERTIES: dict[type, tuple[Property, ...]] = {}
"""The properties of each class. Reading them evaluates type hints, which takes longer than a whole check."""


def properties(record: type) -> tuple[Property, ...]:
    """Return the declared properties of a record class, in order.

    If a record class has the attribute `environment_prefix`, it replaces the environment variables of its properties.
    """
    found = _PROPERTIES.get(record)
    if found is None:
        found = _PROPERTIES[record] = tuple(_properties(record))
    return found


def _properties(record: type) -> Iterator[Property]:
    hints = typing.get_type_hints(record)
    prefix: str | None = getattr(record, "environment_prefix", None)
    for field in dataclasses.fields(record):
        if "rule" in field.metadata:
            yield Property(
                name=field.name,
                type=_bare(hints[field.name]),
                required=field.default is dataclasses.MISSING,
                default=None if field.default is dataclasses.MISSING else field.default,
                rule=_prefixed(field.metadata["rule"], prefix, field.name),
            )


def _prefixed(rule: Rule, prefix: str | None, attribute: str) -> Rule:
    if prefix is None or not rule.environment:
        return rule
    return dataclasses.replace(rule, environment=(f"{prefix}{attribute.upper()}",))


def validate(record: type, values: Values, path: str = "") -> list[InvalidProperty]:
    """Return all problems with the values of a record. Unknown values pass."""
    prefix = f"{path}." if path else ""
    declared = by_name(record)
    failures = [InvalidProperty(prefix + name, unknown_name(name, declared)) for name in values if name not in declared]
    for name, prop in declared.items():
        value = values.get(name)
        if value is None and prop.required:
            failures.append(InvalidProperty(prefix + name, "is required"))
        if value is not None and not isinstance(value, Unknown):
            failures += _validate_value(prop, value, prefix + name)
    return failures


def build(record: type[T], values: Values) -> T:
    """Create the record from validated values. Missing values take their defaults.

    Raises:
        KeyError: a required value is missing, or a value is unknown. `validate` reports only missing ones.
    """
    arguments: dict[str, Any] = {}
    for prop in properties(record):
        value = values.get(prop.name)
        if isinstance(value, Unknown) or (value is None and prop.required):
            raise KeyError(prop.name)
        if value is not None:
            arguments[prop.name] = _convert(prop, value)
    return record(**arguments)


def dump(instance: Any) -> dict[str, Any]:
    """Return the values of a record by name, without None values."""
    pairs = ((prop.name, getattr(instance, prop.name)) for prop in properties(type(instance)))
    return {name: _plain(value) for name, value in pairs if value is not None}


def known(values: Any) -> bool:
    """Return True if a tree of values contains no unknown value."""
    if isinstance(values, (str, int, float)) or values is None:
        return True
    if isinstance(values, Mapping):
        return all(map(known, values.values()))
    if isinstance(values, list):
        return all(map(known, values))
    return not isinstance(values, Unknown)


def _bare(hint: Any) -> Any:
    """Return a type without `| None`."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        inner = [argument for argument in typing.get_args(hint) if argument is not type(None)]
        return inner[0] if len(inner) == 1 else hint
    return hint


def unknown_name(name: str, declared: Mapping[str, Property]) -> str:
    """Return the error for a name that is not declared, with the most similar name that is."""
    plain = {_folded(each): each for each in declared}
    close = difflib.get_close_matches(_folded(name), plain, n=1)
    known = ", ".join(map(setting, sorted(declared)))
    hint = f"Did you mean {setting(plain[close[0]])}?" if close else f"The properties are {known}"
    return f"is not a property here. {hint}"


def _folded(name: str) -> str:
    """Return a name without the differences between its spellings."""
    return name.replace("_", "").lower()


def _validate_value(prop: Property, value: Any, path: str) -> list[InvalidProperty]:
    if prop.record is not None:
        if not isinstance(value, Mapping):
            return [InvalidProperty(path, f"must be an object, not {_kind(value)}")]
        return validate(prop.record, value, path)
    if prop.collection is list:
        return _validate_list(prop, value, path)
    if prop.collection is dict:
        return _validate_map(prop, value, path)
    mismatch = _type_mismatch(prop.type, value)
    if mismatch:
        return [InvalidProperty(path, mismatch)]
    reason = prop.rule.check(value) if prop.rule.check else None
    return [InvalidProperty(path, reason, topics.of_check(prop.rule.check))] if prop.rule.check and reason else []


def _validate_list(prop: Property, value: Any, path: str) -> list[InvalidProperty]:
    """Validate a list. The rule's check applies to each plain item."""
    if not isinstance(value, list):
        return [InvalidProperty(path, f"must be a list, not {_kind(value)}")]
    if not value:
        return [InvalidProperty(path, "must not be empty")]
    checked = ((index, each) for index, each in enumerate(value) if not isinstance(each, Unknown))
    return [failure for index, each in checked for failure in _validate_value(prop.item, each, f"{path}[{index}]")]


def _validate_map(prop: Property, value: Any, path: str) -> list[InvalidProperty]:
    """Validate a map. The rule's check applies to each plain item."""
    if not isinstance(value, Mapping):
        return [InvalidProperty(path, f"must be a map, not {_kind(value)}")]
    checked = ((name, each) for name, each in value.items() if not isinstance(each, Unknown))
    return [failure for name, each in checked for failure in _validate_value(prop.item, each, f'{path}["{name}"]')]


def _type_mismatch(wanted: Any, value: Any) -> str | None:
    if isinstance(wanted, type) and issubclass(wanted, Choice):
        words = _words(wanted)
        fits = isinstance(value, str) and value in words
        return None if fits else f"must be one of {', '.join(words.values())}, not {_shown(value)}"
    if wanted is bool:
        return None if isinstance(value, bool) else f"must be true or false, not {_kind(value)}{_unquoted(value)}"
    if wanted is int:
        whole = isinstance(value, (int, float)) and not isinstance(value, bool) and float(value).is_integer()
        return None if whole else f"must be a whole number, not {_kind(value)}{_unquoted(value)}"
    return None if isinstance(value, str) else f"must be text, not {_kind(value)}. Put it in quotes"


@functools.cache
def _words(choice: type[Choice]) -> Mapping[str, str]:
    """Return the values of a choice, as the user writes them and as errors show them."""
    return {member.value: f"`{member.value}`" for member in choice}


def _unquoted(value: Any) -> str:
    quoted = isinstance(value, str) and (value.isdecimal() or value in ("true", "false"))
    return ". Write it without quotes" if quoted else ""


_KINDS = {bool: "a boolean", int: "a number", float: "a number", str: "text", list: "a list", dict: "an object"}


def _kind(value: Any) -> str:
    return _KINDS.get(type(value), "something else")


def _shown(value: Any) -> str:
    return f"`{value}`" if isinstance(value, str) else _kind(value)


def _convert(prop: Property, value: Any) -> Any:
    if prop.record is not None:
        return build(prop.record, value)
    if prop.collection is dict:
        return {name: _convert(prop.item, each) for name, each in value.items()}
    return [_convert(prop.item, each) for each in value] if prop.collection is list else prop.type(value)


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return dump(value)
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return value.value if isinstance(value, Enum) else value
