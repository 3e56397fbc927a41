"""The names of properties on both sides: `product_key` in the core, `productKey` in Pulumi and in all documents.

Names that a record does not declare stay the same in both directions, because the core reports them in errors, and the
engine adds names of its own. `records` are the classes that declare the properties.
"""

from __future__ import annotations

import dataclasses
import re
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from avma.properties import InvalidProperty, Property, properties, unknown_name, validate
from avma.wording import camel_case

_FIRST_STEP = re.compile(r"([^.\[]*)\.?(.*)", re.DOTALL)


def external(values: Mapping[str, Any], *records: type) -> dict[str, Any]:
    """Return values of the core with external names."""
    known = declared(*records)
    return {
        camel_case(name) if name in known else name: _converted(value, known.get(name), external)
        for name, value in values.items()
    }


def internal(values: Mapping[str, Any], *records: type) -> dict[str, Any]:
    """Return values with external names as values of the core. `misnamed` reports names of the core in them."""
    known = declared(*records)
    names = {camel_case(name): name for name in known}
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
    for name, prop in declared(record).items():
        if name in values and camel_case(name) != name:
            found.append(InvalidProperty(f"{path}{name}", unknown_name(name, declared(record))))
        nested = values.get(camel_case(name))
        if prop.record is not None and isinstance(nested, Mapping):
            found += misnamed(nested, prop.record, f"{path}{name}.")
    return found


def external_path(path: str, *records: type) -> str:
    """Return a path of the core, such as `guest.ready_timeout` or `hosts[0]`, with external names."""
    step = _FIRST_STEP.fullmatch(path)
    prop = declared(*records).get(step[1]) if step else None
    if step is None or prop is None:
        return path
    separator = path[len(step[1]) : len(path) - len(step[2])]
    rest = external_path(step[2], prop.record) if prop.record is not None else step[2]
    return f"{camel_case(step[1])}{separator}{rest}"


def external_failures(failures: Iterable[InvalidProperty], *records: type) -> Iterator[InvalidProperty]:
    """Yield failures of the core with external names in their paths."""
    for failure in failures:
        yield dataclasses.replace(failure, path=external_path(failure.path, *records))


def declared(*records: type) -> dict[str, Property]:
    """Return the properties of the records by their names in the core."""
    return {prop.name: prop for record in records for prop in properties(record)}


def _converted(value: Any, prop: Property | None, convert: Callable[..., dict[str, Any]]) -> Any:
    """Return a value with the names of nested records converted. Text stays, such as the JSON text of a setting."""
    if prop is None:
        return value
    if prop.record is not None and isinstance(value, Mapping):
        return convert(value, prop.record)
    if typing.get_origin(prop.type) is list and isinstance(value, list):
        item = typing.get_args(prop.type)[0]
        if dataclasses.is_dataclass(item):
            return [convert(each, item) if isinstance(each, Mapping) else each for each in value]
    return value
