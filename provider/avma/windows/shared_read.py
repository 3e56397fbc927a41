"""Reads that several threads share, if they ask in parallel. No answer is older than its question.

One `pulumi up` reads the same state for many resources in parallel. N parallel questions cost a machine one or two
reads. `batches` contains the rules.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from avma import errors
from avma.context import Context
from avma.deadline import Deadline
from avma.windows.batches import Batch, Batches

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
