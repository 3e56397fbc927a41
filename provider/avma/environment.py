"""Values of declared properties from environment variables, and from other sources that contain only text."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeVar

from avma.properties import Choice, Property, properties
from avma.settings import Settings
from avma.wording import setting

S = TypeVar("S", bound=Settings)


def from_environment(record: type, environment: Mapping[str, str] = os.environ) -> dict[str, Any]:
    """Return a record's property values from environment variables, in the form in which front ends pass them.

    Numbers and booleans are JSON. Other text is unchanged, so that validation can name it.
    """
    found = ((prop, _value(prop, environment)) for prop in properties(record))
    return {prop.name: value for prop, value in found if value is not None}


def complete(values: Mapping[str, Any], inherited: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values. Inherited ones fill the gaps, also in nested records."""
    merged = dict(inherited)
    for name, value in values.items():
        nested = isinstance(value, Mapping) and isinstance(merged.get(name), Mapping)
        if value is not None:
            merged[name] = complete(value, merged[name]) if nested else value
    return merged


def source_of(record: type, path: str, given: Mapping[str, Any], environment: Mapping[str, str] = os.environ) -> str:
    """Return a setting as errors name it: its property, and the environment variable if the value came from it."""
    variable = None if _has(given, path) else _variables(record, environment).get(path)
    return setting(path, variable=variable)


def with_sources(settings: S, given: Mapping[str, Any], environment: Mapping[str, str] = os.environ) -> S:
    """Return settings that name the environment variables of their values, except those that the user has given."""
    sources: dict[str, str] = {}
    nested: dict[str, Any] = {}
    for prop in properties(type(settings)):
        value, own, variable = getattr(settings, prop.name), given.get(prop.name), _variable(prop, environment)
        if isinstance(value, Settings):
            nested[prop.name] = with_sources(value, own or {}, environment)
        elif variable is not None and own is None:
            sources[prop.name] = variable
    return replace(settings, sources=sources, **nested)


def text_value(prop: Property, text: str) -> Any:
    """Return the value of a property from its text, for sources that contain only text."""
    if prop.type is str or (isinstance(prop.type, type) and issubclass(prop.type, Choice)):
        return text
    try:
        return json.loads(text.lower() if prop.type is bool else text)
    except ValueError:
        return text


def _value(prop: Property, environment: Mapping[str, str]) -> Any:
    if prop.record is not None:
        return from_environment(prop.record, environment) or None
    variable = _variable(prop, environment)
    return None if variable is None else text_value(prop, environment[variable])


def _variables(record: type, environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment variable that sets each property, by the property's path."""
    found: dict[str, str] = {}
    for prop in properties(record):
        variable = _variable(prop, environment)
        nested = _variables(prop.record, environment) if prop.record is not None else {}
        found.update({prop.name: variable} if variable is not None else {})
        found.update({f"{prop.name}.{name}": variable for name, variable in nested.items()})
    return found


def _variable(prop: Property, environment: Mapping[str, str]) -> str | None:
    """Return the first environment variable of a property that is set."""
    return next((name for name in prop.rule.environment if environment.get(name)), None)


def _has(values: Any, path: str) -> bool:
    """Return True if the user set a value at a path such as "guest.port"."""
    for name in path.split("."):
        values = values.get(name) if isinstance(values, Mapping) else None
    return values is not None
