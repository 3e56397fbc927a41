"""How a question of the ladder is put: an answer or an error is a finding, and an error ends nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from avma.diagnosis.step import Rung, Status, Step
from avma.errors import AvmaError

T = TypeVar("T")


@dataclass(frozen=True)
class Finding:
    """What a question found, and the error that goes with it."""

    text: str
    status: Status = Status.PASSED
    error: AvmaError | None = None


def ask(rung: Rung, subject: str, question: Callable[[], Finding]) -> Step:
    """Put a question; an error that it raises is a step that failed."""
    found = outcome(question)
    if isinstance(found, AvmaError):
        return Step(rung, subject, Status.FAILED, "", found)
    return Step(rung, subject, found.status, found.text, found.error)


def outcome(read: Callable[[], T]) -> T | AvmaError:
    """Return what `read` returns, or the error that it raises."""
    try:
        return read()
    except AvmaError as error:
        return error


def required(found: T | AvmaError) -> T:
    """Return an outcome that is no error.

    Raises:
        AvmaError: it is one.
    """
    if isinstance(found, AvmaError):
        raise found
    return found


def judged(text: str, rule: Callable[[], object], status: Status = Status.FAILED) -> Finding:
    """Return a finding that a rule of the core judges: passed, or of that status with the rule's error."""
    error = outcome(rule)
    return Finding(text, status, error) if isinstance(error, AvmaError) else Finding(text)
