"""The contracts of import-linter in pyproject.toml: an import that one forbids fails the check."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINT = "from importlinter.cli import lint_imports_command; lint_imports_command()"


@pytest.mark.parametrize(
    ("file", "line", "broken"),
    [
        (
            "avma/functions/get_avma_key.py",
            "import requests, pypsrp",
            ["avma.functions.get_avma_key -> pypsrp", "avma.functions.get_avma_key -> requests"],
        ),
        (
            "avma_simulator/state/licensing.py",
            "import avma.properties",
            ["avma_simulator.state.licensing -> avma.properties"],
        ),
    ],
    ids=["HTTP outside of avma.wsman", "the core in the simulator"],
)
def test_a_forbidden_import_fails_the_check(tmp_path: Path, file: str, line: str, broken: list[str]) -> None:
    shutil.copytree(ROOT / "provider", tmp_path / "provider", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path / "provider")
    changed = tmp_path / "provider" / file
    changed.write_text(f"{changed.read_text('utf-8')}\n{line}\n", "utf-8")
    linted = subprocess.run(
        [sys.executable, "-c", LINT, "--no-cache", "--no-logo"],
        cwd=tmp_path / "provider",
        env=os.environ | {"PYTHONPATH": str(tmp_path / "provider")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (linted.returncode, linted.stderr) == (1, "")
    imports = [text.partition(" (l.")[0] for text in linted.stdout.splitlines() if text.startswith("- ")]
    imports = [text.removeprefix("- ").strip() for text in imports]
    assert sorted(imports) == broken
