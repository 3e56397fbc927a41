"""The inputs that schema.json declares, and a search for those that a set of programs or calls does not use."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

SCHEMA: dict[str, Any] = json.loads((Path(__file__).parents[1] / "schema.json").read_text("utf-8"))
PROVIDER = "avma"
"""The name of the provider's configuration. Resources and functions have the last part of their tokens."""
_EACH = "*"
"""A step of a path to all items of a list, or to all values of a map."""

Steps = tuple[str, ...]


def unused_inputs(used: Iterable[tuple[str, Any]], *, only_secrets: bool = False) -> list[str]:
    """Return the inputs that occur nowhere, also the nested ones.

    `used` contains names of resources, functions and the provider, each with some of its inputs.
    """
    known = list(used)
    return [
        f"{name}: {'.'.join(steps)}"
        for name, properties in _owners()
        for steps, entry in _inputs(properties)
        if entry.get("secret") or not only_secrets
        if not any(owner == name and _occurs(steps, values) for owner, values in known)
    ]


def _owners() -> Iterator[tuple[str, Mapping[str, Any]]]:
    yield PROVIDER, SCHEMA["provider"]["inputProperties"]
    for token, resource in SCHEMA["resources"].items():
        yield token.rpartition(":")[2], resource["inputProperties"]
    for token, function in SCHEMA["functions"].items():
        yield token.rpartition(":")[2], function["inputs"]["properties"]


def _inputs(properties: Mapping[str, Any], prefix: Steps = ()) -> Iterator[tuple[Steps, Mapping[str, Any]]]:
    """Yield the path and the schema of each property, also in records, lists and maps."""
    for name, entry in properties.items():
        steps, inner = (*prefix, name), entry
        yield steps, entry
        while "items" in inner or "additionalProperties" in inner:
            steps, inner = (*steps, _EACH), inner.get("items") or inner["additionalProperties"]
        record = SCHEMA["types"].get(inner.get("$ref", "").removeprefix("#/types/"), {})
        yield from _inputs(record.get("properties", {}), steps)


def _occurs(steps: Steps, value: Any) -> bool:
    if not steps:
        return True
    if steps[0] == _EACH:
        items = value.values() if isinstance(value, Mapping) else value
        return any(_occurs(steps[1:], item) for item in items)
    return isinstance(value, Mapping) and steps[0] in value and _occurs(steps[1:], value[steps[0]])
