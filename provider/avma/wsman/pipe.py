"""The interface of a connection to one machine, and the log of its requests.

A logged pipe writes one line for each request, at level DEBUG of the logger `avma.wsman`. A line contains the machine,
the operation with its class, the result, the bytes sent and received, and the time:

    hv01 (10.0.0.11:5986): Enumerate SoftwareLicensingProduct: ok, 1143 bytes sent, 2210 received, 34 ms

A second or later attempt of the same read or change adds `attempt 2`. No line contains a value of a property, a
parameter of a method, or a script. The handlers of the front ends redact each line.
"""

from __future__ import annotations

import logging
import re
import time
from typing import TYPE_CHECKING, Protocol

from avma import errors
from avma.connection import Connection
from avma.context import Context
from avma.wsman import envelope, retry, safe_xml, soap_faults

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

log = logging.getLogger("avma.wsman")

_CLASS_IN_WQL = re.compile(r"\b(?:FROM|ASSOCIATORS OF)\s+\{?(\w+)", re.IGNORECASE)


class Pipe(Protocol):
    """A carrier of SOAP messages to one machine."""

    def send(self, context: Context, message: bytes) -> bytes:
        """Send a message and return the answer, which may be a SOAP fault.

        Raises:
            AvmaError: there is no answer, or it is not WinRM's.
        """

    def close(self) -> None:
        """Close the connection."""


def new_winrm_pipe(connection: Connection) -> Pipe:
    """Return a pipe to the WinRM service of a machine."""
    # Its libraries take longer to import than the whole plugin, and a preview without changes asks no machine.
    from avma.wsman.winrm_pipe import WinrmPipe

    return WinrmPipe(connection)


class LoggedPipe:
    """A pipe that logs what another pipe sends."""

    def __init__(self, connection: Connection, inner: Pipe) -> None:
        self._where = connection.where
        self._inner = inner

    def send(self, context: Context, message: bytes) -> bytes:
        """See `Pipe.send`."""
        if not log.isEnabledFor(logging.DEBUG):
            return self._inner.send(context, message)
        began = time.monotonic()
        try:
            answer = self._inner.send(context, message)
        except errors.AvmaError as error:
            self._note(message, f"{error.topic}, {len(message)} bytes sent, no answer", began)
            raise
        self._note(message, f"{_result(answer)}, {len(message)} bytes sent, {len(answer)} received", began)
        return answer

    def close(self) -> None:
        """See `Pipe.close`."""
        self._inner.close()

    def _note(self, message: bytes, result: str, began: float) -> None:
        milliseconds = round((time.monotonic() - began) * 1000)
        attempt = retry.attempt()
        again = f", attempt {attempt}" if attempt > 1 else ""
        log.debug("%s: %s: %s, %d ms%s", self._where, operation_of(message), result, milliseconds, again)


def operation_of(message: bytes) -> str:
    """Return the WS-Management operation or WMI method of a request, and its class."""
    try:
        root = safe_xml.parse(message)
    except safe_xml.Rejected:
        return "a message that is not XML"
    action = _text(root, f"{{{envelope.ADDRESSING}}}Action")
    resource = _text(root, f"{{{envelope.WSMAN}}}ResourceURI").rpartition("/")[2]
    named = _CLASS_IN_WQL.search(_text(root, f"{{{envelope.WSMAN}}}Filter"))
    subject = named[1] if named else resource.replace("*", "")
    return f"{action.rpartition('/')[2]} {subject}".rstrip() or "Identify"


def _text(root: Element, name: str) -> str:
    return next((element.text or "" for element in root.iter(name)), "")


def _result(answer: bytes) -> str:
    try:
        fault = soap_faults.find_fault(envelope.body_of(answer))
    except envelope.NotSoap:
        return "no SOAP"
    if fault is None:
        return "ok"
    return f"fault {fault.subcode} 0x{fault.code:08X}" if fault.code else f"fault {fault.subcode}"
