"""How commands end: every error on stderr ends with the command that explains it."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from avma import explanations
from avma_cli.__main__ import app

COMMANDS = Path(__file__).parents[2] / "provider" / "avma_cli"
SEE = re.compile(r"See: avma explain (\S+)")
HOST = "192.0.2.1"


def run(*arguments: str, stdin: str = "") -> Result:
    return CliRunner().invoke(app, list(arguments), input=stdin)


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Change to a folder with unusable files."""
    monkeypatch.chdir(tmp_path)
    for name, text in {
        "empty.yaml": "",
        "list.yaml": "- 1",
        "broken.yaml": "hosts: [",
        "part.yaml": "hots: []",
        "nothing.yaml": "hosts: []",
        "entry.yaml": "hosts: [3]",
        "host.yaml": "hosts: ['127.1']",
        "settings.yaml": "settings: {port: 0}\nhosts: [hv01]",
        "good.yaml": "hosts: [hv01]",
    }.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    (tmp_path / "latin.yaml").write_bytes(b"hosts: [\xe9]")
    return tmp_path


@pytest.mark.parametrize(
    ("command", "topics"),
    [
        ("frob", ["usage"]),
        ("--frob", ["usage"]),
        ("doctor", ["usage"]),
        ("doctor --frob hv01", ["usage"]),
        ("doctor hv01 hv02", ["usage"]),
        ("doctor hv01 --port many", ["usage"]),
        ("doctor hv01 --json --quiet", ["usage"]),
        ("doctor hv01 --auth magic", ["usage"]),
        ("doctor hv01 --record good.yaml", ["usage"]),
        ("doctor hv01 --record missing/file", ["usage"]),
        ("doctor 127.1", ["invalid-host"]),
        ("doctor hv01 --address 127.1", ["invalid-host"]),
        ("doctor hv01 --port 0", ["invalid-input"]),
        ("doctor hv01 --port 0 --connect-timeout 1", ["invalid-input"]),
        ("doctor hv01 --no-https --auth basic", ["invalid-input"]),
        ("report", ["usage"]),
        ("report good.yaml --parallel 0", ["usage"]),
        ("report good.yaml --json --csv", ["usage"]),
        ("report good.yaml --timeout 3", ["invalid-input"]),
        ("report good.yaml --port 0", ["invalid-input"]),
        ("report missing.yaml", ["host-list"]),
        ("report empty.yaml", ["host-list"]),
        ("report list.yaml", ["host-list"]),
        ("report broken.yaml", ["host-list"]),
        ("report part.yaml", ["host-list"]),
        ("report nothing.yaml", ["host-list"]),
        ("report entry.yaml", ["host-list"]),
        ("report latin.yaml", ["host-list"]),
        ("report host.yaml", ["invalid-host"]),
        ("report settings.yaml", ["invalid-input"]),
        ("simulate", ["usage"]),
        ("simulate --frob", ["usage"]),
        ("simulate good.yaml --port 99999", ["usage"]),
        ("simulate missing.yaml", ["simulator"]),
        ("simulate empty.yaml", ["simulator"]),
        ("simulate broken.yaml", ["simulator"]),
        ("simulate good.yaml", ["simulator"]),
        ("simulate latin.yaml", ["simulator"]),
        ("simulate --replay missing.jsonl", ["simulator"]),
        ("simulate --replay good.yaml", ["simulator"]),
    ],
)
def test_a_command_that_cannot_run(
    files: Path, monkeypatch: pytest.MonkeyPatch, command: str, topics: list[str]
) -> None:
    monkeypatch.setenv("AVMA_PASSWORD", "Exit-pass-1")
    result = run(*command.split())
    assert result.exit_code == 2
    assert SEE.findall(result.stderr) == topics
    assert result.stderr.rstrip().endswith(f"See: avma explain {topics[-1]}")
    assert all(map(explanations.find, topics))


def test_several_mistakes_name_each_topic_once(files: Path) -> None:
    (files / "both.yaml").write_text("settings: {port: 0, https: 3}\nhosts: ['127.1', '127.2']", encoding="utf-8")
    assert SEE.findall(run("report", "both.yaml").stderr) == ["invalid-input", "invalid-host"]


@pytest.mark.parametrize("missing", ["AVMA_USERNAME", "AVMA_PASSWORD"])
def test_half_an_account(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    monkeypatch.delenv(missing)
    assert SEE.findall(run("doctor", HOST).stderr) == ["usage"]


def test_a_bug(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ValueError("Exit-pass-1")

    monkeypatch.setattr("avma_cli.report.command._collect", broken)
    monkeypatch.setattr("avma_cli.doctor.command._diagnose", broken)
    for command in (["report", "good.yaml"], ["doctor", HOST]):
        result = run(*command)
        assert result.exit_code == 1
        assert SEE.findall(result.stderr) == ["internal-error"]
        assert "Exit-pass-1" not in result.stderr


def test_help_without_a_command_is_not_an_error() -> None:
    result = run()
    assert result.exit_code == 2
    assert "explain" in result.stderr
    assert not SEE.search(result.stderr)


def test_no_command_ends_in_another_way() -> None:
    """An error from another module would not contain the command."""
    for file in COMMANDS.rglob("*.py"):
        calls = [node for node in ast.walk(ast.parse(file.read_text("utf-8"))) if isinstance(node, ast.Call)]
        to_stderr = [ast.unparse(call) for call in calls if any(word.arg == "err" for word in call.keywords)]
        prompts = [call for call in to_stderr if call.startswith("typer.prompt")]
        assert file.name == "exits.py" or to_stderr == prompts
        assert not [call for call in map(ast.unparse, calls) if call.startswith(("sys.exit", "sys.stderr"))]
