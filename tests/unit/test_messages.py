"""Errors from parsers are readable: no empty numbers, class names or blanks."""

from __future__ import annotations

import itertools
import re
import ssl
import struct
from collections.abc import Mapping
from contextlib import closing
from http.client import BadStatusLine, LineTooLong
from typing import Any

import pytest
import requests
from defusedxml.ElementTree import fromstring
from hypothesis import given
from hypothesis import strategies as st
from spnego.exceptions import BadMICError, InvalidTokenError

from avma import errors, hresult
from avma.configuration import Configuration
from avma.connection import resolve
from avma.context import Context
from avma.deadline import Deadline, RunIsOver
from avma.settings import Auth
from avma.windows import azure_local
from avma.windows.guest_requests import GuestRequest
from avma.windows.powershell_direct import GuestWmi
from avma.wsman import kerberos, soap_faults, transport_errors
from avma.wsman.envelope import CimMethod
from avma.wsman.http_adapter import Adapter, AnswerTooLarge, HttpStatus, NothingAwaited
from avma.wsman.instance import Instance
from avma.wsman.script import Credential
from avma.wsman.transports import HttpExchange, NotAuthenticated
from avma.wsman.wsman_client import WsmanClient
from unit.test_faults import METHOD, error_of, wmi_error, wsman_fault

ASKING = Context("ask", "hv01", Deadline(1))
NEVER = re.compile(
    r"0x0{8}|table does not know|look the code up|Traceback|: ;|\(\)|\bNone\b"
    r"|\b(?!InternalError\b)[A-Z]\w*(?:Error|Exception)\b",  # InternalError is a subcode of SOAP
    re.ASCII,
)
NUMBERS = st.one_of(
    st.sampled_from([entry.value for entry in hresult.codes()]),
    st.integers(-(1 << 31), (1 << 32) - 1),
    st.integers(0, 70000),
    st.just(0),
)
WORDS = st.text(st.sampled_from("abc äß中.-'\"<&\u200b"), max_size=12)
KINDS = st.sampled_from(["", "MI", "HRESULT", "WIN32", "mi", "Other"])
SUBCODES = st.sampled_from(["", "w:InternalError", "w:AccessDenied", "a:DestinationUnreachable", "w:TimedOut", "x"])


def require_readable(error: errors.AvmaError) -> None:
    message = str(error)
    assert not NEVER.search(message), message
    assert error.answer.strip()
    assert error.remedy.strip()


@given(NUMBERS, KINDS, st.integers(0, 40), SUBCODES, WORDS, st.booleans())
def test_faults(number: int, kind: str, status: int, subcode: str, text: str, wide: bool) -> None:
    detail = wsman_fault(number) if wide else wmi_error(error_Code=number, error_Type=kind, CIMStatusCode=status)
    require_readable(error_of(detail, subcode, text))


@given(NUMBERS)
def test_return_values(number: int) -> None:
    require_readable(soap_faults.returned_error(number or 1, METHOD, ASKING))


@given(st.dictionaries(st.sampled_from("abcd"), st.one_of(st.none(), WORDS, NUMBERS, st.lists(WORDS)), max_size=4))
def test_instances(values: Mapping[str, Any]) -> None:
    instance = Instance.from_values(values, ASKING)
    for read in (instance.integer, instance.boolean, instance.embedded):
        for name in "abcd":
            try:
                read(name)
            except errors.AvmaError as error:
                require_readable(error)


class Answering:
    """A pipe with the same answer to each message."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer

    def send(self, context: Context, message: bytes) -> bytes:
        return self._answer

    def close(self) -> None:
        """Do nothing."""


ENVELOPES = st.one_of(
    st.binary(max_size=40),
    st.sampled_from([b"", b"<", b"<a/>", b"\xff\xfe<", b"<?xml version='1.0' encoding='utf-16'?><a/>"]),
    st.builds(
        "<s:Envelope xmlns:s='http://www.w3.org/2003/05/soap-envelope'><s:Body>{}</s:Body></s:Envelope>".format,
        st.sampled_from(["", "<a/>", "<s:Fault/>", "<a><ReturnValue>x</ReturnValue></a>", "<a>&#1;</a>", "<a>&b;</a>"]),
    ).map(str.encode),
)


@given(ENVELOPES)
def test_envelopes(answer: bytes) -> None:
    connection = resolve("hv01", Configuration(username="u", password="p", https=False))
    with closing(WsmanClient(connection, 1, lambda _: Answering(answer))) as cim:
        for ask in (
            lambda: cim.query(ASKING, "root/cimv2", "SELECT A FROM B"),
            lambda: cim.get(ASKING, "root/cimv2", "B", {"A": "1"}),
            lambda: cim.invoke(ASKING, CimMethod("root/cimv2", "B", "C"), {"A": "1"}, {}),
        ):
            try:
                ask()
            except errors.AvmaError as error:
                require_readable(error)


class Runs:
    """Script runs with the same answer for each guest."""

    where = "hv01"

    def __init__(self, answer: Mapping[str, Any]) -> None:
        self._answer = answer

    def ask(self, request: GuestRequest) -> Mapping[str, Any]:
        return self._answer


ERROR_IDS = st.one_of(
    st.sampled_from(["", "HRESULT 0x80041033,x", "HRESULT 0x00000000", "MI RESULT 5,x", "WIN32 1062,x", "MI RESULT 0"]),
    WORDS,
)
TROUBLES = st.fixed_dictionaries(
    {}, optional={"hresult": st.one_of(st.none(), WORDS, NUMBERS), "errorId": ERROR_IDS, "message": WORDS}
)


@given(TROUBLES)
def test_errors_of_scripts(trouble: Mapping[str, Any]) -> None:
    require_readable(azure_local._error(ASKING, trouble))
    guest: Any = GuestWmi.__new__(GuestWmi)
    guest._vm_id, guest._name, guest._runs = "1", "web01", Runs({})
    guest._account, guest._redact = Credential("u", "p"), str
    require_readable(guest._operation_error(ASKING, trouble))
    require_readable(guest._session_error(ASKING, trouble))


def test_a_long_text_of_a_script_is_cut_between_words() -> None:
    trouble = {"errorId": "x", "message": "registered " * 50}
    guest: Any = GuestWmi.__new__(GuestWmi)
    guest._account = Credential("Administrator", "Hush-Hush-1")
    for text in (azure_local._error(ASKING, trouble).answer, guest._said(trouble)):
        assert " registered …" in text
        assert not re.search(r"\bregistered\w|\br(?!egistered)", text)


CERTIFICATE = ssl.SSLCertVerificationError("certificate verify failed: CERTIFICATE_VERIFY_FAILED")
RAISED: tuple[Exception, ...] = (
    KeyError("www-authenticate"),
    IndexError("list index out of range"),
    struct.error("unpack requires a buffer of 4 bytes"),
    UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
    ValueError("nonsense"),
    BadMICError(context_msg="Invalid Message integrity Check (MIC) detected"),
    InvalidTokenError(context_msg="an invalid token"),
    PermissionError("Access denied"),
    NotAuthenticated(),
    AnswerTooLarge("large"),
    NothingAwaited("over"),
    RunIsOver("canceled"),
    kerberos.KerberosError("Kerberos: no ticket (-1)", "run `kinit`"),
    *(HttpStatus(code) for code in (300, 302, 400, 403, 404, 407, 413, 418, 429, 500, 502, 503, 504)),
    requests.exceptions.ReadTimeout("late"),
    requests.exceptions.ConnectTimeout("late"),
    requests.exceptions.SSLError(CERTIFICATE),
    requests.exceptions.SSLError("EOF occurred in violation of protocol"),
    requests.exceptions.ConnectionError("aborted", BadStatusLine("SSH-2.0")),
    requests.exceptions.ConnectionError("aborted", LineTooLong("header line")),
    requests.exceptions.ConnectionError("aborted", ConnectionResetError(104, "reset")),
    requests.exceptions.ChunkedEncodingError("broken"),
    requests.exceptions.ContentDecodingError("broken"),
)
CONTEXT = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
AUTHS = (Auth.NTLM, Auth.NEGOTIATE, Auth.KERBEROS, Auth.CREDSSP, Auth.BASIC)


@pytest.mark.parametrize("raised", RAISED, ids=lambda raised: f"{type(raised).__name__} {raised}"[:40])
def test_failures_of_transports(raised: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("avma.wsman.tls.thumbprint", lambda *_: None)
    adapter = Adapter(CONTEXT)
    adapter.connects = 1
    connections = {
        auth: resolve("hv01", Configuration(username="u", password="p", auth=auth, https=auth is Auth.BASIC))
        for auth in AUTHS
    }
    flags = itertools.product((False, True), repeat=5)
    for auth, status, states in itertools.product(AUTHS, (0, 200, 400, 401, 500, 503), flags):
        adapter.status = status
        adapter.carried, adapter.sealed, adapter.accepted, adapter.turned_away, foreign = states
        adapter.foreign_type = "text/html" if foreign else ""
        require_readable(transport_errors.to_error(raised, HttpExchange(connections[auth], adapter, ASKING)))


def test_a_failure_before_a_connection_is_not_blamed_on_the_machine() -> None:
    exchange = HttpExchange(resolve("hv01", Configuration(username="u", password="p")), Adapter(CONTEXT), ASKING)
    with pytest.raises(KeyError):
        transport_errors.to_error(KeyError("a mistake in the program"), exchange)


def test_a_fault_of_an_empty_body_is_readable() -> None:
    found = soap_faults.find_fault(fromstring("<Body><Fault/></Body>"))
    assert found is not None
    require_readable(soap_faults.to_error(found, ASKING))
