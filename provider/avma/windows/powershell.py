"""Scripts of this package run by Windows PowerShell on one machine: JSON on stdin, one line of JSON for each answer.

A script's text holds no value: whatever differs from run to run, secrets above all, is in the input, so that nothing of
it is on a command line or in a script-block log. The module knows PowerShell; it does not know what a script is for.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from html import unescape
from importlib import resources
from typing import Any

from avma import errors
from avma.deadline import Deadline
from avma.redaction import Redactor
from avma.wsman.shell import Output, Shell

_ARGUMENTS = ("-NoProfile", "-NonInteractive", "-InputFormat", "Text", "-OutputFormat", "Text", "-EncodedCommand")
_CLIXML = "#< CLIXML"
_RECORD = re.compile(r'<S S="(\w+)">(.*?)</S>', re.DOTALL)
_OBJECTS = re.compile(r"<Objs\b.*?(?:</Objs>|\Z)", re.DOTALL)
_ESCAPED = re.compile(r"_x([0-9A-Fa-f]{4})_")
_NOISE = ("verbose", "debug", "progress")
_LONGEST = 400
_READ = 32_768
"""Characters of stderr that are looked at: far more than are told."""


@dataclass(frozen=True)
class Answers:
    """The JSON objects that a script wrote, and what else was to hear: its errors, and lines that are none."""

    objects: tuple[Mapping[str, Any], ...]
    complaint: str


class PowerShell:
    """Runs the scripts of this package on one machine."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell

    @property
    def where(self) -> str:
        """The machine as errors name it."""
        return self._shell.where

    def run(
        self, script: str, document: Mapping[str, Any], secrets: Iterable[str], deadline: Deadline, tried: str
    ) -> Answers:
        """Run a script with that input and return all that it said, `secrets` taken out of its complaints.

        Raises:
            ScriptFailed: it gave no answer at all.
            AnswerLost: it was started, and its end was not seen.
            AvmaError: it could not be run.
        """
        arguments = (*_ARGUMENTS, encoded(load(script)))
        # ASCII, as ensured by `json`: no code page on the way can spoil it.
        given = json.dumps(document).encode()
        output = self._shell.run("powershell.exe", arguments, given, deadline, tried)
        redact = Redactor()
        redact.learn(secrets)
        answers = read(output, redact)
        if not answers.objects and (answers.complaint or output.exit_code != 0):
            raise failure(answers.complaint or f"it ended with code {output.exit_code}", tried, self.where)
        return answers


def load(script: str) -> str:
    """Return the text of a script of this package."""
    return (resources.files(__package__) / "scripts" / f"{script}.ps1").read_text(encoding="utf-8")


def encoded(script: str) -> str:
    """Return a script as `-EncodedCommand` takes it."""
    return base64.b64encode(script.encode("utf-16-le")).decode()


def literal(text: str) -> str:
    """Return a text as a literal string of PowerShell, for a command that people are told to type."""
    doubled = text.replace("'", "''")
    return f"'{doubled}'"


def failure(complaint: str, tried: str, where: str) -> errors.ScriptFailed:
    """Return the error for a script that gave no answer."""
    remedy = (
        "see that Windows PowerShell 5.1 runs scripts' commands there (powershell.exe, application control), then run "
        "again; report it if it stays"
    )
    answer = f"the script gave no answer: {complaint}" if complaint else "the script gave no answer"
    return errors.ScriptFailed(tried, where, answer, remedy)


def read(output: Output, redact: Redactor) -> Answers:
    """Tell answers from complaints; half a line or other garbage is a complaint."""
    objects, other = [], []
    for line in output.stdout.decode("utf-8", errors="replace").lstrip("\ufeff").splitlines():
        found = _json_object(line)
        if found is not None:
            objects.append(found)
        elif line.strip():
            other.append(f"unexpected output `{line.strip()}`")
    said = [plain(output.stderr.decode("utf-8", errors="replace")[:_READ]), *other]
    if output.exit_code != 0:
        said.append(f"it ended with code {output.exit_code}")
    return Answers(tuple(objects), _shortened(redact("; ".join(part for part in said if part))))


def plain(stderr: str) -> str:
    """Return what PowerShell wrote to stderr as text: CLIXML records decoded, progress left out."""
    if _CLIXML not in stderr:
        return " ".join(stderr.split())
    records = [_decoded(text) for kind, text in _RECORD.findall(stderr) if kind.lower() not in _NOISE]
    rest = _OBJECTS.sub(" ", stderr).replace(_CLIXML, " ")
    return " ".join(" ".join([*records, rest]).split())


def _decoded(text: str) -> str:
    """Return the text of a record, in which PowerShell writes UTF-16 as `_xD83D_`."""
    units = _ESCAPED.sub(lambda found: chr(int(found[1], 16)), unescape(text))
    return units.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _json_object(line: str) -> Mapping[str, Any] | None:
    try:
        found = json.loads(line)
        # Half a surrogate pair is no text, and cannot be passed on.
        json.dumps(found, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
