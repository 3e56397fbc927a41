"""Fuzz target for PowerShell remoting: a whole conversation as seeds, and the client parser."""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Callable, Iterator

from defusedxml.ElementTree import fromstring

from avma import errors
from avma.connection import Connection
from avma.context import Context
from avma.deadline import Deadline
from avma.wsman.psrp import Pool
from avma.wsman.script import Credential, Script, Secret

SHELL = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell"
SCRIPT = Script("# avma-script: cim-in-guest 4\n", "Invoke-AvmaCimInGuest4")
_EMPTY = b'<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Body/></s:Envelope>'
_RECEIVED = (
    b'<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Body><r:ReceiveResponse '
    b'xmlns:r="http://schemas.microsoft.com/wbem/wsman/1/windows/shell"><r:Stream Name="stdout">%s</r:Stream>'
    b"</r:ReceiveResponse></s:Body></s:Envelope>"
)


class Asking:
    """A pipe to a function that answers messages. It records both."""

    def __init__(self, reply: Callable[[bytes], bytes]) -> None:
        self._reply = reply
        self.exchanged: list[tuple[bytes, bytes]] = []

    def send(self, context: Context, message: bytes) -> bytes:
        self.exchanged.append((message, self._reply(message)))
        return self.exchanged[-1][1]

    def close(self) -> None:
        pass


class Sending:
    """A pipe to a machine that sends these bytes once to the pool and once to the pipeline."""

    def __init__(self, data: bytes) -> None:
        received = _RECEIVED % base64.b64encode(data)
        self._answers = iter((_EMPTY, received, _EMPTY, received))

    def send(self, context: Context, message: bytes) -> bytes:
        answer = next(self._answers, None)
        if answer is None:
            raise context.error(errors.TimedOut, "the time is over", "wait")
        return answer

    def close(self) -> None:
        pass


def conversation(connection: Connection, reply: Callable[[bytes], bytes]) -> list[tuple[bytes, bytes]]:
    """Return the messages and answers of two successful runs and a failed one."""
    pipe = Asking(reply)
    pool = Pool(connection, pipe)
    pool.open(Context("open it", "hv01", Deadline(20)))
    guest = {
        "id": "8a1f",
        "credential": Credential("u", "p"),
        "operations": [],
        "secrets": [Secret("x")],
        "seconds": 9.0,
    }
    for guests in ([], [guest], 5):
        pool.run(
            Context("run it", "hv01", Deadline(20)), SCRIPT, {"Guests": guests, "ThrottleLimit": 1, "Timeout": 1.0}
        )
    pool.close()
    return pipe.exchanged


def streamed(answers: list[bytes]) -> Iterator[bytes]:
    """Yield the bytes in the streams of answers."""
    for answer in answers:
        for stream in fromstring(answer).iter(f"{{{SHELL}}}Stream"):
            yield base64.b64decode(stream.text or "")


def sent(connection: Connection, data: bytes) -> None:
    """Read bytes as data from a machine, for a pool that opens and for a running script."""
    pool = Pool(connection, Sending(data))
    with contextlib.suppress(errors.AvmaError):
        pool.open(Context("open it", "hv01", Deadline(60)))
        output = pool.run(Context("run it", "hv01", Deadline(60)), SCRIPT, {})
        repr((output.objects, output.errors)).encode("utf-8", "backslashreplace")
