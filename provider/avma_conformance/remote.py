"""A runspace pool of one observation, with all messages that the machine sent through it ([MS-PSRP]).

The session runs in the pool of the product. Fragments and messages are read here, so an observation does not depend on
the product's parser.
"""

from __future__ import annotations

import base64
import struct
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from avma.context import Context
from avma.wsman import safe_xml
from avma.wsman.envelope import TRANSFER, Message, local_name
from avma.wsman.pipe import Pipe
from avma.wsman.script import Output, Script, never
from avma_conformance.fact import NotHere
from avma_conformance.fault_form import NO_FAULT, FaultForm, fault_form
from avma_conformance.subject import Subject

if TYPE_CHECKING:
    from collections.abc import Callable
    from xml.etree.ElementTree import Element

SHELL = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell"
POWERSHELL = "http://schemas.microsoft.com/powershell"
RESOURCE = f"{POWERSHELL}/Microsoft.PowerShell"
STOP = "powershell/signal/crtl_c"
BYTE_ORDER_MARK = "\N{ZERO WIDTH NO-BREAK SPACE}"
_FRAGMENT = struct.Struct(">QQBI")
_HEADER = struct.Struct("<II16s16s")
_NAMES = {
    0x00010002: "SESSION_CAPABILITY",
    0x00010006: "ENCRYPTED_SESSION_KEY",
    0x00021005: "RUNSPACEPOOL_STATE",
    0x00021009: "APPLICATION_PRIVATE_DATA",
    0x00041004: "PIPELINE_OUTPUT",
    0x00041005: "ERROR_RECORD",
    0x00041006: "PIPELINE_STATE",
}
"""The messages that the facts name ([MS-PSRP] 2.2.1)."""


@dataclass(frozen=True)
class RemoteMessage:
    """A message of PowerShell: its name or number, and its data as text."""

    kind: str
    data: str

    @property
    def root(self) -> Element:
        """The data as XML."""
        return safe_xml.parse(self.data.removeprefix(BYTE_ORDER_MARK))

    def text(self, name: str) -> str:
        """Return the text of the first property with that name. Empty without one."""
        return next((each.text or "" for each in self.root.iter() if each.get("N") == name), "")

    def entry(self, key: str) -> str:
        """Return the text of the first entry of a dictionary with that key. Empty without one."""
        for entry in self.root.iter():
            parts = {each.get("N"): each for each in entry if local_name(entry) == "En"}
            if "Key" in parts and "Value" in parts and parts["Key"].text == key:
                return parts["Value"].text or ""
        return ""


class RemoteSession:
    """One runspace pool. Use it as a context manager: it opens on entry, and ends on exit."""

    def __init__(self, subject: Subject, idle_timeout: float = 60.0) -> None:
        from avma.wsman.psrp import Pool  # pypsrp takes long to import

        self._subject = subject
        self._pipe = _KeepingPipe(subject.pipe())
        self.pool = Pool(subject.target.connection, self._pipe, idle_timeout)

    def __enter__(self) -> RemoteSession:
        try:
            self.pool.open(self._subject.context)
        except BaseException:
            self.pool.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.pool.close()

    @property
    def answers(self) -> list[Element]:
        """All answers of the machine so far, in their order."""
        return [safe_xml.parse(answer) for answer in self._pipe.answers]

    @property
    def messages(self) -> list[RemoteMessage]:
        """The messages of PowerShell in these answers."""
        return list(_messages(self.answers))

    def of_kind(self, kind: str) -> RemoteMessage:
        """Return the last message of a kind.

        Raises:
            NotHere: it is missing.
        """
        found = [each for each in self.messages if each.kind == kind]
        if not found:
            raise NotHere(f"PowerShell sent no message {kind}")
        return found[-1]

    def run(
        self, text: str, parameters: Mapping[str, Any] | None = None, until: Callable[[Output], bool] = never
    ) -> Output:
        """Run a text of PowerShell. Once `until` returns True for its output, leave it running.

        Raises:
            AvmaError: its end was not seen.
        """
        return self.pool.run(self._subject.context, Script(text, ""), parameters or {}, until=until)

    @property
    def is_running(self) -> bool:
        """Whether the text that `run` left running still runs."""
        return self.pool.is_running(self._subject.context)

    def shell_element(self, name: str) -> str:
        """Return the text of an element of `rsp:Shell` in the answer to Create. Empty without one."""
        return next((each.text or "" for each in self.answers[0].iter() if each.tag == f"{{{SHELL}}}{name}"), "")

    @property
    def command_id(self) -> str:
        """The id of the last pipeline. Empty without one."""
        found = [each.text or "" for answer in self.answers for each in answer.iter(f"{{{SHELL}}}CommandId")]
        return found[-1] if found else ""

    def fault(self, message: Message, timeout: float = 60.0) -> FaultForm | str:
        """Send a request to the pool, and return its fault, or `NO_FAULT`."""
        to = self._subject.server.connection.endpoint
        return fault_form(self._subject.send(message.render(to, timeout))) or NO_FAULT

    def receive(self, command_id: str = "") -> Message:
        """Return a request for the output of a pipeline, or of the pool."""
        named = f' CommandId="{command_id}"' if command_id else ""
        return self._request("Receive", f"<rsp:DesiredStream{named}>stdout</rsp:DesiredStream>")

    def signal(self, command_id: str) -> Message:
        """Return a request to stop a pipeline."""
        body = f'<rsp:Signal xmlns:rsp="{SHELL}" CommandId="{command_id}"><rsp:Code>{STOP}</rsp:Code></rsp:Signal>'
        return Message(f"{SHELL}/Signal", RESOURCE, body, self._selectors)

    def delete(self) -> Message:
        """Return a request to end the pool."""
        return Message(f"{TRANSFER}/Delete", RESOURCE, "", self._selectors)

    @property
    def _selectors(self) -> tuple[tuple[str, str], ...]:
        return (("ShellId", self.shell_element("ShellId")),)

    def _request(self, name: str, content: str) -> Message:
        body = f'<rsp:{name} xmlns:rsp="{SHELL}">{content}</rsp:{name}>'
        return Message(f"{SHELL}/{name}", RESOURCE, body, self._selectors)


class _KeepingPipe:
    """A pipe that keeps the answers."""

    def __init__(self, inner: Pipe) -> None:
        self._inner = inner
        self.answers: list[bytes] = []

    def send(self, context: Context, message: bytes) -> bytes:
        answer = self._inner.send(context, message)
        self.answers.append(answer)
        return answer

    def close(self) -> None:
        self._inner.close()


def _messages(answers: list[Element]) -> Iterator[RemoteMessage]:
    """Yield the complete messages in the streams of the answers."""
    pending: dict[tuple[str, int], bytes] = {}
    for stream in (each for answer in answers for each in answer.iter(f"{{{SHELL}}}Stream")):
        data = base64.b64decode(stream.text or "")
        while len(data) >= _FRAGMENT.size:
            number, _, flags, length = _FRAGMENT.unpack_from(data)
            key = (stream.get("CommandId", ""), number)
            pending[key] = pending.get(key, b"") + data[_FRAGMENT.size : _FRAGMENT.size + length]
            data = data[_FRAGMENT.size + length :]
            if flags & 2:
                yield _message(pending.pop(key))


def _message(blob: bytes) -> RemoteMessage:
    _, kind, _, _ = _HEADER.unpack_from(blob)
    return RemoteMessage(_NAMES.get(kind, f"0x{kind:08X}"), blob[_HEADER.size :].decode("utf-8", "replace"))


def new_id() -> str:
    """Return an id that no machine knows."""
    return str(uuid.uuid4()).upper()
