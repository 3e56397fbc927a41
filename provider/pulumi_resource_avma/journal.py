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
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

from avma.resources.claims import Claim, Claims, MustWait

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
        self._using = threading.Lock()
        self._file: Path | None = None

    def add(self, claim: Claim, *, wait: bool = True) -> None:
        """See `Claims.add`."""
        line = (json.dumps(vars(claim)) + "\n").encode()
        with self._opened(wait) as descriptor:
            earlier = self._unread(descriptor)
            if os.write(descriptor, line) != len(line):
                raise OSError(errno.ENOSPC, "a line of the file could not be written completely")
            self._read(earlier)
            self._offset += len(line)
            self._append(claim)

    def update(self) -> None:
        """See `Claims.update`."""
        with self._opened(wait=True) as descriptor:
            self._read(self._unread(descriptor))

    @contextlib.contextmanager
    def _opened(self, wait: bool) -> Iterator[int]:
        """Open and lock the file. Another thread or process may have it for as long as the system suspends it.

        Raises:
            OSError: the file cannot be used.
            MustWait: the caller must wait for the file, but `wait` is False.
        """
        if not wait and self._file is None:
            raise MustWait  # to prepare the folder takes longer than a line
        if not self._using.acquire(blocking=wait):
            raise MustWait
        try:
            with locked(self._prepared(), wait) as descriptor:
                yield descriptor
        finally:
            self._using.release()

    def _unread(self, descriptor: int) -> bytes | None:
        """Return the lines after those that were read, None if there are fewer. The next write is at the end."""
        if os.lseek(descriptor, 0, os.SEEK_END) < self._offset:
            return None
        os.lseek(descriptor, self._offset, os.SEEK_SET)
        return b"".join(iter(lambda: os.read(descriptor, 1 << 16), b""))

    def _read(self, text: bytes | None) -> None:
        """Keep the claims in lines of the file.

        Raises:
            OSError: a line is damaged, or lines are missing.
        """
        if text is None:
            raise OSError(errno.EIO, "the file was removed during the run")
        claims = [_claim(line) for line in text.splitlines()]
        self._offset += len(text)
        for claim in claims:
            self._append(claim)

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
    return Path(tempfile.gettempdir()) / f"pulumi-resource-avma-{_owner()}"


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
    if not _is_own(folder.lstat()):
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
def locked(file: Path, wait: bool) -> Iterator[int]:
    """Open a file and lock it for this process.

    Raises:
        OSError: the file cannot be used. The error contains its name.
        MustWait: another process has locked the file, and `wait` is False.
    """
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    descriptor = os.open(file, flags, 0o600)
    try:
        if wait:
            _lock(descriptor, _WAIT)
        elif not _lock_at_once(descriptor):
            raise MustWait
        yield descriptor
    except OSError as error:
        error.filename = str(file)
        raise
    finally:
        os.close(descriptor)


if sys.platform == "win32":
    import msvcrt

    _WAIT, _AT_ONCE = msvcrt.LK_LOCK, msvcrt.LK_NBLCK

    def _lock(descriptor: int, how: int) -> None:
        os.lseek(descriptor, 1 << 30, os.SEEK_SET)  # a byte after the text, because nobody can read a locked byte
        msvcrt.locking(descriptor, how, 1)

    def _owner() -> str:
        # Each user has a temporary folder, but all services share one. Account names can contain `\\` and `:`.
        return re.sub(r"\W", "_", os.environ.get("USERNAME", ""))

    def _is_own(folder: os.stat_result) -> bool:
        return True  # the temporary folder belongs to the user
else:
    import fcntl

    _WAIT, _AT_ONCE = fcntl.LOCK_EX, fcntl.LOCK_EX | fcntl.LOCK_NB

    def _lock(descriptor: int, how: int) -> None:
        fcntl.flock(descriptor, how)

    def _owner() -> str:
        return str(os.getuid())

    def _is_own(folder: os.stat_result) -> bool:
        return stat.S_ISDIR(folder.st_mode) and folder.st_uid == os.getuid() and not folder.st_mode & 0o077


def _lock_at_once(descriptor: int) -> bool:
    """Lock a file and return True, unless another process has locked it."""
    try:
        _lock(descriptor, _AT_ONCE)
    except OSError:
        return False
    return True
