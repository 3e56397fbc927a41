"""Faults hit each operation that reaches a machine: those of each resource of the schema, and its functions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from faults.scenarios import SCENARIOS
from schema_inputs import SCHEMA

NAMES = [scenario.name for scenario in SCENARIOS]


def _deletions(inputs: dict[str, Any]) -> Iterator[str]:
    if "onDelete" not in inputs:
        yield "delete"
        return
    token = inputs["onDelete"]["$ref"].rpartition("/")[2]
    yield from (f"delete, {choice['value']}" for choice in SCHEMA["types"][token]["enum"])


@pytest.mark.parametrize("token", SCHEMA["resources"])
def test_faults_hit_each_operation_of_a_resource(token: str) -> None:
    inputs = SCHEMA["resources"][token]["inputProperties"]
    kind = token.rpartition(":")[2]
    operations = {name.partition(": ")[2] for name in NAMES if name.startswith(kind)}
    replaces = any(each.get("willReplaceOnChanges") for each in inputs.values())
    expected = {"preview of a creation", "create", "refresh", "refresh of drift", "import", *_deletions(inputs)}
    assert expected | ({"replace"} if replaces else set()) <= operations
    assert any(name.startswith("update") for name in operations)


def test_faults_hit_each_function_that_connects() -> None:
    functions = SCHEMA["functions"].items()
    connecting = [token.rpartition(":")[2] for token, each in functions if "connection" in each["inputs"]["properties"]]
    assert len(connecting) == 5
    assert [function for function in connecting if not any(name.endswith(function) for name in NAMES)] == []
