from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from avma_cli import simulate as command
from avma_cli.__main__ import app
from simulator.client import Client
from simulator.conftest import ESTATE, MAK, RETAIL, write
from systems import posix_only
from waiting import PATIENCE, wait_until

AVMA = [sys.executable, "-W", "error", "-m", "avma_cli", "simulate"]


@contextmanager
def started(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Run the command, and kill it if the test failed before it stopped it."""
    with subprocess.Popen([*AVMA, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def waited(path: Path) -> dict[str, Any]:
    wait_until(path.exists)
    return dict(json.loads(path.read_text(encoding="utf-8")))


@posix_only("Windows has no such signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_until_it_is_stopped(tmp_path: Path, number: signal.Signals) -> None:
    ready = tmp_path / "ready.json"
    with started(str(write(tmp_path, ESTATE)), "--ready-file", str(ready)) as process:
        summary = waited(ready)
        machines = {machine["name"]: machine for machine in summary["machines"]}
        with Client(machines["hv01"]["urls"][1], ca=str(summary["caCertificate"])) as client:
            assert client.installed()["LicenseStatus"] == ["1"]
        process.send_signal(number)
        output, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert errors == ""
    for shown in ("hv01", machines["hv01"]["urls"][0], summary["control"], summary["caCertificate"], "no account"):
        assert str(shown) in output
    for secret in ("Pa55w.rd", MAK, RETAIL):
        assert secret not in output


@posix_only("Windows has no such signals")
def test_json_is_one_line(tmp_path: Path) -> None:
    with started(str(write(tmp_path, ESTATE)), "--json") as process:
        assert process.stdout is not None
        summary = json.loads(process.stdout.readline())
        process.send_signal(signal.SIGTERM)
        assert process.communicate(timeout=PATIENCE) == ("", "")
    assert process.returncode == 0
    assert set(summary) == {"machines", "clusters", "control", "caCertificate"}


def test_mistakes_in_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, "hosts: []\nkeys: 1\n")
    result = CliRunner().invoke(app, ["simulate", str(path)])
    assert result.exit_code == 2
    assert (
        result.stderr
        == f"{path}:1: hosts: must not be empty\n{path}:2: keys: must be a list\nSee: avma explain simulator\n"
    )


def test_a_port_in_use(tmp_path: Path) -> None:
    host = "hosts:\n- {name: h, version: 2025, edition: Datacenter, username: a, password: b, http: {port: %s}}"
    ready = tmp_path / "ready.json"
    with started(str(write(tmp_path, ESTATE)), "--ready-file", str(ready)) as process:
        port = str(waited(ready)["machines"][0]["urls"][0]).rpartition(":")[2].removesuffix("/wsman")
        (tmp_path / "other").mkdir()
        result = subprocess.run(
            [*AVMA, str(write(tmp_path / "other", host % port))],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        process.terminate()
        process.communicate(timeout=PATIENCE)
    assert result.returncode == 1
    assert result.stderr == (
        f"h: port {port} at 127.0.0.1 is already in use. Stop the other process, or set another port\n"
        "See: avma explain simulator\n"
    )


def test_missing_packages_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "avma_simulator", None)
    result = CliRunner().invoke(app, ["simulate", str(write(tmp_path, ESTATE))])
    assert result.exit_code == 1
    assert "pip install 'pulumi-resource-avma[simulator]'" in result.stderr


@pytest.mark.parametrize(("arguments", "taught"), [(["--help"], "simulate"), (["simulate", "--help"], "hosts:")])
def test_help_teaches(arguments: list[str], taught: str) -> None:
    result = CliRunner().invoke(app, arguments, env={"COLUMNS": "80"})
    assert result.exit_code == 0
    assert taught in result.stdout


def test_a_reader_never_sees_half_a_file(tmp_path: Path) -> None:
    command._write_at_once(tmp_path / "ready", "{}")
    assert [path.name for path in tmp_path.iterdir()] == ["ready"]
