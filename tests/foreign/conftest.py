"""Shared fixtures for WinRM clients of other projects, and a summary line for each that passed."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from avma_simulator import EstateServer, load_estate, running

CLIENTS = Path(__file__).parents[2] / ".cache" / "foreign"
PROGRAMS = Path(__file__).parent / "programs"
PASSWORD = "Pa55w.rd"
ESTATE = f"""
hosts:
- name: hv01
  version: "2025"
  edition: Datacenter
  http: {{}}
  https: {{}}
  logons: [LOGONS]
  username: Administrator
  password: {PASSWORD}
  quotas: {{shells: 5}}
"""
_LONGEST = 120
_PASSED = "foreign client"


@contextmanager
def served(folder: Path, logons: str) -> Iterator[EstateServer]:
    """Serve one machine with these authentication methods."""
    path = folder / "estate.yaml"
    path.write_text(ESTATE.replace("LOGONS", logons), encoding="utf-8")
    with running(load_estate(path)) as server:
        yield server


@pytest.fixture
def estate(tmp_path: Path) -> Iterator[EstateServer]:
    with served(tmp_path, "ntlm, basic, credssp") as server:
        yield server


@pytest.fixture
def passed(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Return a function that adds a line to the summary if the test passes."""
    return lambda line: record_property(_PASSED, line)


def installed(*path: str) -> Path:
    """Return the path of a client. Skip the test if it is not installed."""
    found = CLIENTS.joinpath(*path)
    if not found.exists():
        pytest.skip(f"no {path[-1]} here: tools/foreign-clients installs it where Debian and Node.js are")
    return found


def run(*command: str | Path, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a client with a minimal environment."""
    inherited = {"PATH": os.environ["PATH"], "HOME": str(cwd), "LANG": "C.UTF-8"}
    return subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=inherited | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_LONGEST,
        check=False,
    )


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print a line for each passed client and authentication method."""
    reports = terminalreporter.getreports("passed")
    lines = [value for report in reports for name, value in report.user_properties if name == _PASSED]
    if lines:
        terminalreporter.section("foreign clients served by the simulated estate")
    for line in lines:
        terminalreporter.write_line(str(line))
