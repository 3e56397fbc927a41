"""The claims of one run, shared by all plugin processes of the run. Each run has one file.

The engine starts a process for each provider instance and each provider version. All of them receive the address of the
engine, which differs in each preview and each update. The file contains resources, machines and the last five
characters of keys, but no secrets. The first line wins, so the file decides conflicts between processes.

A later engine can get the port of one that has ended. On Linux, the name of the file contains the identity of the
engine. Other systems do not show it. There, the claims in a file count as long as one of the processes runs that used
the file, because the engine ends its plugin processes only at its own end.
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
from pulumi_resource_avma.file_locks import locked, mark_as_used, marks_of

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
        self._begun = bool(engine)
        """Whether the file contains no claims of an earlier engine."""
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
            file = self._prepared()
            with locked(file, wait) as descriptor:
                self._begin(file, descriptor)
                yield descriptor
        finally:
            self._using.release()

    def _begin(self, file: Path, descriptor: int) -> None:
        """Remove the claims of an earlier engine with the same address from the file."""
        if not self._begun and mark_as_used(file):
            os.ftruncate(descriptor, 0)
        self._begun = True

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
                    _remove_if_old(file)
            self._file = folder / self._name
        return self._file


def own_folder() -> Path:
    """Return the user's folder for the files of runs, below the temporary folder.

    Raises:
        OSError: the system has no temporary folder.
    """
    return Path(tempfile.gettempdir()) / f"pulumi-resource-avma-{_owner()}"


def _remove_if_old(file: Path) -> None:
    if time.time() - file.stat().st_mtime > _STALE:
        for each in (file, *marks_of(file)):
            each.unlink()


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


if sys.platform == "win32":

    def _owner() -> str:
        # Each user has a temporary folder, but all services share one. Account names can contain `\\` and `:`.
        return re.sub(r"\W", "_", os.environ.get("USERNAME", ""))

    def _is_own(folder: os.stat_result) -> bool:
        return True  # the temporary folder belongs to the user
else:

    def _owner() -> str:
        return str(os.getuid())

    def _is_own(folder: os.stat_result) -> bool:
        return stat.S_ISDIR(folder.st_mode) and folder.st_uid == os.getuid() and not folder.st_mode & 0o077
