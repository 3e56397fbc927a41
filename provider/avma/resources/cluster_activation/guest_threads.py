"""Work on many guests at the same time: one thread for each, and shared script runs on each host."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import replace

from avma import errors
from avma.resources.cluster_activation.activation_properties import ActivationState
from avma.resources.cluster_activation.guest_listing import FoundGuest
from avma.resources.guest_access import is_through_host
from avma.resources.resource import Operation
from avma.windows.machine import Server

_log = logging.getLogger("avma.resources")
_AT_ONCE = 512
"""Maximum of threads for one host. Through PowerShell Direct, one script run serves all of them."""
_START = 10.0
"""Seconds for the threads of one host to start. After this time, they begin without each other."""
_LINES = 20
"""Maximum of status lines about the guests."""


def quietly(operation: Operation) -> Operation:
    """Return the operation without the status lines of single guests. There can be hundreds."""
    return replace(operation, show_status=lambda _: None)


def in_parallel(
    guests: Sequence[FoundGuest],
    work: Callable[[FoundGuest], None],
    operation: Operation,
    together: Callable[[FoundGuest], bool] = lambda _: True,
) -> None:
    """Run `work` on all guests in parallel. An error stays with its guest.

    Guests for which `together` is True share the script runs of their host.

    Raises:
        Cancelled: the user stopped the run before a guest was changed.
    """
    if not guests:
        return
    by_host: dict[Server, list[FoundGuest]] = {}
    for guest in guests:
        by_host.setdefault(guest.placement.host, []).append(guest)
    progress = _Progress(len(guests), operation)
    bugs: list[Exception] = []

    def guarded(guest: FoundGuest, begin: Callable[[], None]) -> None:
        with ExitStack() as stack:
            if together(guest) and is_through_host(guest.guest, operation):
                stack.enter_context(guest.placement.host.asking_with_others())
            begin()
            try:
                work(guest)
            except errors.AvmaError as error:
                guest.error, guest.reason = error, error.answer
            except Exception as bug:
                bugs.append(bug)
                guest.error, guest.state = _of_bug(bug, guest), ActivationState.NOT_ACTIVATED
                guest.reason = guest.error.answer
        progress.step()

    with ExitStack() as stack:
        futures = [future for group in by_host.values() for future in _submit(group, guarded, stack)]
    for future in futures:
        future.result()
    if any(guest.changed for guest in guests):
        return
    canceled = next((guest.error for guest in guests if isinstance(guest.error, errors.Cancelled)), None)
    if canceled is not None or bugs:
        raise canceled or bugs[0]


def _of_bug(bug: Exception, guest: FoundGuest) -> errors.AvmaError:
    """Return the error of a guest for a mistake in the provider. The other guests and their state must not be lost."""
    _log.error("a mistake in the provider", exc_info=bug)
    answer = f"the provider itself failed ({type(bug).__name__})"
    return errors.UnexpectedAnswer("activate the guest", guest.placement.where, answer, "report this as a bug")


def _submit(
    group: Sequence[FoundGuest], work: Callable[[FoundGuest, Callable[[], None]], None], stack: ExitStack
) -> list[Future[None]]:
    """Start the work on the guests of one host. The first threads begin at the same time, to share script runs."""
    count = min(len(group), _AT_ONCE)
    threads = stack.enter_context(ThreadPoolExecutor(count))
    barrier = threading.Barrier(count, timeout=_START)

    def begin() -> None:
        with suppress(threading.BrokenBarrierError):
            barrier.wait()

    first = [threads.submit(work, guest, begin) for guest in group[:count]]
    return [*first, *(threads.submit(work, guest, _at_once) for guest in group[count:])]


def _at_once() -> None:
    """Begin without waiting for others."""


class _Progress:
    """Shows how many guests are done, in at most 20 lines. Safe for several threads."""

    def __init__(self, total: int, operation: Operation) -> None:
        self._total, self._operation = total, operation
        self._done = 0
        self._lock = threading.Lock()

    def step(self) -> None:
        """Count one more guest."""
        with self._lock:
            before = self._done * _LINES // self._total
            self._done += 1
            if self._done * _LINES // self._total > before:
                self._operation.status(f"{self._done} of {self._total} guests are done")
