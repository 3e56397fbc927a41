"""The claims of one run, shared by all plugin processes that serve it: one file for each run.

The engine starts a process for each provider instance and each provider version. All of them get the address of the
engine, which is another one in each preview and each update. The file holds resources, machines and the last five
characters of keys, no secrets. A line that was written first counts first, so the file decides between processes.
"""

from __future__ import annotations

import contextlib
import errno
import getpass
import hashlib
import json
import os
import stat
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from avma.resources.claims import Claim, Claims

_ENGINE = "pulumi"
_STALE = 86400.0
"""Seconds after which the file of a run that ended is removed."""


class Journal(Claims):
    """The claims of the run of the engine at an address; `folder` is the user's own."""

    patience = 2.0

    def __init__(self, engine_address: str, folder: Path | None = None) -> None:
        super().__init__()
        self._folder = folder or own_folder()
        digest = hashlib.sha256(f"{engine_address} {engine_process()}".encode()).hexdigest()
        self._file = self._folder / f"{digest[:32]}.jsonl"
        self._offset = 0
        self._reading = threading.Lock()
        self._ready = False

    def add(self, claim: Claim) -> None:
        """See `Claims.add`."""
        self._prepare()
        line = json.dumps(asdict(claim)) + "\n"
        with _locked(self._file) as descriptor:
            os.lseek(descriptor, 0, os.SEEK_END)
            os.write(descriptor, line.encode())

    def all(self) -> Sequence[Claim]:
        """See `Claims.all`."""
        self._prepare()
        with self._reading:
            with _locked(self._file) as descriptor:
                os.lseek(descriptor, self._offset, os.SEEK_SET)
                text = b"".join(iter(lambda: os.read(descriptor, 1 << 16), b""))
            self._offset += len(text)
            for line in text.splitlines():
                super().add(Claim(**json.loads(line)))
        return super().all()

    def _prepare(self) -> None:
        """Make the folder and remove what runs of other days left there, once.

        Raises:
            OSError: the folder cannot be made, or others can write to it.
        """
        if self._ready:
            return
        require_own(self._folder)
        for file in self._folder.glob("*.jsonl"):
            with contextlib.suppress(OSError):
                if time.time() - file.stat().st_mtime > _STALE:
                    file.unlink()
        self._ready = True


def own_folder() -> Path:
    """Return the user's folder for the files of runs, below the temporary folder."""
    owner = str(os.getuid()) if sys.platform != "win32" else getpass.getuser()
    return Path(tempfile.gettempdir()) / f"pulumi-resource-avma-{owner}"


def require_own(folder: Path) -> None:
    """Make the folder unless it is there.

    Raises:
        OSError: it cannot be made, or it is not the user's alone.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.lstat()
    if sys.platform == "win32":  # the temporary folder is the user's own there
        return
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise PermissionError(errno.EACCES, "others can write to it", str(folder))


def engine_process() -> str:
    """Return the engine among the processes above this one, with its start time, where the system shows them.

    Ports are used again, and a file of an engine that ended must not count.
    """
    process = os.getppid()
    while process > 1:
        try:
            name, _, rest = Path(f"/proc/{process}/stat").read_text().partition("(")[2].rpartition(")")
        except OSError:
            return ""
        fields = rest.split()  # proc(5): the state, then the parent's id; the start time is the twentieth here
        if name == _ENGINE:
            return f"{process} {fields[19]}"
        process = int(fields[1])
    return ""


@contextlib.contextmanager
def _locked(file: Path) -> Iterator[int]:
    """Open a file for this process alone."""
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    descriptor = os.open(file, flags, 0o600)
    try:
        _lock(descriptor)
        yield descriptor
    finally:
        os.close(descriptor)


if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        os.lseek(descriptor, 1 << 30, os.SEEK_SET)  # a byte behind the text, as a locked one cannot be read
        msvcrt.locking(descriptor, msvcrt.LK_LOCK, 1)
else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
