"""Helpers of tests are type-checked strictly, unlike the tests."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[2]
RELAXED = ("cli", "contract", "core", "e2e", "report", "simulator", "unit")
"""The folders in which tests need no annotations."""
STRICT = ("__init__", "conftest", "lab")
"""The names of modules that are strict in every folder."""


def test_every_helper_of_tests_is_in_the_strict_list() -> None:
    configuration = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    modules = (file for folder in RELAXED for file in (ROOT / "tests" / folder).rglob("*.py"))
    helpers = [file for file in modules if not file.stem.startswith("test_") and file.stem not in STRICT]
    names = [".".join(file.relative_to(ROOT / "tests").with_suffix("").parts) for file in helpers]
    assert [name for name in names if f'  "{name}",\n' not in configuration] == []
