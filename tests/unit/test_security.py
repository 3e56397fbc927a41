"""The threat model in docs/security.md: its lines name tests that exist, and the rules that source code can show."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from avma.windows import powershell

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "security.md").read_text("utf-8")
NAMED = sorted(set(re.findall(r"`([\w/]+\.py)::(\w+)`", PAGE)))
PROVIDER = [
    file
    for package in ("avma", "avma_cli", "pulumi_resource_avma")
    for file in (ROOT / "provider" / package).rglob("*.py")
]
DANGEROUS_MODULES = {"subprocess", "multiprocessing", "pty", "pickle", "marshal", "shelve", "ctypes", "code"}
DANGEROUS_CALLS = {"eval", "exec", "compile", "__import__", "os.system", "os.popen", "os.fork", "yaml.load"}
DANGEROUS_CALLS |= {
    f"os.{kind}{form}" for kind in ("exec", "spawn") for form in ("l", "le", "lp", "v", "ve", "vp", "vpe")
}


@pytest.mark.parametrize(("file", "test"), NAMED, ids="::".join)
def test_a_line_of_the_threat_model_names_a_test_that_exists(file: str, test: str) -> None:
    tree = ast.parse((ROOT / "tests" / file).read_text("utf-8"))
    defined = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    assert test in defined


def test_each_line_about_a_threat_names_a_test() -> None:
    threats = PAGE[PAGE.index("## A hostile host") :]
    lines = [line for line in threats.splitlines() if line.startswith("| ") and not line.endswith("| tests |")]
    assert len(lines) > 30
    assert [line for line in lines if ".py::" not in line.split(" | ")[-1]] == []


def used(file: Path) -> Iterator[str]:
    """Yield the modules that a file imports, and the functions that it calls, as they are written."""
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""
        elif isinstance(node, ast.Call):
            yield ast.unparse(node.func)


@pytest.mark.parametrize("file", PROVIDER, ids=lambda file: str(file.relative_to(ROOT / "provider")))
def test_the_provider_starts_no_process_and_runs_no_text(file: Path) -> None:
    assert set(used(file)) & (DANGEROUS_MODULES | DANGEROUS_CALLS) == set()


def test_a_script_limits_the_output_of_one_guest() -> None:
    text = powershell.load("cim-in-guest").text
    received = text.index("Receive-Job ")
    limited = text.index("if ($text.Length -gt 500000) { return")
    assert received < limited < text.index("return @{ text = ")
    assert text.count("Receive-Job ") == 1
