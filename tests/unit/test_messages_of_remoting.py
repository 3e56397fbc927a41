"""Any data from PowerShell remoting yields readable errors."""

from __future__ import annotations

import base64
import struct
from collections.abc import Iterable
from uuid import UUID
from xml.sax.saxutils import escape

from hypothesis import given, settings
from hypothesis import strategies as st

from avma import errors
from avma.configuration import Configuration
from avma.connection import resolve
from avma.context import Context
from avma.deadline import Deadline
from avma.windows import powershell_direct
from avma.windows.powershell import PowerShell
from avma.wsman import clixml
from avma.wsman.runspaces import Runspaces
from unit.test_messages import WORDS, require_readable

SHELL = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell"
POOL_STATE, PIPELINE_STATE, OUTPUT, ERROR_RECORD, WARNING = 0x00021005, 0x00041006, 0x00041004, 0x00041005, 0x00041007
OPENED, BROKEN, COMPLETED, FAILED = 2, 5, 4, 5
TEXTS = WORDS.map(lambda text: escape(clixml.encoded(text)))
EXCEPTIONS = st.one_of(
    st.sampled_from(["", '<Nil N="Exception" />', '<S N="Exception">text</S>']),
    st.builds(
        '<Obj N="Exception" RefId="2"><TN RefId="1"><T>System.Exception</T></TN><Props>{}</Props></Obj>'.format,
        st.one_of(st.sampled_from(["", '<Nil N="Message" />']), TEXTS.map('<S N="Message">{}</S>'.format)),
    ),
)
IDS = st.one_of(st.just("<Nil {} />"), TEXTS.map("<S {{}}>{},Command</S>".format), st.just("<S {}></S>"))


def record(exception: str, error_id: str, details: str) -> str:
    """Return an error record in the form of Windows, with a placeholder for its name in another object."""
    named = error_id.format('N="FullyQualifiedErrorId"')
    return (
        '<Obj {}RefId="1"><TN RefId="0"><T>System.Management.Automation.ErrorRecord</T><T>System.Object</T></TN>'
        f"<MS>{exception}{named}{details}"
        '<I32 N="ErrorCategory_Category">0</I32><B N="SerializeExtendedInfo">false</B></MS></Obj>'
    )


DETAILS = st.one_of(st.just(""), TEXTS.map('<S N="ErrorDetails_Message">{}</S>'.format))
RECORDS = st.builds(record, EXCEPTIONS, IDS, DETAILS)


def states(name: str, states: st.SearchStrategy[int], reason: str) -> st.SearchStrategy[str]:
    """Return states of a pool or a pipeline. Some have an error as their reason."""
    reasons = st.one_of(st.just(""), RECORDS.map(lambda record: record.format(f'N="{reason}" ')))
    return st.builds(f'<Obj RefId="0"><MS><I32 N="{name}">{{}}</I32>{{}}</MS></Obj>'.format, states, reasons)


Messages = list[tuple[int, str]]
NUMBERS_OF_STATES = st.integers(-1, 12)
FROM_POOL = st.one_of(
    st.tuples(st.just(POOL_STATE), states("RunspaceState", NUMBERS_OF_STATES, "ExceptionAsErrorRecord")),
    st.tuples(st.sampled_from([WARNING, 0x00021009, 0x00021006, 0x00010002, 7]), TEXTS.map("<S>{}</S>".format)),
)
FROM_PIPELINE = st.one_of(
    FROM_POOL,
    st.tuples(st.just(OUTPUT), st.one_of(st.just("<Nil />"), st.just("<I32>5</I32>"), TEXTS.map("<S>{}</S>".format))),
    st.tuples(st.just(OUTPUT), st.sampled_from(["<S>{}</S>", '<S>{"host": 5}</S>', "<S>[</S>", "<B>x</B>", "<", ""])),
    st.tuples(st.just(ERROR_RECORD), RECORDS.map(lambda record: record.format(""))),
    st.tuples(st.just(PIPELINE_STATE), states("PipelineState", NUMBERS_OF_STATES, "ExceptionAsErrorRecord")),
)
END = states("PipelineState", st.sampled_from([COMPLETED, FAILED]), "ExceptionAsErrorRecord").map(
    lambda xml: [(PIPELINE_STATE, xml)]
)


def fragments(messages: Iterable[tuple[int, str]]) -> bytes:
    """Return messages of PowerShell remoting as fragments ([MS-PSRP] 2.2.4), one for each message."""
    sent = b""
    for number, (kind, xml) in enumerate(messages, 1):
        data = struct.pack("<II", 1, kind) + UUID(int=1).bytes_le + UUID(int=2).bytes_le + xml.encode()
        sent += struct.pack(">QQBI", number, 0, 3, len(data)) + data
    return sent


class Remoting:
    """A pipe to a machine whose pool and pipelines repeat their messages until the time is over."""

    def __init__(self, of_pool: bytes, of_pipeline: bytes, left: int = 12) -> None:
        self._data, self._of_pipeline, self._left = of_pool, of_pipeline, left

    def send(self, context: Context, message: bytes) -> bytes:
        self._left -= 1
        if self._left < 0:
            raise context.error(errors.TimedOut, "the time is over", "wait")
        body = ""
        if b"/shell/Command<" in message:
            self._data = self._of_pipeline
        if b"/shell/Receive<" in message:
            stream = base64.b64encode(self._data).decode()
            body = f'<r:ReceiveResponse><r:Stream Name="stdout">{stream}</r:Stream></r:ReceiveResponse>'
        soap = "http://www.w3.org/2003/05/soap-envelope"
        return f'<s:Envelope xmlns:s="{soap}" xmlns:r="{SHELL}"><s:Body>{body}</s:Body></s:Envelope>'.encode()

    def close(self) -> None:
        """Do nothing."""


def require_readable_remoting(of_pool: bytes, of_pipeline: bytes) -> list[errors.AvmaError]:
    """Run a script on a machine with these messages, and return the errors."""
    raised = []
    connection = resolve("hv01", Configuration(username="u", password="p", https=False))
    runspaces = Runspaces(connection, lambda _: Remoting(of_pool, of_pipeline))
    try:
        powershell_direct.require_script(PowerShell(runspaces), Deadline(30))
    except errors.AvmaError as error:
        require_readable(error)
        raised.append(error)
    runspaces.close(5)
    return raised


CAPABLE = (
    0x00010002,
    '<Obj RefId="0"><MS><Version N="protocolversion">2.3</Version><Version N="PSVersion">2.0</Version>'
    '<Version N="SerializationVersion">1.1.0.1</Version></MS></Obj>',
)
IS_OPEN = (POOL_STATE, f'<Obj RefId="0"><MS><I32 N="RunspaceState">{OPENED}</I32></MS></Obj>')
OPENING = fragments([CAPABLE, IS_OPEN])


@settings(deadline=None)
@given(st.lists(FROM_POOL, max_size=3), st.lists(FROM_PIPELINE, max_size=3), END)
def test_messages_of_powershell_remoting(of_pool: Messages, of_pipeline: Messages, end: Messages) -> None:
    require_readable_remoting(fragments(of_pool), b"")
    require_readable_remoting(OPENING, fragments([*of_pipeline, *end]))


@settings(deadline=None)
@given(st.binary(max_size=60), st.booleans())
def test_bytes_of_powershell_remoting(data: bytes, opens: bool) -> None:
    require_readable_remoting(OPENING if opens else data, data)


def test_the_reason_of_powershell_is_in_the_error() -> None:
    exception = '<Obj N="Exception" RefId="2"><Props><S N="Message">not &amp; allowed</S></Props></Obj>'
    reason = record(exception, "<S {}>Some.Id,Command</S>", "")
    of_state = reason.format('N="ExceptionAsErrorRecord" ')
    broken = f'<Obj RefId="0"><MS><I32 N="RunspaceState">{BROKEN}</I32>{of_state}</MS></Obj>'
    failed = f'<Obj RefId="0"><MS><I32 N="PipelineState">{FAILED}</I32>{of_state}</MS></Obj>'
    completed = f'<Obj RefId="0"><MS><I32 N="PipelineState">{COMPLETED}</I32></MS></Obj>'
    for of_pool, of_pipeline in (
        ([CAPABLE, (POOL_STATE, broken)], []),
        ([CAPABLE, IS_OPEN], [(PIPELINE_STATE, failed)]),
        ([CAPABLE, IS_OPEN], [(POOL_STATE, broken)]),
        ([CAPABLE, IS_OPEN], [(ERROR_RECORD, reason.format("")), (PIPELINE_STATE, completed)]),
    ):
        (error,) = require_readable_remoting(fragments(of_pool), fragments(of_pipeline))
        assert "not & allowed (Some.Id,Command)" in error.answer
