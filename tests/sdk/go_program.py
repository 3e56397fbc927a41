"""The program in Go, in a module of its own that takes the SDK from `sdk/go`."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

GO = shutil.which("go") or ""
_SDK = Path(__file__).parents[2] / "sdk" / "go"
_PROGRAM = Path(__file__).parent / "programs" / "go"
# Those of tools/pulumi-cli, which has compiled most of what the program needs.
_TAGS = "osusergo,grpcnotrace"


def prepare(folder: Path) -> None:
    """Copy the program there; skip the test where Go is not installed."""
    if not GO:
        pytest.skip("no go here")
    shutil.copytree(_PROGRAM, folder, dirs_exist_ok=True)
    replaced = _go(folder, "mod", "edit", f"-replace=example.com/pulumi-avma/sdk/go={_SDK}")
    assert replaced.returncode == 0, replaced.stdout


def vet(folder: Path, *packages: str) -> subprocess.CompletedProcess[str]:
    """Check the program and the SDK, or other packages of the module there."""
    checked = packages or (".", "example.com/pulumi-avma/sdk/go/...")
    return _go(folder, "vet", "-trimpath", f"-tags={_TAGS}", *checked)


def build(folder: Path) -> subprocess.CompletedProcess[str]:
    """Compile the program for the Automation API, into the file `program`."""
    return _go(folder, "build", "-trimpath", f"-tags=inline,{_TAGS}", "-o", "program", ".")


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
