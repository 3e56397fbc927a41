"""Usability of the `avma` command: help with examples, completion, version, colors, exit codes."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import pulumi_resource_avma
from avma_cli.__main__ import app

COMMANDS = ("doctor", "explain", "report", "simulate")
AVMA = [sys.executable, "-m", "avma_cli"]


def printed(*arguments: str, **environment: str) -> str:
    done = subprocess.run([*AVMA, *arguments], env=os.environ | environment, capture_output=True, text=True, check=True)
    return done.stdout


def test_the_version() -> None:
    assert printed("--version") == f"avma {pulumi_resource_avma.__version__}\n"


def test_help_names_each_command_and_shows_how() -> None:
    text = CliRunner().invoke(app, ["--help"]).stdout
    for command in COMMANDS:
        assert f"avma {command} " in text


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_has_an_example(command: str) -> None:
    text = " ".join(CliRunner().invoke(app, [command, "--help"]).stdout.split())
    assert f"avma {command}" in text


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "powershell"])
def test_each_shell_has_a_completion(shell: str) -> None:
    assert "_AVMA_COMPLETE" in printed(_AVMA_COMPLETE=f"source_{shell}")


@pytest.mark.skipif(not shutil.which("bash"), reason="no bash here")
def test_bash_completes_commands_and_options(tmp_path: Path) -> None:
    (tmp_path / "avma").write_text(f'#!/bin/sh\nexec {sys.executable} -m avma_cli "$@"\n')
    (tmp_path / "avma").chmod(0o755)
    (tmp_path / "completion").write_text(printed(_AVMA_COMPLETE="source_bash"))
    script = """
        source completion
        completed() {
            COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=()
            _avma_completion avma
            echo "${COMPREPLY[@]}"
        }
        completed avma do
        completed avma doctor --kerb
        completed avma report --guest-transport ""
        completed avma explain not-
        completed avma explain 0xc004f05
    """
    environment = {**os.environ, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    command = [str(shutil.which("bash")), "-c", script]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    commands, options, values, kinds, numbers = done.stdout.splitlines()
    assert commands == "doctor"
    assert set(options.split()) == {"--kerberos-keytab", "--kerberos-hostname"}
    assert set(values.split()) == {"powershellDirect", "winrm"}
    assert set(kinds.split()) == {"not-ready", "not-found", "not-eligible"}
    assert set(numbers.split()) == {"0xc004f050", "0xc004f056"}


@pytest.mark.parametrize("shell", ["zsh", "fish", "powershell"])
def test_a_shell_that_may_not_be_here_gets_its_answer(shell: str) -> None:
    asked = {"_TYPER_COMPLETE_ARGS": "avma doctor --kerberos-", "_TYPER_COMPLETE_WORD_TO_COMPLETE": "--kerberos-"}
    answer = printed(_AVMA_COMPLETE=f"complete_{shell}", _TYPER_COMPLETE_FISH_ACTION="get-args", **asked)
    assert set(re.findall(r"--kerberos-[a-z]+", answer)) == {"--kerberos-keytab", "--kerberos-hostname"}


def test_the_page_names_each_option_that_all_share_and_each_exit_code() -> None:
    page = (Path(__file__).parents[2] / "docs" / "cli.md").read_text("utf-8")
    helps = {command: CliRunner(env={"COLUMNS": "200"}).invoke(app, [command, "--help"]).stdout for command in COMMANDS}
    shared = set(re.findall(r"--[a-z-]+", helps["doctor"])) & set(re.findall(r"--[a-z-]+", helps["report"]))
    assert not [option for option in shared - {"--help", "--no-https"} if option not in page]
    for code in ("| 0 |", "| 1 |", "| 2 |", "| 3 |", "| 130 |"):
        assert code in page


def test_a_wrong_environment_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AVMA_GUEST_PORT", "many")
    monkeypatch.setenv("AVMA_HTTPS", "no")
    result = CliRunner().invoke(app, ["doctor", "127.0.0.1"])
    assert result.exit_code == 2
    assert "guest.port (from AVMA_GUEST_PORT): must be a whole number" in result.stderr
    assert "--https (from AVMA_HTTPS): must be true or false" in result.stderr
