"""Processes with their CPU time and their memory, from /proc and wait4."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import posix_only

PATIENCE = 300.0
_GRACE = 20.0
_INTERVAL = 0.02
_UTIME = 11  # of the fields after the name in /proc/PID/stat, see proc(5)
_COLLECTED = re.compile(rb"Collected : (\d+)")


@dataclass(frozen=True)
class Cost:
    """The seconds until a line of output: of the clock, and of the CPU."""

    wall: float
    cpu: float


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of a running process, in steps of 10 ms."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[_UTIME]) + int(fields[_UTIME + 1])) / float(posix_only.os.sysconf("SC_CLK_TCK"))


def peak_megabytes(pid: int) -> float:
    """Return the largest resident memory of a running process so far."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


@contextmanager
def running(command: Sequence[str | Path], **more: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run a program until the block ends. Yield it with the first line of its output. `more` is environment."""
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True, env={**os.environ, **more}
    )
    try:
        line = process.stdout.readline() if process.stdout else ""
        if not line:
            raise RuntimeError(f"{command[0]} ended with {process.wait()}")
        yield process, line
    finally:
        process.terminate()
        try:
            process.communicate(timeout=_GRACE)
        finally:
            process.kill()


def until_line(command: Sequence[str | Path]) -> Cost:
    """Return the cost of a program from its start to its first line of output, and kill it."""
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
    try:
        line = process.stdout.readline() if process.stdout else b""
        wall = time.perf_counter() - began
    finally:
        process.kill()
        _, status, used = posix_only.os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.stdout:
            process.stdout.close()
    if not line:
        raise RuntimeError(f"{command[0]} printed nothing")
    return Cost(wall, used.ru_utime + used.ru_stime)


class Watch:
    """The CPU seconds and the largest memory of all programs of a name below this process, while a block runs.

    It looks every 20 ms, because the engine ends its plugins itself.
    """

    def __init__(self, name: str) -> None:
        self._name = name.encode()
        self._cpu = dict[int, float]()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self.peak = 0.0

    @property
    def cpu(self) -> float:
        """The CPU seconds of all of them."""
        return sum(self._cpu.values())

    def __enter__(self) -> Watch:
        """Begin."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End."""
        self._ended.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._ended.wait(_INTERVAL):
            for pid in _below(os.getpid()):
                with contextlib.suppress(OSError, IndexError):  # it has just ended
                    if self._name in Path(f"/proc/{pid}/cmdline").read_bytes():
                        self._cpu[pid] = cpu_seconds(pid)
                        self.peak = max(self.peak, peak_megabytes(pid))


def _below(pid: int) -> Iterator[int]:
    for file in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in map(int, file.read_text().split()):
                yield child
                yield from _below(child)


def instructions(command: Sequence[str | Path]) -> int | None:
    """Return the number of instructions of a program that ends by itself, or after its first line of output.

    Return None without valgrind, a package of Debian.
    """
    if not shutil.which("valgrind"):
        return None
    valgrind = ("setarch", "-R", "valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", *command)
    process = subprocess.Popen(
        valgrind,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "PYTHONHASHSEED": "0"},
    )
    try:
        if process.stdout:
            process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        _, printed = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
    found = _COLLECTED.search(printed)
    if found is None:
        raise RuntimeError(f"valgrind of {command[0]} failed: {printed[-2000:].decode(errors='replace')}")
    return int(found[1])
