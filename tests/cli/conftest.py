"""Shared fixtures for `avma doctor` against the simulator, over real sockets."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from avma_cli.__main__ import app
from avma_simulator import EstateServer, load_estate, running, running_recording
from cli.estate import ADMINISTRATOR, ESTATE, PASSWORD
from loopback import address, relocated

RECORDED = "127.77.0.1"
"""The first machine of a recording."""
REPLAYED = address(201)
"""The first machine of a replay."""
REPLAY_PASSWORD = "Replayed-9"


@pytest.fixture(scope="package")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EstateServer]:
    """The simulated machines for tests that do not change them."""
    file = tmp_path_factory.mktemp("estate") / "estate.yaml"
    file.write_text(ESTATE, encoding="utf-8")
    with running(load_estate(file)) as server:
        yield server


@pytest.fixture(autouse=True)
def account(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AVMA_USERNAME", ADMINISTRATOR)
    monkeypatch.setenv("AVMA_PASSWORD", PASSWORD)
    monkeypatch.setenv("AVMA_CONNECT_TIMEOUT", "5s")


def doctor(*arguments: object) -> Result:
    """Run the command. Its output must not contain the password."""
    result = CliRunner().invoke(app, ["doctor", *map(str, arguments)])
    assert PASSWORD not in result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result


def diagnosed(*arguments: object) -> dict[str, Any]:
    """Run the command with `--json` and return the document. Its verdict must match the exit code."""
    result = doctor(*arguments, "--json")
    document = json.loads(result.stdout)
    assert result.exit_code == (0 if document["passed"] else 1)
    return dict(document)


def statuses(document: dict[str, Any]) -> list[tuple[str, str]]:
    return [(step["rung"], step["status"]) for step in document["steps"]]


def causes(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [step for step in document["steps"] if step["status"] == "fail"]


def recorded(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@contextmanager
def replay(recording: Path, username: str = "") -> Iterator[None]:
    """Replay a recording until the block ends, at addresses of this process."""
    moved = recording.with_suffix(".relocated")
    moved.write_text(relocated(recording.read_text(encoding="utf-8"), by=200), encoding="utf-8")
    with running_recording(moved, username, REPLAY_PASSWORD, 5985):
        yield
