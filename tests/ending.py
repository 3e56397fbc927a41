"""Ends processes at once, as a crash does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress

if sys.platform == "win32":

    def kill(pid: int) -> None:
        """End a process. Any signal does so on Windows."""
        with suppress(OSError):
            os.kill(pid, signal.SIGTERM)

    def kill_group(process: subprocess.Popen[bytes]) -> None:
        """End a process. Windows has no groups of processes, so its children end by themselves."""
        process.kill()
else:

    def kill(pid: int) -> None:
        """End a process."""
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)

    def kill_group(process: subprocess.Popen[bytes]) -> None:
        """End a process and its children. It must lead a group (`start_new_session`)."""
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
