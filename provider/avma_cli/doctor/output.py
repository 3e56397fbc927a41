"""Showing a diagnosis: line by line as it goes, live on a terminal, or as one JSON document at its end."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum, auto
from typing import Any, Protocol

from rich.console import Console
from rich.status import Status as Spinner
from rich.text import Text

from avma.diagnosis.step import Diagnosis, Rung, Status, Step
from avma.errors import AvmaError
from avma.properties import properties
from avma.redaction import Redactor
from avma.settings import AddressedSettings

_STYLES = {Status.PASSED: "green", Status.WARNING: "yellow", Status.FAILED: "bold red", Status.SKIPPED: "dim"}
_OF_ITS_OWN = (Rung.VM, Rung.PEER)
"""Rungs that are about something else than the host."""


_SETTING = re.compile(r"`(?:connection\.)?(guest\.)?([a-z]\w*)(?:: (\w+))?`")
"""How a remedy names a setting of a Pulumi program, and what it proposes for it."""
_OPTIONS = {prop.name: f"--{prop.attribute.replace('_', '-')}" for prop in properties(AddressedSettings)} | {
    "password": "AVMA_PASSWORD",
    "guest.transport": "--guest-transport",
}
"""What stands for a setting on a command line: its option, or the variable of what has none."""


class Form(Enum):
    """How a diagnosis is shown."""

    TEXT = auto()
    QUIET = auto()
    JSON = auto()


class Report(Protocol):
    """What shows a diagnosis."""

    def begin(self, rung: Rung, subject: str) -> None:
        """Show that a question is being asked."""

    def step(self, step: Step) -> None:
        """Show the result of a question."""

    def end(self, diagnosis: Diagnosis, command: str) -> None:
        """Show what came of it all, and what to type next."""


class TextReport:
    """One line for each step, and the cause at the end; on a terminal the question under way is shown as well."""

    def __init__(self, console: Console, redact: Redactor, spinner: Spinner | None) -> None:
        self._console = console
        self._redact = redact
        self._spinner = spinner

    def begin(self, rung: Rung, subject: str) -> None:
        """See `Report.begin`."""
        if self._spinner is not None:
            self._spinner.update(Text(f"{rung.description} {subject}"))

    def step(self, step: Step) -> None:
        """See `Report.step`."""
        label = f"{step.rung.description} {step.subject}" if step.rung in _OF_ITS_OWN else step.rung.description
        line = Text(f"{step.status.value}  ", style=_STYLES[step.status])
        line.append(f"{label}: {self._redact('; '.join(_said(step)))}", style="default")
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

    def begin(self, rung: Rung, subject: str) -> None:
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
    """The cause and the next command alone."""

    def step(self, step: Step) -> None:
        """See `Report.step`."""


@contextmanager
def reporting(form: Form, redact: Redactor) -> Iterator[Report]:
    """Give the report that suits the output: of text, live on a terminal and in plain lines elsewhere."""
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
    """Return the result of a diagnosis: the cause, and the command that explains it."""
    cause = diagnosis.cause
    if cause is None:
        return f"Nothing stands in the way of {diagnosis.host} activating its guests."
    if cause.error is None:
        return f"Cause: {cause.subject}: {cause.found.rstrip('.')}."
    return f"Cause: {cause.subject}: {cause.error.answer.rstrip('.')}. See: avma explain {cause.error.topic}"


def as_options(remedy: str) -> str:
    """Return a remedy in which the command's options stand for the settings of a Pulumi program."""
    return _SETTING.sub(_as_option, remedy)


def _as_option(found: re.Match[str]) -> str:
    guest, name, value = found.groups()
    option = _OPTIONS.get(f"{guest or ''}{name}")
    if option is None:
        return found[0]
    if value == "false":
        return f"`--no-{option.removeprefix('--')}`"
    return f"`{option} {value}`" if value and value != "true" else f"`{option}`"


def _said(step: Step) -> Iterator[str]:
    if step.found:
        yield step.found
    if step.error is not None:
        yield step.error.answer
        yield as_options(step.error.remedy)


def _redacted(value: Any, redact: Redactor) -> Any:
    """Return a document with its texts redacted; a secret can be a word that is the name of a field too."""
    if isinstance(value, dict):
        return {name: _redacted(each, redact) for name, each in value.items()}
    if isinstance(value, list):
        return [_redacted(each, redact) for each in value]
    return redact(value) if isinstance(value, str) else value


def _document(step: Step) -> dict[str, Any]:
    return {
        "rung": step.rung.value,
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
        "remedy": as_options(error.remedy),
        "explain": error.topic,
    }
