"""Requests of several threads to one machine, answered in batches: `shared_reads` and `guest_runs`.

The rules:

- A batch answers the requests that waited when it began, and no later one. So no answer is older than its question.
- A request never waits for others on an idle machine. `GuestRuns` decides when a batch may wait.
- A request leaves at its own deadline, and at Cancel. The others stay in the batch.
- An error of a batch is the error of each of its requests. One exception: if the leader of a shared read times out or
  is canceled, only the leader gets the error. The others wait for the next batch.
"""

from __future__ import annotations

import contextlib
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, Generic, Protocol, TypeVar

from avma.context import Context
from avma.deadline import POLL


class Request(Protocol):
    """A request of one thread. `error` is its error, if it has one."""

    error: Exception | None

    @property
    def context(self) -> Context:
        """The operation of the thread."""

    @property
    def done(self) -> bool:
        """Whether the request has an answer or an error."""


class Activity:
    """The threads that ask one machine now."""

    def __init__(self) -> None:
        self._threads: set[int] = set()

    @contextlib.contextmanager
    def asking(self) -> Iterator[None]:
        """Count the thread as one that asks the machine. A thread in two such blocks counts once."""
        thread = threading.get_ident()
        outermost = thread not in self._threads
        self._threads.add(thread)
        try:
            yield
        finally:
            if outermost:
                self._threads.discard(thread)

    @property
    def count(self) -> int:
        """The number of these threads."""
        return len(self._threads)


R = TypeVar("R", bound=Request)


class Batch(Generic[R]):
    """The requests of one batch. `leader` is the one whose thread began it."""

    def __init__(self, leader: R, requests: list[R]) -> None:
        self.leader = leader
        self.requests = requests

    @property
    def open(self) -> list[R]:
        """The requests without an answer."""
        return [request for request in self.requests if not request.done]


B = TypeVar("B", bound=Batch[Any])


class Batches(ABC, Generic[R, B]):
    """A queue of requests, and the batches that answer them. Safe for several threads."""

    def __init__(self, activity: Activity | None = None) -> None:
        self._activity = activity or Activity()
        self._changed = threading.Condition()
        self._waiting: list[R] = []
        self._running: list[B] = []
        self._gathering: R | None = None

    @abstractmethod
    def _due(self) -> list[R]:
        """Return the requests for the next batch. Empty if another batch must end first. The caller holds the lock."""

    @abstractmethod
    def _new_batch(self, leader: R, requests: list[R]) -> B:
        """Return a batch of these requests. The caller holds the lock."""

    @abstractmethod
    def _run(self, batch: B) -> None:
        """Answer the requests of a batch."""

    def _begin(self, batch: B) -> None:
        """Run a batch in the thread of its leader."""
        self._run_to_end(batch)

    def _gather(self, leader: R) -> None:
        """Wait for more requests before a batch begins. By default, it begins at once."""

    def _await(self, request: R) -> None:
        """Wait until a batch has answered the request. Lead a batch if one is due.

        Raises:
            TimedOut, Cancelled: the thread of the request can wait no longer.
        """
        with self._changed:
            self._waiting.append(request)
        try:
            with self._activity.asking():
                while not request.done:
                    if self._may_lead(request):
                        self._lead(request)
                    self._wait(request)
        finally:
            with self._changed:
                if request in self._waiting:
                    self._waiting.remove(request)

    def _may_lead(self, request: R) -> bool:
        """Return True if a batch is due. The request then leads it."""
        with self._changed:
            if self._gathering is not None or not self._due() or request.done:
                return False
            self._gathering = request
            return True

    def _lead(self, leader: R) -> None:
        """Begin a batch, possibly after a wait for others to join."""
        try:
            self._gather(leader)
            batch = self._take_batch(leader)
        finally:
            with self._changed:
                self._gathering = None
        if batch is not None:
            self._begin(batch)

    def _take_batch(self, leader: R) -> B | None:
        """Move the requests of the next batch from the queue to the batch."""
        with self._changed:
            requests = self._due()
            if not requests:  # All of them have left while the batch gathered.
                return None
            batch = self._new_batch(leader, requests)
            self._waiting = [request for request in self._waiting if request not in requests]
            self._running.append(batch)
            return batch

    def _run_to_end(self, batch: B) -> None:
        try:
            self._run(batch)
        except Exception as error:  # Each waiting thread raises it.
            for request in batch.open:
                request.error = error
        finally:
            with self._changed:
                self._running.remove(batch)
                self._changed.notify_all()

    def _wait(self, request: R) -> None:
        with self._changed:
            if (self._gathering is not None or self._running) and not request.done:
                self._changed.wait(POLL)
        if not request.done:
            request.context.check()
