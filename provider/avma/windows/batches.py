"""Requests of several threads to one machine, answered in batches: shared reads here, and guest runs in `guest_runs`.

The rules:

- A batch gathers for a moment before it begins. It answers the requests that waited by then, and no later one. So no
  answer is older than its question.
- A request leaves at its own deadline, and at Cancel. The others stay in the batch.
- An error of a batch is the error of each of its requests. One exception: if the leader of a shared read times out or
  is canceled, only the leader gets the error. The others wait for the next batch.

One `pulumi up` reads the same state for many resources in parallel. N parallel questions to a `SharedRead` cost the
machine one or two reads.
"""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from avma import errors
from avma.context import Context
from avma.deadline import POLL, Deadline

GATHERING = 0.05
"""Seconds that a batch waits for more requests. One request to Windows takes 10 to 1000 ms."""


class Request(Protocol):
    """A request of one thread. `error` is its error, if it has one."""

    error: Exception | None

    @property
    def context(self) -> Context:
        """The operation of the thread."""

    @property
    def done(self) -> bool:
        """Whether the request has an answer or an error."""


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

    def __init__(self) -> None:
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

    def _await(self, request: R) -> None:
        """Wait until a batch has answered the request. Lead a batch if one is due.

        Raises:
            TimedOut, Cancelled: the thread of the request can wait no longer.
        """
        asked = time.monotonic()
        with self._changed:
            self._waiting.append(request)
        try:
            while not request.done:
                if self._may_lead(request):
                    self._lead(request, asked + GATHERING - time.monotonic())
                self._wait(request)
        finally:
            with self._changed:
                if request in self._waiting:
                    self._waiting.remove(request)

    def _may_lead(self, request: R) -> bool:
        """Return True if a batch is due. The request then leads it."""
        with self._changed:
            if self._gathering is not None or not self._due():
                return False
            self._gathering = request
            return True

    def _lead(self, leader: R, seconds: float) -> None:
        """Wait that long for others to join, then begin a batch."""
        try:
            if seconds > 0:
                leader.context.wait(seconds)
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


T = TypeVar("T")


@dataclass(eq=False)
class _Question(Generic[T]):
    """The question of one thread."""

    context: Context
    answer: list[T] = field(default_factory=list)
    error: Exception | None = None

    @property
    def done(self) -> bool:
        """Whether the question has an answer or an error."""
        return bool(self.answer) or self.error is not None


class SharedRead(Batches[_Question[T], Batch[_Question[T]]]):
    """A shared query to one machine. `read` runs it, in the thread of one of the callers, one query at a time."""

    def __init__(self, read: Callable[[Deadline], T], tried: str, where: str) -> None:
        super().__init__()
        self._read = read
        self._tried = tried
        self._where = where

    def ask(self, deadline: Deadline) -> T:
        """Return an answer from a read that began after this call.

        Raises:
            AvmaError: the machine could not be queried.
        """
        question = _Question[T](Context(self._tried, self._where, deadline))
        self._await(question)
        if question.error is not None:
            raise question.error
        return question.answer[0]

    def _due(self) -> list[_Question[T]]:
        return [] if self._running else list(self._waiting)

    def _new_batch(self, leader: _Question[T], requests: list[_Question[T]]) -> Batch[_Question[T]]:
        return Batch(leader, requests)

    def _run(self, batch: Batch[_Question[T]]) -> None:
        try:
            answer = self._read(batch.leader.context.deadline)
        except (errors.TimedOut, errors.Cancelled) as end:  # Only the leader timed out: the others ask again.
            batch.leader.error = end
            with self._changed:
                self._waiting = batch.open + self._waiting
        else:
            for question in batch.requests:
                question.answer.append(answer)
