"""The compiled SDK for Node.js in `node_modules`."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]
_PACKAGES = _ROOT / ".cache" / "typescript" / "node_modules"
_PROGRAM = Path(__file__).parent / "programs" / "nodejs"


def prepare(folder: Path) -> None:
    """Copy the TypeScript program there. Put the compiled SDK and all dependencies into its `node_modules`.

    Skips the test if TypeScript is not installed.

    Raises:
        AssertionError: the SDK does not compile.
    """
    if not _PACKAGES.exists():
        pytest.skip("no TypeScript here: tools/typescript installs it where npm is")
    shutil.copytree(_PROGRAM, folder, dirs_exist_ok=True)
    shutil.copytree(_ROOT / "sdk" / "nodejs", folder / "sdk")
    modules = folder / "node_modules"
    (modules / "@pulumi-avma").mkdir(parents=True)
    for package in _PACKAGES.iterdir():
        (modules / package.name).symlink_to(package)
    (modules / "@pulumi-avma" / "avma").symlink_to(folder / "sdk" / "bin")
    build(folder / "sdk")
    shutil.copy(folder / "sdk" / "package.json", folder / "sdk" / "bin")


def build(folder: Path) -> None:
    """Compile the project in that folder.

    Raises:
        AssertionError: the project does not compile.
    """
    compiled = tsc(folder)
    assert compiled.returncode == 0, compiled.stdout


def tsc(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the compiler in that folder and return its result."""
    return subprocess.run(
        [_PACKAGES / ".bin" / "tsc", "--pretty", "false"], cwd=folder, capture_output=True, text=True, check=False
    )
