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
DANGEROUS_MODULES = {"subprocess", "multiprocessing", "pty", "pickle", "marshal", "shelve", "ctypes", "code", "runpy"}
DANGEROUS_CALLS = {"eval", "exec", "compile", "__import__"}
DANGEROUS_NAMES = {"system", "popen", "fork", "forkpty", "posix_spawn", "posix_spawnp", "startfile", "unsafe_load"}
DANGEROUS_NAMES |= {
    "create_subprocess_exec",
    "create_subprocess_shell",
    "ProcessPoolExecutor",
    "spec_from_file_location",
}
DANGEROUS_NAMES |= {f"{kind}{form}" for kind in ("exec", "spawn") for form in ("l", "le", "lp", "v", "ve", "vp", "vpe")}
"""Names of other modules, whether they are imported or called with a dot."""


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


def dangers(source: str) -> Iterator[str]:
    """Yield what could start a process or run a text: modules, built-in functions, and names of modules."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.partition(".")[0] in DANGEROUS_MODULES)
        elif isinstance(node, ast.ImportFrom):
            yield from {(node.module or "").partition(".")[0]} & DANGEROUS_MODULES
            yield from {alias.name for alias in node.names} & (DANGEROUS_NAMES | DANGEROUS_MODULES)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            yield from {node.func.id} & DANGEROUS_CALLS
        elif isinstance(node, ast.Attribute):
            yield from {node.attr} & (DANGEROUS_NAMES - {"system"})
            yield from {ast.unparse(node)} & {"os.system", "yaml.load"}


@pytest.mark.parametrize("file", PROVIDER, ids=lambda file: str(file.relative_to(ROOT / "provider")))
def test_the_provider_starts_no_process_and_runs_no_text(file: Path) -> None:
    assert list(dangers(file.read_text("utf-8"))) == []


@pytest.mark.parametrize(
    "source",
    [
        "import subprocess as s",
        "import concurrent.futures\nconcurrent.futures.ProcessPoolExecutor()",
        "from concurrent.futures import ProcessPoolExecutor",
        "from os import system",
        "from asyncio import subprocess",
        "import os as o\no.popen('id')",
        "asyncio.create_subprocess_exec('id')",
        "from multiprocessing.pool import Pool",
        "eval('1')",
        "yaml.load(text)",
        "yaml.unsafe_load(text)",
    ],
)
def test_what_starts_a_process_or_runs_a_text_is_found(source: str) -> None:
    assert list(dangers(source))


def test_a_script_limits_the_output_of_one_guest() -> None:
    text = powershell.load("cim-in-guest").text
    received = text.index("Receive-Job ")
    limited = text.index("if ($text.Length -gt 500000) { return")
    assert received < limited < text.index("return @{ text = ")
    assert text.count("Receive-Job ") == 1
