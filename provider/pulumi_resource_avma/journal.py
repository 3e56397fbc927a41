"""The claims of one run, shared by all plugin processes of the run. Each run has one file.

The engine starts a process for each provider instance and each provider version. All of them receive the address of the
engine, which differs in each preview and each update. The file contains resources, machines and the last five
characters of keys, but no secrets. The first line wins, so the file decides conflicts between processes.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
import socket
import stat
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, fields
from pathlib import Path

from avma.resources.claims import Claim, Claims

_ENGINE = "pulumi"
_LISTENING = "0A"
"""The state of a listening socket in `/proc/net/tcp` of Linux."""
_FIELDS = frozenset(field.name for field in fields(Claim))
_STALE = 86400.0
"""Seconds until the file of a finished run is removed."""


class Journal(Claims):
    """The claims of a run of the engine at an address. `folder` must belong to the user."""

    patience = 2.0

    def __init__(self, engine_address: str, folder: Path | None = None) -> None:
        super().__init__()
        self._folder = folder
        engine = engine_socket(engine_address) or engine_process()
        digest = hashlib.sha256(f"{engine_address} {engine}".encode()).hexdigest()
        self._name = f"{digest[:32]}.jsonl"
        self._offset = 0
        self._reading = threading.Lock()
        self._file: Path | None = None

    def add(self, claim: Claim) -> None:
        """See `Claims.add`."""
        line = (json.dumps(asdict(claim)) + "\n").encode()
        with _locked(self._prepared()) as descriptor:
            os.lseek(descriptor, 0, os.SEEK_END)
            if os.write(descriptor, line) != len(line):
                raise OSError(errno.ENOSPC, "a line of the file could not be written completely")

    def all(self) -> Sequence[Claim]:
        """See `Claims.all`."""
        with self._reading:
            with _locked(self._prepared()) as descriptor:
                if os.lseek(descriptor, 0, os.SEEK_END) < self._offset:
                    raise OSError(errno.EIO, "the file was removed during the run")
                os.lseek(descriptor, self._offset, os.SEEK_SET)
                text = b"".join(iter(lambda: os.read(descriptor, 1 << 16), b""))
                claims = [_claim(line) for line in text.splitlines()]
            self._offset += len(text)
            for claim in claims:
                super().add(claim)
        return super().all()

    def _prepared(self) -> Path:
        """Return the file. The first call creates its folder and removes old files from it.

        Raises:
            OSError: the folder cannot be created, or others can write to it.
        """
        if self._file is None:
            folder = self._folder or own_folder()
            require_own(folder)
            for file in folder.glob("*.jsonl"):
                with contextlib.suppress(OSError):
                    if time.time() - file.stat().st_mtime > _STALE:
                        file.unlink()
            self._file = folder / self._name
        return self._file


def own_folder() -> Path:
    """Return the user's folder for the files of runs, below the temporary folder.

    Raises:
        OSError: the system has no temporary folder.
    """
    # Windows gives each user a temporary folder, but all services share one. Account names can contain `\\` and `:`.
    owner = str(os.getuid()) if sys.platform != "win32" else re.sub(r"\W", "_", os.environ.get("USERNAME", ""))
    return Path(tempfile.gettempdir()) / f"pulumi-resource-avma-{owner}"


def _claim(line: bytes) -> Claim:
    """Return the claim in a line. Unknown fields of later provider versions are ignored.

    Raises:
        OSError: the line is incomplete, so its claim is unknown.
    """
    try:
        written = json.loads(line)
        return Claim(**{name: written[name] for name in _FIELDS & written.keys()})
    except (ValueError, TypeError, AttributeError) as error:
        raise OSError(errno.EIO, "a line of the file is damaged") from error


def require_own(folder: Path) -> None:
    """Create the folder if it does not exist.

    Raises:
        OSError: it cannot be created, or other users have access to it.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.lstat()
    if sys.platform == "win32":  # there, the temporary folder belongs to the user
        return
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise PermissionError(errno.EACCES, "other users have access to the folder", str(folder))


def engine_socket(address: str) -> str:
    """Return the number of the engine's listening socket, or "" if the system does not show it.

    Ports are reused, and the file of a finished engine must not count. An engine that attaches to this process is not
    one of its parents, so `engine_process` cannot find it.
    """
    host, _, port = address.rpartition(":")
    try:
        listed = Path("/proc/net/tcp").read_text().splitlines()[1:]
        local = f"{int.from_bytes(socket.inet_aton(host), sys.byteorder):08X}:{int(port):04X}"
    except (OSError, ValueError):
        return ""
    sockets = (line.split() for line in listed)  # proc(5): the address is the second field, the inode the tenth
    return next((fields[9] for fields in sockets if fields[1] == local and fields[3] == _LISTENING), "")


def engine_process() -> str:
    """Return the ID and start time of the engine among the parent processes, or ""."""
    process = os.getppid()
    while process > 1:
        try:
            name, _, rest = Path(f"/proc/{process}/stat").read_text().partition("(")[2].rpartition(")")
        except OSError:
            return ""
        fields = rest.split()  # proc(5): the state, then the parent's ID. The start time is the twentieth here.
        if name == _ENGINE:
            return f"{process} {fields[19]}"
        process = int(fields[1])
    return ""


@contextlib.contextmanager
def _locked(file: Path) -> Iterator[int]:
    """Open a file and lock it for this process.

    Raises:
        OSError: the file cannot be used. The error contains its name.
    """
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    descriptor = os.open(file, flags, 0o600)
    try:
        _lock(descriptor)
        yield descriptor
    except OSError as error:
        error.filename = str(file)
        raise
    finally:
        os.close(descriptor)


if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        os.lseek(descriptor, 1 << 30, os.SEEK_SET)  # a byte after the text, because nobody can read a locked byte
        msvcrt.locking(descriptor, msvcrt.LK_LOCK, 1)
else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
