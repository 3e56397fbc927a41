"""Loopback addresses for the simulators of this process, so that test runs in parallel do not meet.

Simulators listen on the real ports of WinRM, 5985 and 5986, because the hosts of a list share one port. So the
addresses must differ. Each pytest process has its own block of 254 addresses, also each worker of pytest-xdist.
"""

from __future__ import annotations

import errno
import random
import re
import socket
import sys
from functools import cache

GUARD_PORT = 5987
_FIXED = re.compile(r"\b127\.(?!0\.0\.)\d+\.\d+\.(\d+)\b")


def address(number: int) -> str:
    """Return an address of this process, for a number from 1 to 254."""
    return f"{_block()}.{number}"


def relocated(text: str, by: int = 0) -> str:
    """Return an estate file or a program with its fixed addresses moved to this process.

    `127.46.0.11` becomes `address(11 + by)`. Addresses such as `127.0.0.1` stay.
    """
    return _FIXED.sub(lambda found: address(int(found[1]) + by), text)


def without_block(text: str) -> str:
    """Return a text with the last number of each address, which is the same in all processes."""
    return _FIXED.sub(r"127.x.x.\1", text)


@cache
def _block() -> str:
    """Return the first three parts of the addresses. A bound socket holds them until the process ends.

    Raises:
        RuntimeError: all blocks of this computer are in use.
    """
    for block in _blocks():
        guard = socket.socket()
        try:
            guard.bind((f"{block}.1", GUARD_PORT))
        except OSError as error:
            guard.close()
            if error.errno not in (errno.EADDRINUSE, errno.EADDRNOTAVAIL):
                raise
        else:
            guard.detach()  # the system closes it at the end of the process
            return block
    raise RuntimeError("found no free block of loopback addresses. On macOS, add some: sudo tools/loopback 4")


def _blocks() -> list[str]:
    """Return the first three parts of some addresses. The examples and the stand-ins of recordings are not in them."""
    if sys.platform == "darwin":  # which has only the addresses that `tools/loopback` added
        blocks = [f"127.128.{number}" for number in range(16)]
    else:
        blocks = [f"127.{second}.{third}" for second in range(128, 255) for third in range(256)]
    return random.sample(blocks, len(blocks))
