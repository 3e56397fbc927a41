"""Locks of files between processes, on each system."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from avma.resources.claims import MustWait

_MARK = ".running"
_MARKED: dict[Path, int] = {}
"""The marks of this process, with their open files. The system unlocks them when the process ends."""


@contextlib.contextmanager
def locked(file: Path, wait: bool) -> Iterator[int]:
    """Open a file and lock it for this process.

    Raises:
        OSError: the file cannot be used. The error contains its name.
        MustWait: another process has locked the file, and `wait` is False.
    """
    descriptor = _opened(file)
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


def mark_as_used(file: Path) -> bool:
    """Mark that this process uses a file, until the process ends. Return True if no running process has marked it.

    A mark is a file that its process has locked. The caller has locked the marked file. So no two processes mark it at
    the same time.

    Raises:
        OSError: the mark cannot be created.
    """
    own = file.with_suffix(f".{os.getpid()}{_MARK}")
    if own in _MARKED:
        return False
    others = [mark for mark in marks_of(file) if _is_marked(mark)]
    descriptor = _opened(own)
    _lock_at_once(descriptor)
    _MARKED[own] = descriptor
    return not others


def marks_of(file: Path) -> list[Path]:
    """Return the marks on a file, also those of processes that have ended."""
    return list(file.parent.glob(f"{file.stem}.*{_MARK}"))


def _is_marked(mark: Path) -> bool:
    """Return True if the process of a mark is running. Otherwise, remove the mark."""
    descriptor = _opened(mark)
    try:
        if not _lock_at_once(descriptor):
            return True
    finally:
        os.close(descriptor)
    with contextlib.suppress(OSError):
        mark.unlink()
    return False


def _opened(file: Path) -> int:
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    return os.open(file, flags, 0o600)


if sys.platform == "win32":
    import msvcrt

    _WAIT, _AT_ONCE = msvcrt.LK_LOCK, msvcrt.LK_NBLCK

    def _lock(descriptor: int, how: int) -> None:
        os.lseek(descriptor, 1 << 30, os.SEEK_SET)  # a byte after the text, because nobody can read a locked byte
        msvcrt.locking(descriptor, how, 1)
else:
    import fcntl

    _WAIT, _AT_ONCE = fcntl.LOCK_EX, fcntl.LOCK_EX | fcntl.LOCK_NB

    def _lock(descriptor: int, how: int) -> None:
        fcntl.flock(descriptor, how)


def _lock_at_once(descriptor: int) -> bool:
    """Lock a file and return True, unless another process has locked it."""
    try:
        _lock(descriptor, _AT_ONCE)
    except OSError:
        return False
    return True
