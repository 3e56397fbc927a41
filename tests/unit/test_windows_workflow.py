"""The workflow on Windows runners, as far as another system can check it: its scripts parse and fit together."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tree_sitter
import tree_sitter_powershell
import yaml
from typer.core import TyperGroup
from typer.main import get_command

from avma_cli.__main__ import app

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "tools" / "windows"
SCRIPTS = sorted(FOLDER.glob("*.ps1"))
PRODUCT = sorted((ROOT / "provider" / "avma" / "windows" / "scripts").glob("*.ps1"))
POSIX = re.compile(
    r"/proc/|/dev/(?!null)|'/tmp|S_IMODE|st_mode|\bchmod\(|os\.(?:fork|getuid|geteuid|killpg|mkfifo|umask|openpty)|AF_UNIX"
    r"|send_signal|signal\.SIG|import resource|posix_only\.|unshare|#!/bin/|symlink_to|on_terminal\("
)
"""The uses of a POSIX system."""
CHANGING = {"New", "Set", "Remove", "Start", "Stop", "Restart", "Reset", "Update"}
"""The verbs of the rule about ShouldProcess."""
OF_PYTHON = re.compile(r"python -m pip install .*")
OWN = re.compile(r"tools/windows/(\w+)\.ps1.*")
PATHS = re.compile(r"\b(?:provider|tests|tools)/[\w/.-]+")


@pytest.fixture
def steps() -> list[dict[str, Any]]:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "windows.yml").read_text("utf-8"))
    found: list[dict[str, Any]] = workflow["jobs"]["windows"]["steps"]
    return found


@pytest.mark.parametrize("script", [*SCRIPTS, *FOLDER.glob("*.psd1")], ids=lambda script: script.name)
def test_the_scripts_are_powershell(script):
    parser = tree_sitter.Parser(tree_sitter.Language(tree_sitter_powershell.language()))
    root = parser.parse(script.read_bytes()).root_node
    assert not root.has_error


def test_each_command_is_in_a_script(steps):
    commands = [step["run"] for step in steps if "run" in step]
    assert [command for command in commands if not OF_PYTHON.fullmatch(command) and not OWN.fullmatch(command)] == []
    used = {found[1] for command in commands if (found := OWN.fullmatch(command))}
    assert used == {script.stem for script in SCRIPTS}


def test_each_excluded_rule_of_the_analyzer_has_a_reason():
    lines = (FOLDER / "PSScriptAnalyzerSettings.psd1").read_text("utf-8").splitlines()
    rules = [at for at, line in enumerate(lines) if re.fullmatch(r"\s+'PS\w+'", line)]
    assert rules
    assert [lines[at] for at in rules if not lines[at - 1].strip().startswith("# ")] == []


def test_the_analyzer_is_pinned_and_has_the_settings():
    text = (FOLDER / "analyze.ps1").read_text("utf-8")
    assert "Import-Module -Name PSScriptAnalyzer -RequiredVersion $version" in text
    assert "Install-Module -Name PSScriptAnalyzer -RequiredVersion $version" in text
    assert "-Settings $settings" in text


@pytest.mark.parametrize("script", [*SCRIPTS, *PRODUCT], ids=lambda script: script.stem)
def test_functions_pass_the_rules_for_names_or_the_rule_is_excluded(script):
    """PSScriptAnalyzer does not run here. Its rules for names are the most frequent findings."""
    excluded = (FOLDER / "PSScriptAnalyzerSettings.psd1").read_text("utf-8") + script.read_text("utf-8")
    names = re.findall(r"^\s*function (?:\w+:)?(\w+)-(\w+)", script.read_text("utf-8"), re.MULTILINE | re.IGNORECASE)
    broken = {
        *("PSUseShouldProcessForStateChangingFunctions" for verb, _ in names if verb in CHANGING),
        *("PSUseSingularNouns" for _, noun in names if re.search(r"[^s]s$", noun)),
        *("PSAvoidOverwritingBuiltInCmdlets" for verb, noun in names if f"{verb}-{noun}" == "Invoke-Command"),
    }
    assert {rule for rule in broken if f"'{rule}'" not in excluded} == set()


def test_the_tests_run_while_winrm_does_not_listen(steps):
    """The simulator listens on the ports of WinRM."""
    order = [found[1] for step in steps if (found := OWN.fullmatch(step.get("run", "")))]
    assert order.index("tests") < order.index("prepare") < order.index("conformance")
    text = (FOLDER / "tests.ps1").read_text("utf-8")
    assert text.index("Stop-Service -Name WinRM") < text.index("-m pytest")


def test_each_test_that_needs_posix_is_skipped_on_windows():
    """The folders are those of `tests.ps1`."""
    folders = re.findall(r"tests/\w+", (FOLDER / "tests.ps1").read_text("utf-8"))
    assert len(folders) > 3
    assert [place for folder in folders for place in unmarked(ROOT / folder)] == []


def unmarked(folder: Path) -> Iterator[str]:
    """Yield each test that uses something that Windows lacks, and has no mark."""
    for file in sorted(folder.rglob("test_*.py")):
        source = file.read_text("utf-8")
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_") and file != Path(__file__):
                marks = " ".join(ast.unparse(each) for each in node.decorator_list)
                used = POSIX.search(f"{marks}\n{ast.unparse(node)}")
                if used and "posix_only" not in marks and "skipif" not in marks:
                    yield f"{file.name}: {node.name}: {used[0]}"


def test_line_ends_are_the_same_on_all_systems():
    """The hashes of the scripts, and the comparisons with generated files, are over the bytes."""
    assert (ROOT / ".gitattributes").read_text("utf-8").splitlines()[0] == "* text=auto eol=lf"


def test_a_failed_step_does_not_hide_the_others(steps):
    after = steps[[step.get("run", "").endswith("-e .") for step in steps].index(True) + 1 :]
    assert [step for step in after if step.get("if") != "${{ !cancelled() }}"] == []


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_paths_in_the_scripts_exist(script):
    assert [path for path in PATHS.findall(script.read_text("utf-8")) if not (ROOT / path).exists()] == []


def test_the_suite_runs_with_options_of_its_command():
    text = (ROOT / "tools" / "windows" / "conformance.ps1").read_text("utf-8")
    commands = get_command(app)
    assert isinstance(commands, TyperGroup)
    command = commands.commands["conformance"]
    known = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    assert set(re.findall(r"--[\w-]+", text)) <= known
    assert "--spend" not in text
