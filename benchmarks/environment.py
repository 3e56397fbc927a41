"""The machine and the versions behind a result. It contains no name of a host, and no path."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import posix_only
from benchmarks import ROOT

CORES = os.cpu_count() or 1


def describe() -> dict[str, str | int]:
    """Return the cores, the CPU model and the versions."""
    return {
        "cores": CORES,
        "cpu": _cpu(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "grpcio": version("grpcio"),
        "pulumi": _pulumi(),
    }


def load() -> tuple[float, ...]:
    """Return the load averages of 1, 5 and 15 minutes."""
    return tuple(round(value, 2) for value in posix_only.os.getloadavg())


def say(text: str) -> None:
    """Print a status line."""
    print(text, file=sys.stderr, flush=True)


def _cpu() -> str:
    found = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found[1] if found else platform.processor()


def _pulumi() -> str:
    folder = subprocess.run([ROOT / "tools" / "pulumi-cli"], check=True, capture_output=True, text=True).stdout.strip()
    shown = subprocess.run([Path(folder) / "pulumi", "version"], check=True, capture_output=True, text=True)
    return shown.stdout.strip()
