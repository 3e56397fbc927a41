"""The Python SDK with the metadata of an installed package. The SDK reads its own version from there."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

_SOURCES = Path(__file__).parents[2] / "sdk" / "python"


def prepare(folder: Path) -> str:
    """Copy the SDK there, let setuptools write its metadata, and return the value for PYTHONPATH.

    Raises:
        CalledProcessError: setuptools rejects the SDK's `pyproject.toml`.
    """
    shutil.copytree(_SOURCES, folder, dirs_exist_ok=True)
    command = [sys.executable, "-c", "import setuptools; setuptools.setup()", "egg_info"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return str(folder)
