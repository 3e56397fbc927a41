"""Shared fixtures for `avma report` against the simulator, over real sockets."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from avma_cli.__main__ import app
from avma_simulator import EstateServer, load_estate, running
from report.estate import ESTATE, GUEST_PASSWORD, LIST, PASSWORD, SECRETS


@pytest.fixture(scope="package")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EstateServer]:
    """The simulated machines for tests that do not change them."""
    file = tmp_path_factory.mktemp("estate") / "estate.yaml"
    file.write_text(ESTATE, encoding="utf-8")
    with running(load_estate(file)) as server:
        yield server


@pytest.fixture(scope="session", autouse=True)
def interruptible() -> None:
    """Enable Ctrl+C for the commands. If a shell runs the tests in the background, they would ignore it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def estate(tmp_path: Path) -> Path:
    """A list with a cluster and a standalone host."""
    return written(tmp_path / "estate.yaml", LIST)


@pytest.fixture(autouse=True)
def passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AVMA_PASSWORD", PASSWORD)
    monkeypatch.setenv("AVMA_GUEST_PASSWORD", GUEST_PASSWORD)


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def report(*arguments: object, code: int = 0, text: str | None = None, **environment: str) -> str:
    """Run the command and return its output, which must contain no secrets."""
    result = CliRunner().invoke(
        app, ["report", *map(str, arguments)], input=text, env={"COLUMNS": "200", **environment}
    )
    assert not [secret for secret in SECRETS if secret in result.output]
    assert (result.exit_code, result.exception is None or isinstance(result.exception, SystemExit)) == (code, True)
    return result.output


def reported(*arguments: object, code: int = 0, text: str | None = None) -> dict[str, Any]:
    """Run the command with `--json` and return the document."""
    return dict(json.loads(report(*arguments, "--json", code=code, text=text)))


def hosts(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {host["host"]: host for host in document["hosts"]}


def vms(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {vm["vmName"]: vm for host in document["hosts"] for vm in host["vms"]}
