"""A recording of answers from Windows machines, and the choice of the answer to a request.

docs/doctor.md describes the file format.
"""

from __future__ import annotations

import copy
import itertools
import re
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from xml.sax.saxutils import escape

from pydantic import BaseModel, ConfigDict

from avma_simulator.estate_file.yaml_source import FileError, Mistake
from avma_simulator.wsman import soap, wsman_faults

Format = Literal["avma recording 1"]
FORMAT: Format = "avma recording 1"
_LEFT_OUT = "[not XML]"
"""The recorder's replacement for a message that is not XML."""
_RELATES_TO = re.compile(r"(<(?:[\w.-]+:)?RelatesTo(?:\s[^<>]*)?>)[^<]*(</)")
_FAULT = re.compile(r"<(?:[\w.-]+:)?Body(?:\s[^<>]*)?>\s*<(?:[\w.-]+:)?Fault[\s>]")

_POWERSHELL = "http://schemas.microsoft.com/powershell/"
Key = tuple[str, str, tuple[tuple[str, str], ...], str]
"""The identity of a question: action, resource, selectors, and the query or the body."""


class _Record(BaseModel):
    """A part of the file. Unknown fields of later versions are ignored."""

    model_config = ConfigDict(strict=True, frozen=True)


class RecordedMachine(_Record):
    """A machine of a recording: placeholders for its name, its address and its account."""

    name: str
    address: str
    username: str


class _First(_Record):
    """The first line: the format of the file."""

    format: Format
    machines: list[RecordedMachine]


class _Exchange(_Record):
    """Any other line. Without an answer it contains an error, which is not replayed."""

    machine: str
    request: str
    answer: str | None = None


@dataclass(frozen=True)
class Answer:
    """A recorded answer, as the machine sent it."""

    text: str

    @property
    def is_fault(self) -> bool:
        """Whether the answer is a SOAP fault."""
        return _FAULT.search(self.text) is not None

    def to(self, message_id: str) -> bytes:
        """Return the answer as a response to the message with that ID."""
        return _RELATES_TO.sub(lambda found: f"{found[1]}{escape(message_id)}{found[2]}", self.text).encode()


class Recording:
    """The machines of a recording, one per address, and their answers."""

    def __init__(self, machines: list[RecordedMachine], answers: dict[str, dict[Key, list[Answer]]]) -> None:
        self.machines = machines
        self._answers = {
            address: {key: itertools.cycle(given) for key, given in of_machine.items()}
            for address, of_machine in answers.items()
        }

    def answer(self, address: str, request: soap.Request) -> Answer | None:
        """Return the next recorded answer to a request, or None.

        A question with several answers gets them in their order, then from the start again.

        Raises:
            Fault: the body of the request is nested too deeply.
        """
        given = self._answers.get(address, {}).get(key_of(request))
        return next(given) if given is not None else None


def key_of(request: soap.Request) -> Key:
    """Return the identity of a request's question.

    Raises:
        Fault: the body is nested too deeply.
    """
    if request.resource.lower().startswith(_POWERSHELL):
        return request.action, request.resource.lower(), (), _of_pipeline(request)
    selectors = tuple(sorted((name.lower(), value) for name, value in request.selectors.items()))
    return request.action, request.resource.lower(), selectors, _question(request)


def load(path: Path) -> Recording:
    """Read a recording.

    Raises:
        FileError: the file cannot be read, or is not a recording. The error lists each mistake with its line.
    """
    try:
        text = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise FileError(path, [], f"cannot be read: {getattr(error, 'strerror', None) or 'it is not text'}") from None
    machines: list[RecordedMachine] = []
    answers: dict[str, dict[Key, list[Answer]]] = {}
    # Only a line feed ends a line. `splitlines` would also split at other characters inside an answer.
    for number, line in enumerate(text.split("\n") if text else (), 1):
        try:
            if number == 1:
                machines = _machines(line)
            else:
                _take(line, answers, {machine.address for machine in machines})
        except (ValueError, wsman_faults.Fault):
            wrong = "is not a recorded request and answer" if machines else f"is not the first line of an `{FORMAT}`"
            raise FileError(path, [Mistake(number, "", wrong)]) from None
    if not machines:
        raise FileError(path, [], "is not a recording, or contains no machines")
    return Recording(machines, answers)


def _machines(line: str) -> list[RecordedMachine]:
    machines = _First.model_validate_json(line).machines
    return list({machine.address: machine for machine in machines}.values())


def _take(line: str, answers: dict[str, dict[Key, list[Answer]]], known: set[str]) -> None:
    exchange = _Exchange.model_validate_json(line)
    if exchange.machine not in known:
        raise ValueError(exchange.machine)
    if exchange.answer is None or exchange.request == _LEFT_OUT:
        return
    try:
        request = soap.parse(exchange.request.encode())
    except wsman_faults.Fault:
        if not Answer(exchange.answer).is_fault:
            raise
        return  # the machine rejected the request, and the replay does so by itself
    answers.setdefault(exchange.machine, {}).setdefault(key_of(request), []).append(Answer(exchange.answer))


def _of_pipeline(request: soap.Request) -> str:
    """Return "pipeline" if a message of PowerShell remoting is for a pipeline.

    IDs and data of these messages differ each time, so they cannot identify a question.
    """
    body = () if request.body is None else request.body.iter()
    return "pipeline" if any(child.get("CommandId") for child in body) else ""


def _question(request: soap.Request) -> str:
    """Return the query of a request, or its body in canonical form, independent of prefixes."""
    if request.body is None:
        return ""
    query = request.text("w:Filter")
    if query is not None:
        return f"{request.text('w:EnumerationMode') or ''} {' '.join(query.split())}"
    alone = copy.copy(request.body)
    alone.tail = None
    try:
        return ET.canonicalize(ET.tostring(alone), rewrite_prefixes=True, strip_text=True)
    except RecursionError:
        raise wsman_faults.schema_validation() from None
