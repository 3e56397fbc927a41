"""How a property is declared: once, as a field of a frozen dataclass, with its documentation and its rules.

From such a class come the checks of what a user wrote, the record that the code works with, the values that are
stored, and the front ends' schemas. Names are snake_case in Python and camelCase outside. The module knows nothing of
what the properties mean.
"""

from __future__ import annotations

import dataclasses
import difflib
import json
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeVar

from avma import topics

Values = Mapping[str, Any]
"""Values as a front end passes them: camelCase names to None, bool, number, str, list, mapping or `UNKNOWN`."""

T = TypeVar("T")


class Unknown:
    """A value that exists only once another resource has been made; found in previews alone."""

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN = Unknown()


class Choice(str, Enum):
    """A property with named values; each member is declared as `NAME = "value", "what it means"`."""

    description: str

    def __new__(cls, value: str, description: str) -> Choice:
        """Make the member a string equal to its value."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.description = description
        return member


@dataclass(frozen=True)
class Failure:
    """One thing that is wrong with what the user wrote: the property's path and the reason, remedy included.

    `topic` is the argument of `avma explain`. A front end adds the command, as several failures can share one.
    """

    path: str
    reason: str
    topic: str = topics.INVALID_INPUT


@dataclass(frozen=True)
class Rule:
    """What is declared about a property beside its name, type and default.

    `unset` says in words what holds where there is no default and the property is left out.
    """

    description: str
    unit: str = ""
    unset: str = ""
    example: Any = None
    secret: bool = False
    replaces: bool = False
    check: Callable[[Any], str | None] | None = None
    environment: tuple[str, ...] = ()


@dataclass(frozen=True)
class Property:
    """A declared property: `name` outside, `attribute` inside, the bare type (without None) and the rules."""

    name: str
    attribute: str
    type: Any
    required: bool
    default: Any
    rule: Rule

    @property
    def documentation(self) -> str:
        """The description, followed by unit, default, environment variables and an example, as far as there are."""
        default = f"`{_written(self.default)}`" if self.default is not None else self.rule.unset
        facts = {
            "Unit": self.rule.unit,
            "Default": default,
            "Environment": ", ".join(f"`{name}`" for name in self.rule.environment),
            "Example": f"`{_written(self.example)}`" if self.example is not None else "",
        }
        return " ".join([self.rule.description, *(f"{name}: {fact}." for name, fact in facts.items() if fact)])

    @property
    def example(self) -> Any:
        """A value that can be given: the declared one, or of a boolean that which is not its default."""
        opposite = not self.default if self.type is bool else None
        return opposite if self.rule.example is None else self.rule.example

    @property
    def record(self) -> type | None:
        """The dataclass of a nested property, None for a plain one."""
        return self.type if isinstance(self.type, type) and dataclasses.is_dataclass(self.type) else None


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
) -> Any:
    """Declare a property as a dataclass field; without a default it is required.

    `check` looks at a known value and returns what is wrong with it. `environment` names the variables that give the
    value where nothing else does.
    """
    rule = Rule(description, unit, unset, example, secret, replaces, check, environment)
    return dataclasses.field(default=default, metadata={"rule": rule})


def properties(record: type) -> tuple[Property, ...]:
    """Return the declared properties of a record class, in their order.

    The class attribute `environment_prefix` of a record replaces the environment variables that its properties declare.
    """
    hints = typing.get_type_hints(record)
    prefix: str | None = getattr(record, "environment_prefix", None)
    return tuple(
        Property(
            name=camel_case(field.name),
            attribute=field.name,
            type=_bare(hints[field.name]),
            required=field.default is dataclasses.MISSING,
            default=None if field.default is dataclasses.MISSING else field.default,
            rule=_prefixed(field.metadata["rule"], prefix, field.name),
        )
        for field in dataclasses.fields(record)
        if "rule" in field.metadata
    )


def _prefixed(rule: Rule, prefix: str | None, attribute: str) -> Rule:
    if prefix is None or not rule.environment:
        return rule
    return dataclasses.replace(rule, environment=(f"{prefix}{attribute.upper()}",))


def camel_case(attribute: str) -> str:
    """Turn `product_key` into `productKey`."""
    head, *tail = attribute.split("_")
    return head + "".join(word.capitalize() for word in tail)


def validate(record: type, values: Values, path: str = "") -> list[Failure]:
    """Return everything that is wrong with the values for that record; unknown values pass."""
    prefix = f"{path}." if path else ""
    declared = {declared.name: declared for declared in properties(record)}
    failures = [Failure(prefix + name, _unknown_name(name, declared)) for name in values if name not in declared]
    for name, prop in declared.items():
        value = values.get(name)
        if value is None and prop.required:
            failures.append(Failure(prefix + name, "is required"))
        if value is not None and not isinstance(value, Unknown):
            failures += _validate_value(prop, value, prefix + name)
    return failures


def build(record: type[T], values: Values) -> T:
    """Make the record from validated values; what is absent takes its default.

    Raises:
        KeyError: a required value is absent or unknown; `validate` reports the former.
    """
    arguments: dict[str, Any] = {}
    for prop in properties(record):
        value = values.get(prop.name)
        if isinstance(value, Unknown) or (value is None and prop.required):
            raise KeyError(prop.name)
        if value is not None:
            arguments[prop.attribute] = _convert(prop, value)
    return record(**arguments)


def dump(instance: Any) -> dict[str, Any]:
    """Return the record's values under their outside names, without those that are None."""
    pairs = ((prop.name, getattr(instance, prop.attribute)) for prop in properties(type(instance)))
    return {name: _plain(value) for name, value in pairs if value is not None}


def known(values: Any) -> bool:
    """Say whether no value in a tree of values is unknown."""
    return not any(isinstance(leaf, Unknown) for leaf in _leaves(values))


def _bare(hint: Any) -> Any:
    """Strip `| None` from a type."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        inner = [argument for argument in typing.get_args(hint) if argument is not type(None)]
        return inner[0] if len(inner) == 1 else hint
    return hint


def _unknown_name(name: str, declared: Mapping[str, Property]) -> str:
    close = difflib.get_close_matches(name, declared, n=1)
    hint = f"did you mean `{close[0]}`?" if close else f"the properties are {', '.join(sorted(declared))}"
    return f"is not a property here; {hint}"


def _validate_value(prop: Property, value: Any, path: str) -> list[Failure]:
    if prop.record is not None:
        if not isinstance(value, Mapping):
            return [Failure(path, f"must be an object, not {_kind(value)}")]
        return validate(prop.record, value, path)
    if typing.get_origin(prop.type) is list:
        return _validate_list(prop, value, path)
    if typing.get_origin(prop.type) is dict:
        return _validate_map(prop, value, path)
    mismatch = _type_mismatch(prop.type, value)
    if mismatch:
        return [Failure(path, mismatch)]
    reason = prop.rule.check(value) if prop.rule.check else None
    return [Failure(path, reason, topics.of_check(prop.rule.check))] if prop.rule.check and reason else []


def _validate_list(prop: Property, value: Any, path: str) -> list[Failure]:
    """Validate a list of plain values; the rule's check is for each of them."""
    if not isinstance(value, list):
        return [Failure(path, f"must be a list, not {_kind(value)}")]
    if not value:
        return [Failure(path, "must not be empty")]
    item = dataclasses.replace(prop, type=typing.get_args(prop.type)[0])
    checked = ((index, each) for index, each in enumerate(value) if not isinstance(each, Unknown))
    return [failure for index, each in checked for failure in _validate_value(item, each, f"{path}[{index}]")]


def _validate_map(prop: Property, value: Any, path: str) -> list[Failure]:
    """Validate a map of plain values; the rule's check is for each of them."""
    if not isinstance(value, Mapping):
        return [Failure(path, f"must be a map, not {_kind(value)}")]
    item = dataclasses.replace(prop, type=typing.get_args(prop.type)[1])
    checked = ((name, each) for name, each in value.items() if not isinstance(each, Unknown))
    return [failure for name, each in checked for failure in _validate_value(item, each, f'{path}["{name}"]')]


def _type_mismatch(wanted: Any, value: Any) -> str | None:
    if isinstance(wanted, type) and issubclass(wanted, Choice):
        words = ", ".join(f"`{member.value}`" for member in wanted)
        fits = isinstance(value, str) and value in {member.value for member in wanted}
        return None if fits else f"must be one of {words}, not {_shown(value)}"
    if wanted is bool:
        return None if isinstance(value, bool) else f"must be true or false, not {_kind(value)}{_unquoted(value)}"
    if wanted is int:
        whole = isinstance(value, (int, float)) and not isinstance(value, bool) and float(value).is_integer()
        return None if whole else f"must be a whole number, not {_kind(value)}{_unquoted(value)}"
    return None if isinstance(value, str) else f"must be text, not {_kind(value)}; put it in quotes"


def _unquoted(value: Any) -> str:
    quoted = isinstance(value, str) and (value.isdecimal() or value in ("true", "false"))
    return "; write it without quotes" if quoted else ""


def _written(value: Any) -> str:
    plain = _plain(value)
    return plain if isinstance(plain, str) else json.dumps(plain)


def _kind(value: Any) -> str:
    names = {
        bool: "a boolean",
        int: "a number",
        float: "a number",
        str: "text",
        list: "a list",
        dict: "an object",
    }
    return names.get(type(value), "something else")


def _shown(value: Any) -> str:
    return f"`{value}`" if isinstance(value, str) else _kind(value)


def _convert(prop: Property, value: Any) -> Any:
    if prop.record is not None:
        return build(prop.record, value)
    if typing.get_origin(prop.type) is list:
        item = dataclasses.replace(prop, type=typing.get_args(prop.type)[0])
        return [_convert(item, each) for each in value]
    return prop.type(value)


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return dump(value)
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value.value if isinstance(value, Enum) else value


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, Mapping):
        for item in value.values():
            yield from _leaves(item)
    elif isinstance(value, list):
        for item in value:
            yield from _leaves(item)
    else:
        yield value
