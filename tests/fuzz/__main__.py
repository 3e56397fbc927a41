"""Sends altered messages to every parser for a number of seconds, and prints how many.

Memory is limited. A message that takes longer than ten seconds is a finding. Each message derives from a number. To
repeat a finding against a fresh server, run `--message READER NUMBER`.
"""

from __future__ import annotations

import random
import signal
import sys
import time
from types import FrameType

import posix_only
from fuzz.mutation import mutated
from fuzz.targets import Target, targets

_MEMORY = 2 << 30
_LONGEST = 10


class Hung(BaseException):
    """A message exceeds the time limit."""


def main(arguments: list[str]) -> int:
    """Run the readers in turn. Return 1 if one of them fails."""
    resource = posix_only.resource()
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    signal.signal(posix_only.signal.SIGALRM, _hung)
    with targets() as readers:
        if arguments[0] == "--message":
            _give(readers[arguments[1]], int(arguments[2]))
            return 0
        found = [name for name, reader in readers.items() if not _passes(name, reader, float(arguments[0]))]
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MiB")
    return bool(found)


def _passes(name: str, reader: Target, seconds: float) -> bool:
    first = time.time_ns()
    given, end = 0, time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            _give(reader, first + given)
        except (Exception, Hung) as error:
            print(f"{name}: {type(error).__name__}: {error}\n  again: python -m fuzz --message {name} {first + given}")
            return False
        given += 1
    print(f"{name:10} {given:>9,} messages, nothing found", flush=True)
    return True


def _give(reader: Target, number: int) -> None:
    posix_only.signal.alarm(_LONGEST)
    try:
        reader.run(mutated(random.Random(number), reader.seeds))
    finally:
        posix_only.signal.alarm(0)


def _hung(number: int, frame: FrameType | None) -> None:
    raise Hung(f"no end within {_LONGEST} s")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
