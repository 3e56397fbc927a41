"""The values that the declarations mark as secret, independent of the marks in the user's program."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from avma.properties import properties
from pulumi_resource_avma.values import Path


def declared(record: type, values: Mapping[str, Any]) -> frozenset[Path]:
    """Return the paths of the values that the record declares secret.

    They are leaves, never the objects around them.
    """
    return frozenset(_declared(record, values, ()))


def _declared(record: type, values: Mapping[str, Any], prefix: Path) -> Iterator[Path]:
    for prop in properties(record):
        value = values.get(prop.name)
        path = (*prefix, prop.name)
        if value is not None and prop.rule.secret:
            yield path
        elif prop.record is not None and isinstance(value, Mapping):
            yield from _declared(prop.record, value, path)
