"""Output of a diagnosis: lines of text, a live display on a terminal, or one JSON document at the end."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum, auto
from typing import Any, Protocol

from rich.console import Console
from rich.status import Status as Spinner
from rich.text import Text

from avma.diagnosis.step import Check, Diagnosis, Status, Step
from avma.errors import AvmaError, sentences
from avma.redaction import Redactor

_STYLES = {Status.PASSED: "green", Status.WARNING: "yellow", Status.FAILED: "bold red", Status.SKIPPED: "dim"}
_OF_ITS_OWN = (Check.VM, Check.PEER)
"""Checks of something other than the host."""


class Form(Enum):
    """The output formats of a diagnosis."""

    TEXT = auto()
    QUIET = auto()
    JSON = auto()


class Report(Protocol):
    """The interface of the output formats."""

    def begin(self, check: Check, subject: str) -> None:
        """Show the check that starts."""

    def step(self, step: Step) -> None:
        """Show the result of a check."""

    def end(self, diagnosis: Diagnosis, command: str) -> None:
        """Show the conclusion and the command to run next."""


class TextReport:
    """One line for each check, and the cause at the end. A terminal also shows the current check."""

    def __init__(self, console: Console, redact: Redactor, spinner: Spinner | None) -> None:
        self._console = console
        self._redact = redact
        self._spinner = spinner

    def begin(self, check: Check, subject: str) -> None:
        """See `Report.begin`."""
        if self._spinner is not None:
            self._spinner.update(Text(self._redact(f"{check.description} {subject}")))

    def step(self, step: Step) -> None:
        """See `Report.step`."""
        label = f"{step.check.description} {step.subject}" if step.check in _OF_ITS_OWN else step.check.description
        line = Text(f"{step.status.value}  ", style=_STYLES[step.status])
        line.append(self._redact(f"{label}: {_result(step)}"), style="default")
        self._print(line)

    def end(self, diagnosis: Diagnosis, command: str) -> None:
        """See `Report.end`."""
        self._print(Text())
        self._print(Text(self._redact(conclusion(diagnosis))))
        self._print(Text(f"Next: {self._redact(command)}"))

    def _print(self, line: Text) -> None:
        self._console.print(line, soft_wrap=True)


class JsonReport:
    """One JSON document, printed at the end."""

    def __init__(self, console: Console, redact: Redactor) -> None:
        self._console = console
        self._redact = redact

    def begin(self, check: Check, subject: str) -> None:
        """See `Report.begin`."""

    def step(self, step: Step) -> None:
        """See `Report.step`."""

    def end(self, diagnosis: Diagnosis, command: str) -> None:
        """See `Report.end`."""
        document = {
            "host": diagnosis.host,
            "passed": diagnosis.passed,
            "conclusion": conclusion(diagnosis),
            "next": command,
            "steps": [_document(step) for step in diagnosis.steps],
        }
        self._console.out(json.dumps(_redacted(document, self._redact), indent=2, ensure_ascii=False), highlight=False)


class QuietReport(TextReport):
    """Only the cause and the next command."""

    def step(self, step: Step) -> None:
        """See `Report.step`."""


@contextmanager
def reporting(form: Form, redact: Redactor) -> Iterator[Report]:
    """Yield the report for this format. Text is live on a terminal, and plain lines elsewhere."""
    console = Console(highlight=False)
    if form is Form.JSON:
        yield JsonReport(console, redact)
    elif form is Form.QUIET:
        yield QuietReport(console, redact, None)
    elif console.is_terminal and not console.is_dumb_terminal:
        with console.status("") as spinner:
            yield TextReport(console, redact, spinner)
    else:
        yield TextReport(console, redact, None)


def conclusion(diagnosis: Diagnosis) -> str:
    """Return the conclusion of a diagnosis: the cause, and the command that explains it."""
    cause = diagnosis.cause
    if cause is None:
        return f"No problem found. {diagnosis.host} can activate its guests."
    if cause.error is None:
        return f"Cause: {cause.subject}: {cause.found.rstrip('.')}."
    return f"Cause: {cause.subject}: {cause.error.answer.rstrip('.')}. See: avma explain {cause.error.topic}"


def _result(step: Step) -> str:
    """Return the finding of a check. After a failure, sentences with the answer and the remedy follow."""
    if step.error is None:
        return step.found
    answer = step.error.answer.removesuffix(".")
    if step.found:
        answer = f"{step.found}. {_with_capital(answer, step.subject)}"
    return f"{answer}. {sentences(step.error.remedy)}"


def _with_capital(text: str, name: str) -> str:
    """Return a text with a capital letter in front, unless it begins with a name."""
    word = text.partition(" ")[0]
    return text if word == name or not word.isalpha() else text[0].upper() + text[1:]


def _redacted(value: Any, redact: Redactor) -> Any:
    """Return a document with redacted values. The names of fields stay, even if a secret is the same word."""
    if isinstance(value, dict):
        return {name: _redacted(each, redact) for name, each in value.items()}
    if isinstance(value, list):
        return [_redacted(each, redact) for each in value]
    return redact(value) if isinstance(value, str) else value


def _document(step: Step) -> dict[str, Any]:
    return {
        "rung": step.check.value,
        "subject": step.subject,
        "status": step.status.value,
        "found": step.found,
        "error": _error(step.error) if step.error is not None else None,
    }


def _error(error: AvmaError) -> dict[str, str]:
    return {
        "kind": type(error).__name__,
        "tried": error.tried,
        "where": error.where,
        "answer": error.answer,
        "remedy": sentences(error.remedy),
        "explain": error.topic,
    }
