"""The log of requests: what a line names, and what it never contains."""

from __future__ import annotations

import logging

import pytest

from avma import errors
from avma.connection import resolve
from avma.context import Context
from avma.deadline import Deadline
from avma.settings import Settings
from avma.wsman import envelope, retry
from avma.wsman.pipe import LoggedPipe, operation_of

SOAP = f"<s:Envelope xmlns:s='{envelope.SOAP}'><s:Body>%s</s:Body></s:Envelope>"
ANSWER = (SOAP % "<a/>").encode()
FAULT = (
    SOAP
    % "<s:Fault><s:Code><s:Value>s:Receiver</s:Value><s:Subcode><s:Value>w:InternalError</s:Value></s:Subcode></s:Code>"
    "<s:Reason><s:Text>no</s:Text></s:Reason>"
    "<s:Detail><f:WSManFault xmlns:f='http://schemas.microsoft.com/wbem/wsman/1/wsmanfault' Code='3221549136'>"
    "<f:Message>no</f:Message></f:WSManFault></s:Detail></s:Fault>"
).encode()
CONNECTION = resolve("hv01", Settings(username="svc", password="not-to-be-logged"))
CIMV2 = "root\\cimv2"
INSTALL_PRODUCT_KEY = envelope.CimMethod(CIMV2, "SoftwareLicensingService", "InstallProductKey")


class Scripted:
    """A pipe with a list of answers. It returns them in order, and raises errors."""

    def __init__(self, *answers: bytes | errors.AvmaError) -> None:
        self.answers = list(answers)

    def send(self, _context: Context, _message: bytes) -> bytes:
        now = self.answers.pop(0)
        if isinstance(now, errors.AvmaError):
            raise now
        return now

    def close(self) -> None:
        pass


def send(pipe: LoggedPipe, message: envelope.Message) -> bytes:
    return pipe.send(Context("read", "hv01", Deadline(5)), message.render("http://hv01/wsman", 60))


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.DEBUG, "avma.wsman")
    return caplog


@pytest.mark.parametrize(
    ("message", "named"),
    [
        (
            envelope.enumerate_query(CIMV2, "SELECT ID FROM SoftwareLicensingProduct"),
            "Enumerate SoftwareLicensingProduct",
        ),
        (envelope.pull(CIMV2, "context"), "Pull"),
        (envelope.get(CIMV2, "Win32_OperatingSystem", {}), "Get Win32_OperatingSystem"),
        (
            envelope.invoke(INSTALL_PRODUCT_KEY, {}, {"ProductKey": "secret"}),
            "InstallProductKey SoftwareLicensingService",
        ),
    ],
)
def test_a_line_names_the_operation_and_its_class(message: envelope.Message, named: str) -> None:
    assert operation_of(message.render("http://hv01/wsman", 60)) == named


def test_a_line_names_machine_result_bytes_and_time_and_no_value(lines: pytest.LogCaptureFixture) -> None:
    pipe = LoggedPipe(CONNECTION, Scripted(ANSWER))
    send(
        pipe,
        envelope.invoke(INSTALL_PRODUCT_KEY, {}, {"ProductKey": "BCDFG"}),
    )
    (line,) = lines.messages
    assert line.startswith(f"{CONNECTION.where}: InstallProductKey SoftwareLicensingService: ok, ")
    assert line.endswith(" ms")
    assert "BCDFG" not in line


def test_faults_and_missing_answers_are_results(lines: pytest.LogCaptureFixture) -> None:
    lost = errors.AnswerLost("read", CONNECTION.where, "no answer", "run again")
    pipe = LoggedPipe(CONNECTION, Scripted(FAULT, b"<html>", lost))
    question = envelope.pull(CIMV2, "context")
    send(pipe, question)
    send(pipe, question)
    with pytest.raises(errors.AnswerLost):
        send(pipe, question)
    results = [line.split(": ")[2].split(",")[0] for line in lines.messages]
    assert results == ["fault InternalError 0xC004F050", "no SOAP", "answer-lost"]


def test_a_second_attempt_is_counted(lines: pytest.LogCaptureFixture) -> None:
    lost = errors.Unreachable("read", CONNECTION.where, "reset", "look")
    pipe = LoggedPipe(CONNECTION, Scripted(lost, ANSWER, ANSWER))
    question = envelope.pull(CIMV2, "context")
    attempts = retry.reading(Context("read", CONNECTION.where, Deadline(10)))
    for _ in range(2):
        with attempts:
            send(pipe, question)
    send(pipe, question)
    assert ["attempt 2" in line for line in lines.messages] == [False, True, False]


def test_messages_are_not_parsed_for_a_disabled_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "avma.wsman")
    assert LoggedPipe(CONNECTION, Scripted(b"<html>")).send(Context("read", "hv01", Deadline(5)), b"<") == b"<html>"
    assert caplog.messages == []
