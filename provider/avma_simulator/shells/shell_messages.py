"""The messages of remote shells (MS-WSMV 2.2.4): parsing of bodies and construction of answers."""

from __future__ import annotations

import base64
import binascii
import xml.etree.ElementTree as ET
from collections.abc import Iterable

from avma_simulator.wsman import soap, wsman_faults
from avma_simulator.wsman.xmltree import element

URI = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell"
DONE = f"{URI}/CommandState/Done"
RUNNING = f"{URI}/CommandState/Running"
TERMINATE = f"{URI}/signal/terminate"
OVERHEAD = 3000
"""Bytes of an answer's envelope in addition to its streams."""
_STREAM_OVERHEAD = 100


def body(request: soap.Request, name: str) -> ET.Element:
    """Return the child of the request's Body.

    Raises:
        Fault: the child has another name.
    """
    if request.body is None or request.body.tag != qualified(name):
        raise wsman_faults.schema_validation()
    return request.body


def qualified(local: str) -> str:
    """Return a name in the shell namespace, in ElementTree's notation."""
    return f"{{{URI}}}{local}"


def rsp(name: str, *children: ET.Element, **attributes: str) -> ET.Element:
    """Return an element that declares the shell's prefix."""
    return element(f"rsp:{name}", *children, xmlns__rsp=URI, **attributes)


def decoded(text: str | None) -> bytes:
    """Return the bytes of a Base64 text.

    Raises:
        Fault: the text is not Base64.
    """
    try:
        return base64.b64decode("".join((text or "").split()), validate=True)
    except (binascii.Error, ValueError):
        raise wsman_faults.schema_validation() from None


def stream(name: str, data: bytes, command: str | None, end: bool = False) -> ET.Element:
    """Return an `rsp:Stream` of an answer."""
    of_command = {} if command is None else {"CommandId": command}
    ended = {"End": "true"} if end else {}
    return element("rsp:Stream", base64.b64encode(data).decode(), Name=name, **of_command, **ended)


def state(command: str, exit_code: int | None) -> ET.Element:
    """Return the `rsp:CommandState` of a command. Without an exit code, the command is running."""
    if exit_code is None:
        return element("rsp:CommandState", CommandId=command, State=RUNNING)
    code = element("rsp:ExitCode", str(exit_code))
    return element("rsp:CommandState", code, CommandId=command, State=DONE)


def room(request: soap.Request, streams: Iterable[object]) -> int:
    """Return the number of bytes of each stream that fit into the answer. Base64 turns three bytes into four."""
    count = max(1, len(list(streams)))
    return max(1, (request.envelope_size - OVERHEAD) // count - _STREAM_OVERHEAD) // 4 * 3


def desired(request: soap.Request) -> str | None:
    """Return the command of a Receive, or None if it names none."""
    found = body(request, "Receive").find(qualified("DesiredStream"))
    return None if found is None else found.get("CommandId")
