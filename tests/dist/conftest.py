"""Shared fixtures: the output of `make dist`, and an environment without anything else."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WHEELS = ROOT / ".cache" / "wheels"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark all tests in this folder: only `make test` installs their requirements, and one process builds the packages."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.engine)
            item.add_marker(pytest.mark.xdist_group("dist"))


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder with all packages, built from the checkout."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, ROOT / "tools" / "packages.py", folder)
    return folder


@pytest.fixture(scope="session")
def installed(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the programs of a new environment with the project's packages, installed from the folder only.

    The other packages have pinned versions and come from the folder of tools/wheels.
    """
    home = tmp_path_factory.mktemp("venv")
    venv.create(home, with_pip=True)
    packages = (f"{one(built, 'pulumi_resource_avma-*.whl')}[simulator]", one(built, "pulumi_avma-*.whl"))
    run(home / "bin" / "python", "-m", "pip", "install", "-q", "--no-index", "--find-links", WHEELS, *packages)
    return home / "bin"


def one(folder: Path, pattern: str) -> Path:
    """Return the only file that matches the pattern."""
    (found,) = folder.glob(pattern)
    return found


def run(*command: str | Path, cwd: Path | None = None, **environment: str) -> str:
    """Run a program without the checkout on any path, and return its output."""
    plain = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=plain | environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout
