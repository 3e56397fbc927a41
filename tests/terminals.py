"""A program on a terminal of its own, as a user sees it. Needs a POSIX system."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence

import posix_only


def on_terminal(
    command: Sequence[str], environment: Mapping[str, str], code: int, answers: Mapping[str, str] | None = None
) -> str:
    """Run a program and return its output. `answers` maps the prompts to the lines to type.

    The program must end with that exit code.
    """
    ours, theirs = posix_only.os.openpty()
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=dict(environment)) as process:
        os.close(theirs)
        seen = b""
        while chunk := _read(ours):
            seen += chunk
            for prompt, answer in (answers or {}).items():
                if seen.endswith(prompt.encode()):
                    os.write(ours, f"{answer}\n".encode())
    os.close(ours)
    assert process.returncode == code
    return seen.decode()


def _read(terminal: int) -> bytes:
    """Return the next output. Empty if the program has closed its end."""
    try:
        return os.read(terminal, 65536)
    except OSError:
        return b""
