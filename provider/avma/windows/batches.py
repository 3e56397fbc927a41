"""Requests of several threads to one machine, answered in batches: shared reads here, and guest runs in `guest_runs`.

The rules:

- A batch gathers for a moment before it begins. It answers the requests that waited by then, and no later one. So no
  answer is older than its question.
- A request leaves at its own deadline, and at Cancel. The others stay in the batch.
- An error of a batch is the error of each of its requests. One exception: if the leader of a shared read times out or
  is canceled, only the leader gets the error. The others wait for the next batch.

A `SharedRead` also keeps its last answer. An operation that changes nothing accepts an answer of a certain age
(`Deadline.max_age`). So a refresh costs a machine one read of each kind, however many questions come at once. The
rules:

- The age of an answer counts from the start of its read.
- An operation that changes a machine accepts no answer from before its question.
- A change of this process to any machine makes all earlier answers unusable, and so those of reads during the change.
  The state of a machine can depend on another one, such as a guest's activation on its host.
"""

from __future__ import annotations

import contextlib
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar, cast

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

    def _await(self, request: R, gathering: float = GATHERING) -> None:
        """Wait until a batch has answered the request. Lead a batch if one is due, `gathering` seconds from now.

        Raises:
            TimedOut, Cancelled: the thread of the request can wait no longer.
        """
        asked = time.monotonic()
        with self._changed:
            self._waiting.append(request)
        try:
            while not request.done:
                if self._may_lead(request):
                    self._lead(request, asked + gathering - time.monotonic())
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


class Changes:
    """The changes of this process to machines. Safe for several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ended = 0
        self._under_way = 0

    @contextlib.contextmanager
    def change(self) -> Iterator[None]:
        """Change a machine in the body. It counts as a change even if it fails."""
        with self._lock:
            self._under_way += 1
        try:
            yield
        finally:
            with self._lock:
                self._under_way -= 1
                self._ended += 1

    @property
    def era(self) -> int | None:
        """The number of the time between two changes. None during a change."""
        with self._lock:
            return None if self._under_way else self._ended


@dataclass(frozen=True)
class _Answer(Generic[T]):
    """An answer, and when its read began: the time, and the era of `Changes`."""

    value: T
    asked_at: float
    era: int | None


@dataclass(eq=False)
class _Question(Generic[T]):
    """The question of one thread."""

    context: Context
    answer: _Answer[T] | None = None
    error: Exception | None = None

    @property
    def done(self) -> bool:
        """Whether the question has an answer or an error."""
        return self.answer is not None or self.error is not None


class SharedRead(Batches[_Question[T], Batch[_Question[T]]]):
    """A shared query to one machine. `read` runs it, in the thread of one of the callers, one query at a time."""

    def __init__(
        self,
        read: Callable[[Deadline], T],
        tried: str,
        where: str,
        changes: Changes,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__()
        self._clock = clock
        self._read = read
        self._tried = tried
        self._where = where
        self._changes = changes
        self._last: _Answer[T] | None = None

    def ask(self, deadline: Deadline) -> T:
        """Return an answer from a read that began after this call, or at most `deadline.max_age` seconds before it.

        Raises:
            AvmaError: the machine could not be queried.
        """
        question = _Question[T](Context(self._tried, self._where, deadline))
        # Later questions accept this answer too, so there is nothing to gather.
        self._await(question, gathering=0.0 if deadline.max_age else GATHERING)
        if question.error is not None:
            raise question.error
        return cast("_Answer[T]", question.answer).value

    def _due(self) -> list[_Question[T]]:
        for question in self._waiting:
            if self._last is not None and self._is_fresh(self._last, question.context.deadline.max_age):
                question.answer = self._last
        self._waiting = [question for question in self._waiting if not question.done]
        return [] if self._running else list(self._waiting)

    def _is_fresh(self, answer: _Answer[T], max_age: float) -> bool:
        return answer.era == self._changes.era is not None and self._clock() - answer.asked_at < max_age

    def _new_batch(self, leader: _Question[T], requests: list[_Question[T]]) -> Batch[_Question[T]]:
        return Batch(leader, requests)

    def _run(self, batch: Batch[_Question[T]]) -> None:
        began, era = self._clock(), self._changes.era
        try:
            answer = _Answer(self._read(batch.leader.context.deadline), began, era)
        except (errors.TimedOut, errors.Cancelled) as end:  # Only the leader timed out: the others ask again.
            batch.leader.error = end
            with self._changed:
                self._waiting = batch.open + self._waiting
        else:
            self._last = answer
            for question in batch.requests:
                question.answer = answer
