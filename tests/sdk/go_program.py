"""The Go program, in its own module that uses the SDK in `sdk/go`."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from pulumi_resource_avma import GO_MODULE

GO = shutil.which("go") or ""
_SDK = Path(__file__).parents[2] / "sdk" / "go"
_PROGRAM = Path(__file__).parent / "programs" / "go"
# The flags must match tools/go-modules, which has downloaded and compiled the dependencies.
_TAGS = "osusergo,grpcnotrace"


def prepare(folder: Path) -> None:
    """Copy the program there. Skip the test if Go is not installed."""
    if not GO:
        pytest.skip("no go here")
    shutil.copytree(_PROGRAM, folder, dirs_exist_ok=True)
    replaced = _go(folder, "mod", "edit", f"-replace={GO_MODULE}={_SDK}")
    assert replaced.returncode == 0, replaced.stdout


def vet(folder: Path, *packages: str) -> subprocess.CompletedProcess[str]:
    """Check the program and the SDK, or other packages of its module."""
    checked = packages or (".", f"{GO_MODULE}/avma", f"{GO_MODULE}/avma/config")
    return _go(folder, "vet", "-trimpath", f"-tags={_TAGS}", *checked)


def build(folder: Path) -> None:
    """Compile the program for the Automation API, into the file `program`.

    Raises:
        AssertionError: the program does not compile.
    """
    built = _go(folder, "build", "-trimpath", f"-tags=inline,{_TAGS}", "-o", "program", ".")
    assert built.returncode == 0, built.stdout


def _go(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [GO, *arguments],
        cwd=folder,
        env=os.environ | {"CGO_ENABLED": "0"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
