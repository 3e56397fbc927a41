"""The names of properties on both sides: `product_key` in the core, `productKey` in Pulumi and in all documents.

Names that a record does not declare stay the same in both directions, because the core reports them in errors, and the
engine adds names of its own. `records` are the classes that declare the properties.
"""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from avma.properties import InvalidProperty, Property, by_name, unknown_name, validate
from avma.wording import camel_case

_ITEM = re.compile(r"(\[(?:\d+|\".*\")\]\.)(.*)", re.DOTALL)
_FIRST_STEP = re.compile(r"([^.\[]*)\.?(.*)", re.DOTALL)


def external(values: Mapping[str, Any], *records: type) -> dict[str, Any]:
    """Return values of the core with external names."""
    known = by_name(*records)
    return {
        camel_case(name) if name in known else name: _converted(value, known.get(name), external)
        for name, value in values.items()
    }


def internal(values: Mapping[str, Any], *records: type) -> dict[str, Any]:
    """Return values with external names as values of the core. `misnamed` reports names of the core in them."""
    known, names = by_name(*records), _internal_names(*records)
    return {
        names.get(name, name): _converted(value, known.get(names.get(name, "")), internal)
        for name, value in values.items()
        if name in names or name not in known
    }


def checked(values: Mapping[str, Any], record: type, path: str = "") -> tuple[dict[str, Any], list[InvalidProperty]]:
    """Return values with external names as values of the core, and all failures with external paths."""
    found = internal(values, record)
    failures = [*misnamed(values, record), *external_failures(validate(record, found), record)]
    prefix = f"{path}." if path else ""
    return found, [dataclasses.replace(failure, path=f"{prefix}{failure.path}") for failure in failures]


def misnamed(values: Mapping[str, Any], record: type, path: str = "") -> list[InvalidProperty]:
    """Return an error for each name of the core in values with external names, such as `product_key`."""
    found: list[InvalidProperty] = []
    for name, prop in _renamed_or_nested(record).items():
        if name in values and camel_case(name) != name:
            found.append(InvalidProperty(f"{path}{name}", unknown_name(name, by_name(record))))
        value = values.get(camel_case(name)) if prop.holds_records else None
        for steps, record, nested in records_in(prop, value) if value else ():
            place = "".join(f'["{step}"]' for step in steps)
            found += misnamed(nested, record, f"{path}{camel_case(name)}{place}.")
    return found


def records_in(prop: Property, value: Any) -> Iterator[tuple[tuple[str, ...], type, Mapping[str, Any]]]:
    """Yield each record in an input: the steps to it in the value, its class, and its values."""
    if not isinstance(value, Mapping):
        return
    if prop.record is not None:
        yield (), prop.record, value
    elif prop.collection is dict and prop.item.record is not None:
        for name, item in value.items():
            if isinstance(item, Mapping):
                yield (name,), prop.item.record, item


def external_path(path: str, *records: type) -> str:
    """Return a path of the core, such as `guest.ready_timeout` or `hosts[0]`, with external names."""
    step = _FIRST_STEP.fullmatch(path)
    prop = by_name(*records).get(step[1]) if step else None
    if step is None or prop is None:
        return path
    separator = path[len(step[1]) : len(path) - len(step[2])]
    return f"{camel_case(step[1])}{separator}{_external_rest(step[2], prop)}"


def _external_rest(path: str, prop: Property) -> str:
    """Return the rest of a path, below a property: a path in its record, or an item and a path in it."""
    if prop.record is not None:
        return external_path(path, prop.record)
    item = _ITEM.fullmatch(path)
    record = prop.item.record if prop.collection is not None else None
    return f"{item[1]}{external_path(item[2], record)}" if item and record is not None else path


def external_failures(failures: Iterable[InvalidProperty], *records: type) -> Iterator[InvalidProperty]:
    """Yield failures of the core with external names in their paths."""
    for failure in failures:
        yield dataclasses.replace(failure, path=external_path(failure.path, *records))


@functools.cache
def _internal_names(*records: type) -> Mapping[str, str]:
    """Return the names in the core by the external names."""
    return {camel_case(name): name for name in by_name(*records)}


@functools.cache
def _renamed_or_nested(record: type) -> Mapping[str, Property]:
    """Return the properties that have another name outside of the core, or contain properties, by name."""
    declared = by_name(record).items()
    return {name: prop for name, prop in declared if camel_case(name) != name or prop.holds_records}


def _converted(value: Any, prop: Property | None, convert: Callable[..., dict[str, Any]]) -> Any:
    """Return a value with the names of nested records converted. Text stays, such as the JSON text of a setting."""
    if prop is None:
        return value
    if prop.record is not None and isinstance(value, Mapping):
        return convert(value, prop.record)
    if prop.collection is None or prop.item.record is None:
        return value
    record = prop.item.record
    if prop.collection is list and isinstance(value, list):
        return [convert(each, record) if isinstance(each, Mapping) else each for each in value]
    if prop.collection is dict and isinstance(value, Mapping):
        return {name: convert(each, record) if isinstance(each, Mapping) else each for name, each in value.items()}
    return value
