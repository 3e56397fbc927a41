"""The execution of a check. Its answer or error becomes a finding, and an error does not end the diagnosis."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from avma.diagnosis.step import Check, Status, Step
from avma.errors import AvmaError

T = TypeVar("T")


@dataclass(frozen=True)
class Finding:
    """The result of a check, with its error if there is one."""

    text: str
    status: Status = Status.PASSED
    error: AvmaError | None = None


def run_check(check: Check, subject: str, question: Callable[[], Finding]) -> Step:
    """Run a check. If it raises an error, the step has failed."""
    found = outcome(question)
    if isinstance(found, AvmaError):
        return Step(check, subject, Status.FAILED, "", found)
    return Step(check, subject, found.status, found.text, found.error)


def outcome(read: Callable[[], T]) -> T | AvmaError:
    """Return the result of `read`, or the error that it raises."""
    try:
        return read()
    except AvmaError as error:
        return error


def required(found: T | AvmaError) -> T:
    """Return an outcome unless it is an error.

    Raises:
        AvmaError: the outcome, if it is an error.
    """
    if isinstance(found, AvmaError):
        raise found
    return found


def judged(text: str, rule: Callable[[], object], status: Status = Status.FAILED) -> Finding:
    """Return a finding: passed if the rule accepts the state, else of the given status with the rule's error."""
    error = outcome(rule)
    return Finding(text, status, error) if isinstance(error, AvmaError) else Finding(text)
