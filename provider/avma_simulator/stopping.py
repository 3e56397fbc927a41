"""Signals that stop the simulator: SIGINT (Ctrl+C) and SIGTERM."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def stopped_by_signals(stopped: asyncio.Event) -> Iterator[None]:
    """Set the event at a signal until the block ends. Call it in the main thread, inside of the event loop.

    On Windows, an event loop has no `add_signal_handler`. So a socket wakes the loop (`signal.set_wakeup_fd`), in the
    same way on all systems.
    """
    loop = asyncio.get_running_loop()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        theirs.setblocking(False)

        def woken() -> None:
            ours.recv(64)
            stopped.set()

        loop.add_reader(ours, woken)
        before = signal.set_wakeup_fd(theirs.fileno())
        handlers = {number: signal.signal(number, _ignore) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(before)
            loop.remove_reader(ours)


def _ignore(*_: object) -> None:
    """Take the place of the default, which would end the process or raise KeyboardInterrupt."""
