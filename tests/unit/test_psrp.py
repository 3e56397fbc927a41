"""Values in PowerShell remoting, and errors of broken conversations."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest
from defusedxml.ElementTree import fromstring
from hypothesis import given
from hypothesis import strategies as st

from avma import errors
from avma.cancellation import Cancellation
from avma.connection import Connection, resolve
from avma.context import Context
from avma.deadline import Deadline
from avma.settings import Settings
from avma.wsman.psrp import Pool
from avma.wsman.psrp_values import Serializer
from avma.wsman.runspaces import Runspaces
from avma.wsman.script import Credential, Script, Secret, TimeLeft, secrets_in

NASTY = ["", "_x0041_", "_X0041_", "a_x", "\ud800", "\udc00\ud800", "\U0001f600", "\x00\x1f\x7f\x85", "\ufffe", "]]>&<"]


def carried(text: str) -> str:
    serializer = Serializer()
    element = serializer.serialize(text)
    assert element is not None
    wire = ET.tostring(element, encoding="utf-8")
    return str(serializer.deserialize(wire.decode("utf-8")))


@pytest.mark.parametrize("text", [*NASTY, "x" * 1_000_000], ids=lambda text: ascii(text)[:20])
def test_texts_arrive_as_they_are(text):
    # Two adjacent surrogate halves form a pair.
    assert carried(text) == text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


@given(st.text(st.characters(), max_size=30))
def test_any_text_arrives_as_it_is(text):
    whole = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
    assert carried(text) == whole


def test_a_document_type_in_a_message_is_refused():
    with pytest.raises(ValueError, match="document type"):
        Serializer().deserialize('<!DOCTYPE x [<!ENTITY a "b">]><S>&a;</S>')


def test_secrets_among_parameters():
    parameters = {"a": [{"b": Secret("one")}, (Credential("u", "two"),)], "c": "three", "d": 4}
    assert list(secrets_in(parameters)) == ["one", "two"]
    assert "one" not in repr(parameters)
    assert "two" not in repr(parameters)


@pytest.mark.parametrize(("left", "seconds"), [(100.0, 95.0), (10.0, 8.0), (0.5, 1.0)])
def test_a_script_gets_less_time_than_its_caller_has(left, seconds):
    assert TimeLeft(5.0, 0.2).of(left) == seconds


class Scripted:
    """A pipe with these answers. The last one repeats."""

    def __init__(self, *answers: bytes | Exception) -> None:
        self.answers = list(answers)
        self.sent: list[bytes] = []

    def send(self, context: Context, message: bytes) -> bytes:
        self.sent.append(message)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def close(self) -> None:
        """See `Pipe.close`."""


CONNECTION: Connection = resolve("hv01", Settings(https=True, username="u", password="p"))
SOAP = "http://www.w3.org/2003/05/soap-envelope"
SHELL = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell"
CREATED = f'<s:Envelope xmlns:s="{SOAP}"><s:Body/></s:Envelope>'.encode()


def received(stream: str) -> bytes:
    body = f'<r:ReceiveResponse xmlns:r="{SHELL}"><r:Stream Name="stdout">{stream}</r:Stream></r:ReceiveResponse>'
    return f'<s:Envelope xmlns:s="{SOAP}"><s:Body>{body}</s:Body></s:Envelope>'.encode()


@pytest.mark.parametrize(
    "answer",
    [
        received("no Base64!"),
        received("AAAA"),
        received("AAAAAAAAAAEAAAAAAAAAAAMAAAAEAAAAAA=="),
        f'<s:Envelope xmlns:s="{SOAP}"><s:Body><x/></s:Body></s:Envelope>'.encode().replace(b"<x/>", b""),
        b"not XML",
        b"",
    ],
    ids=["no Base64", "no fragment", "no message", "nothing", "not XML", "empty"],
)
def test_an_invalid_answer_of_powershell_is_an_avma_error(answer):
    pool = Pool(CONNECTION, Scripted(CREATED, answer))
    with pytest.raises(errors.AvmaError) as caught:
        pool.open(Context("open it", "hv01", Deadline(0.5)))
    assert type(caught.value) in (errors.UnexpectedAnswer, errors.TimedOut)
    assert "Error" not in caught.value.answer
    pool.close()


def test_an_empty_answer_is_not_missing_output_to_ask_for_again():
    pipe = Scripted(CREATED, CREATED)
    with pytest.raises(errors.UnexpectedAnswer, match="the answer has an empty body"):
        Pool(CONNECTION, pipe).open(Context("open it", "hv01", Deadline(60)))
    assert len(pipe.sent) == 2


def test_a_pool_that_was_not_asked_for_is_not_deleted():
    pipe = Scripted(CREATED)
    Pool(CONNECTION, pipe).close()
    assert pipe.sent == []


def test_a_pool_whose_create_was_not_answered_is_deleted_by_its_own_id():
    lost = errors.AnswerLost("open it", "hv01", "gone", "run again")
    pipe = Scripted(lost, lost, CREATED)
    pool = Pool(CONNECTION, pipe)
    with pytest.raises(errors.AnswerLost):
        pool.open(Context("open it", "hv01", Deadline(5)))
    pool.close()
    create, first, second = (fromstring(message) for message in pipe.sent)
    shell = create.find(f".//{{{SHELL}}}Shell")
    assert shell is not None
    asked = shell.get("ShellId")
    deleted = [message.findtext(".//{*}Selector[@Name='ShellId']") for message in (first, second)]
    assert deleted == [asked, asked]


def test_no_script_runs_after_cancel():
    cancellation = Cancellation()
    cancellation.set()
    pipes: list[Connection] = []

    def no_pipe(connection: Connection) -> Scripted:
        pipes.append(connection)
        return Scripted()

    with pytest.raises(errors.Cancelled):
        Runspaces(CONNECTION, no_pipe).run(Context("try", "hv01", Deadline(5, cancellation)), Script("x", "X"), {})
    assert pipes == []


def test_endless_output_is_given_up(monkeypatch):
    monkeypatch.setattr("avma.wsman.psrp_messages._LARGEST_OUTPUT", 3_000_000)
    pool = Pool(CONNECTION, Scripted(CREATED, received(" " * 1_000_000)))
    with pytest.raises(errors.UnexpectedAnswer, match="larger than 3 MB"):
        pool.open(Context("open it", "hv01", Deadline(60)))
