"""Names that a reader can look up: no class name stands for two things."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

PROVIDER = Path(__file__).parents[2] / "provider"


def test_no_class_name_occurs_twice_outside_the_simulator() -> None:
    found = defaultdict(set)
    for file in PROVIDER.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.ClassDef) and "avma_simulator" not in file.parts:
                found[node.name].add(str(file.relative_to(PROVIDER)))
    assert {name: files for name, files in found.items() if len(files) > 1} == {}
