"""Each process has its own loopback addresses."""

from __future__ import annotations

import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import loopback

PRINT = "import loopback; print(loopback.address(7), flush=True); input()"


def test_two_processes_have_different_addresses() -> None:
    folder = Path(loopback.__file__).parent
    command = [sys.executable, "-c", PRINT]
    with ExitStack() as stack:
        pipe = subprocess.PIPE
        others = [
            stack.enter_context(subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, cwd=folder))
            for _ in range(2)
        ]
        found = {loopback.address(7), *(other.stdout.readline().strip() for other in others if other.stdout)}
        for other in others:
            other.communicate("\n")
    assert len(found) == 3


def test_a_relocated_text_keeps_the_last_number_of_each_address() -> None:
    text = "hosts: [127.46.0.11, 127.0.0.1, 10.127.0.1]"
    moved = f"hosts: [{loopback.address(11)}, 127.0.0.1, 10.127.0.1]"
    assert loopback.relocated(text) == moved
    assert loopback.relocated(moved) == moved
    assert loopback.relocated("127.46.0.11", by=100) == loopback.address(111)
    assert loopback.without_block(moved) == "hosts: [127.x.x.11, 127.0.0.1, 10.127.0.1]"
