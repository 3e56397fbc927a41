"""A remote shell of cmd.exe (WinRS) on a machine under observation, with its messages (MS-WSMV 3.1.4.1.31)."""

from __future__ import annotations

import base64
import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from avma.characters import xml_text
from avma.connection import Connection
from avma.wsman.envelope import TRANSFER, Message, local_name
from avma_conformance.fact import NotHere
from avma_conformance.fault_form import NO_FAULT, FaultForm, fault_form
from avma_conformance.subject import Subject

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

URI = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell"
CMD = f"{URI}/cmd"
POWERSHELL = "http://schemas.microsoft.com/powershell/Microsoft.PowerShell"
TERMINATE = f"{URI}/signal/terminate"
OPTIONS = (("WINRS_NOPROFILE", "TRUE"), ("WINRS_CODEPAGE", "65001"))
STREAMS = "<r:InputStreams>stdin</r:InputStreams><r:OutputStreams>stdout stderr</r:OutputStreams>"
_TIMED_OUT = 0x80338029
_NOT_ALLOWED = 0x803381AC
_NUMBER = re.compile(r"-?\d{1,10}")


@dataclass(frozen=True)
class Ended:
    """The output of a command as text, and its exit code, or None if no answer contained one."""

    out: str
    err: str
    exit_code: int | None

    def __str__(self) -> str:
        shown = (f"{name} output" for name, text in (("standard", self.out), ("error", self.err)) if text)
        return ", ".join((f"exit code {self.exit_code}", *shown))


def element(name: str, content: str = "", attributes: str = "") -> str:
    """Return an element of the shell namespace. `content` is XML."""
    return f'<r:{name} xmlns:r="{URI}"{attributes}>{content}</r:{name}>'


def creation(
    resource: str = CMD, content: str = STREAMS, options: tuple[tuple[str, str], ...] = OPTIONS, attributes: str = ""
) -> Message:
    """Return the message that opens a shell."""
    return Message(f"{TRANSFER}/Create", resource, element("Shell", content, attributes), options=options)


class RemoteShell:
    """An open shell. `created` is the answer that opened it."""

    def __init__(self, subject: Subject, created: Element, resource: str, connection: Connection | None) -> None:
        self.created = created
        self.id = next((each.text or "" for each in created.iter() if each.get("Name") == "ShellId"), "")
        self._subject = subject
        self._resource = resource
        self._connection = connection

    def send(self, action: str, body: str, options: tuple[tuple[str, str], ...] = (), timeout: float = 20.0) -> Element:
        """Send a message to the shell, and return the answer. It may be a fault."""
        message = Message(action, self._resource, body, (("ShellId", self.id),), options)
        rendered = message.render(self._subject.server.connection.endpoint, timeout)
        return self._subject.send(rendered, self._connection)

    def start(self, line: str, options: tuple[tuple[str, str], ...] = ()) -> str | FaultForm:
        """Start a command, and return its ID."""
        body = element("CommandLine", f"<r:Command>{xml_text(line)}</r:Command>")
        found = self.send(f"{URI}/Command", body, options)
        return fault_form(found) or _text(found, "CommandId")

    def receive(self, command: str | None, timeout: float = 20.0) -> Element:
        """Wait for output of a command."""
        named = "" if command is None else f' CommandId="{command}"'
        body = element("Receive", f"<r:DesiredStream{named}>stdout stderr</r:DesiredStream>")
        return self.send(f"{URI}/Receive", body, timeout=timeout)

    def type(self, command: str, data: bytes) -> Element:
        """Send the whole input of a command."""
        text = base64.b64encode(data).decode()
        stream = f'<r:Stream Name="stdin" CommandId="{command}" End="true">{text}</r:Stream>'
        return self.send(f"{URI}/Send", element("Send", stream))

    def signal(self, command: str | None, code: str = TERMINATE) -> Element:
        """Send a signal to a command."""
        named = "" if command is None else f' CommandId="{command}"'
        return self.send(f"{URI}/Signal", element("Signal", f"<r:Code>{code}</r:Code>", named))

    def delete(self) -> Element:
        """Close the shell."""
        return self.send(f"{TRANSFER}/Delete", "")

    def run(self, line: str, options: tuple[tuple[str, str], ...] = ()) -> Ended | FaultForm:
        """Run a command to its end."""
        command = self.start(line, options)
        return command if isinstance(command, FaultForm) else self.output(command)

    def output(self, command: str) -> Ended | FaultForm:
        """Return the whole output of a command."""
        texts = {"stdout": "", "stderr": ""}
        while self._subject.deadline.remaining() > 0:
            found = self.receive(command)
            fault = fault_form(found)
            if fault is not None and fault.number != _TIMED_OUT:
                return fault
            for stream in _named(found, "Stream"):
                name = stream.get("Name", "")
                texts[name] = texts.get(name, "") + base64.b64decode(stream.text or "").decode(errors="replace")
            if any((each.get("State") or "").endswith("/Done") for each in _named(found, "CommandState")):
                code = _text(found, "ExitCode")
                return Ended(texts["stdout"], texts["stderr"], int(code) if _NUMBER.fullmatch(code) else None)
        return Ended(texts["stdout"], texts["stderr"], None)


@contextlib.contextmanager
def opened(subject: Subject, connection: Connection | None = None) -> Iterator[RemoteShell]:
    """Open a shell, and close it at the end of the block.

    Raises:
        NotHere: the machine does not allow remote shells.
    """
    shell = attempt(subject, creation(), connection)
    if isinstance(shell, FaultForm):
        reason = "the machine allows no remote shells" if shell.number == _NOT_ALLOWED else f"no shell opened: {shell}"
        raise NotHere(reason)
    try:
        yield shell
    finally:
        shell.delete()


def attempt(subject: Subject, message: Message, connection: Connection | None = None) -> RemoteShell | FaultForm:
    """Send the message that opens a shell, and return the shell or the fault. The caller closes the shell."""
    found = subject.exchange(message, connection)
    return fault_form(found) or RemoteShell(subject, found, message.resource_uri, connection)


def fault_of_opening(subject: Subject, message: Message, connection: Connection | None = None) -> FaultForm | str:
    """Return the fault for the message that opens a shell, or `NO_FAULT`. A shell that opened is closed again."""
    found = attempt(subject, message, connection)
    if isinstance(found, FaultForm):
        return found
    found.delete()
    return NO_FAULT


def _named(found: Element, name: str) -> Iterator[Element]:
    return (each for each in found.iter() if local_name(each) == name)


def _text(found: Element, name: str) -> str:
    return next((each.text or "" for each in _named(found, name)), "")
