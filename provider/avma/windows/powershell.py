"""Runs of this package's scripts in Windows PowerShell on one machine. Each line of output is one JSON object.

The text of a script contains no values. Values come as parameters, and secrets as parameters of the types SecureString
and PSCredential. So they are not in a script-block log (event 4104), because it records texts. A module log (event
4103) records the parameters of cmdlets, but for these types it shows the type name instead of the value.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any

from avma import characters, errors
from avma.context import Context
from avma.redaction import Redactor
from avma.wording import RUN_AGAIN, setting
from avma.wsman.runspaces import RunningScript, Runspaces
from avma.wsman.script import OnOutput, Output, Script, ignore, never, secrets_in

_LONGEST = 400
_FIRST_LINE = re.compile(r"# avma-script: ([a-z-]+) (\d+)")
_QUOTES = re.compile("['\u2018-\u201b]")
"""What begins and ends a literal string of PowerShell (about_Quoting_Rules)."""
_NO_SUCH_COMMAND = "CommandNotFoundException"


@dataclass(frozen=True)
class Answers:
    """The JSON objects from a script. `complaint` is one text with its errors and all other output."""

    objects: tuple[Mapping[str, Any], ...]
    complaint: str


class PowerShell:
    """Runs the scripts of this package on one machine."""

    def __init__(self, runspaces: Runspaces) -> None:
        self._runspaces = runspaces

    @property
    def where(self) -> str:
        """The machine's name in errors."""
        return self._runspaces.where

    def run(
        self,
        context: Context,
        script: str,
        parameters: Mapping[str, Any],
        on_answer: OnOutput = ignore,
        must_close: Callable[[Mapping[str, Any]], bool] = never,
    ) -> Answers:
        """Run a script with those parameters and return its output. `on_answer` receives each answer as it arrives.

        If `must_close` returns True for an answer, the PowerShell of that run is closed, with everything it started.

        Raises:
            ScriptFailed: the script wrote no answer.
            AnswerLost: the script may have run, but its end was not reported.
            AvmaError: the script did not start.
        """
        reader = OutputReader()
        output = self._runspaces.run(
            context, load(script), parameters, reader.passing_on(on_answer), reader.has_answer(must_close)
        )
        self._require_function(context, load(script), output)
        redact = Redactor()
        redact.learn(secrets_in(parameters))
        answers = reader.read(output, redact)
        if not answers.objects and (answers.complaint or not output.completed):
            raise failure(context, answers.complaint)
        return answers

    def start(
        self,
        context: Context,
        script: str,
        parameters: Mapping[str, Any],
        until: Callable[[Mapping[str, Any]], bool],
        on_answer: OnOutput,
        idle_timeout: float,
    ) -> tuple[RunningScript, Answers]:
        """Start a script without secrets. Return it with its output once `until` returns True for an answer of it.

        The script has ended otherwise. See `Runspaces.start`.

        Raises:
            Refused: the session configuration lacks the function of the script.
        """
        reader = OutputReader()
        running = self._runspaces.start(
            context, load(script), parameters, reader.passing_on(on_answer), reader.has_answer(until), idle_timeout
        )
        try:
            self._require_function(context, load(script), running.output)
        except errors.Refused:
            running.end()
            raise
        return running, reader.read(running.output, Redactor())

    def _require_function(self, context: Context, script: Script, output: Output) -> None:
        """Raise Refused if the session configuration lacks the function of the script."""
        name = self._runspaces.configuration_name
        missing = any(record.error_id.partition(",")[0] == _NO_SUCH_COMMAND for record in output.errors)
        if not name or not missing or output.objects:
            return
        answer = f"the session configuration `{name}` does not permit the function {script.function}"
        remedy = (
            "write it again with the `avma jea` of this version and register it on the machine (with `--azure-local` "
            f"for a machine of Azure Local), or remove {setting('configuration_name')}"
        )
        raise context.error(errors.Refused, answer, remedy)


@functools.cache
def load(script: str) -> Script:
    """Return a script of this package.

    The name of its function contains its version, so a session configuration for another version lacks the function.
    """
    text = (resources.files(__package__) / "scripts" / f"{script}.ps1").read_text(encoding="utf-8")
    first = _FIRST_LINE.match(text)
    if first is None:
        raise ValueError(f"the script {script} does not name itself in its first line")
    noun = "".join(part.title() for part in first[1].split("-"))
    return Script(text, f"Invoke-Avma{noun}{first[2]}")


def names() -> list[str]:
    """Return the names of all scripts of this package."""
    files = (resources.files(__package__) / "scripts").iterdir()
    return sorted(file.name.removesuffix(".ps1") for file in files if file.name.endswith(".ps1"))


def literal(text: str) -> str:
    """Return a text as a literal string of PowerShell, for a command that users type."""
    doubled = _QUOTES.sub(r"\g<0>\g<0>", text)
    return f"'{doubled}'"


def failure(context: Context, complaint: str) -> errors.ScriptFailed:
    """Return the error for a script without an answer."""
    remedy = (
        "check that Windows PowerShell 5.1 can run scripts on the machine (application control, antivirus, language "
        f"mode), then {RUN_AGAIN}; if the error persists, report it"
    )
    answer = f"the script returned no valid answer: {complaint}" if complaint else "the script returned no answer"
    return context.error(errors.ScriptFailed, answer, remedy)


class OutputReader:
    """A reader of one script's output. It parses each text once."""

    def __init__(self) -> None:
        self._parsed: dict[str, Mapping[str, Any] | None] = {}

    def json_object(self, written: Any) -> Mapping[str, Any] | None:
        """Return the JSON object in a text. None for anything else."""
        if not isinstance(written, str):
            return None
        if written not in self._parsed:
            self._parsed[written] = _json_object(written)
        return self._parsed[written]

    def passing_on(self, on_answer: OnOutput) -> OnOutput:
        """Return a function that passes on each answer in an output."""

        def pass_on(written: Any) -> None:
            found = self.json_object(written)
            if found is not None:
                on_answer(found)

        return pass_on

    def has_answer(self, matches: Callable[[Mapping[str, Any]], bool]) -> Callable[[Output], bool]:
        """Return a function that returns True if an answer in an output matches."""

        def has_match(output: Output) -> bool:
            found = map(self.json_object, output.objects)
            return any(matches(answer) for answer in found if answer is not None)

        return has_match

    def read(self, output: Output, redact: Redactor) -> Answers:
        """Return the answers in the output of a script. All other output becomes the complaint."""
        objects, complaints = [], [redact(_text(record)) for record in output.errors]
        for written in output.objects:
            found = self.json_object(written)
            if found is not None:
                objects.append(found)
            else:
                shown = "$null" if written is None else characters.one_line(_text(written))
                complaints.append(f"unexpected output `{redact(shown)}`" if shown else "empty output")
        return Answers(tuple(objects), _shortened("; ".join(part for part in complaints if part)))


def _json_object(text: str) -> Mapping[str, Any] | None:
    try:
        found = json.loads(text, object_pairs_hook=_table)
    except (ValueError, RecursionError):
        return None
    return _whole(found) if isinstance(found, dict) else None


def _table(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a JSON object without duplicate names.

    A script embeds the text of a guest in its own. With a second `id`, this could become the answer of another guest.
    """
    table = dict(pairs)
    if len(table) != len(pairs):
        raise ValueError("a name comes twice")
    return table


def _whole(value: Any) -> Any:
    """Return a JSON value with U+FFFD instead of each unpaired surrogate, because a surrogate is not valid text."""
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, list):
        return [_whole(item) for item in value]
    if isinstance(value, dict):
        return {_text(name): _whole(item) for name, item in value.items()}
    return value


def _text(value: Any) -> str:
    return str(value).encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}{characters.CUT}"
