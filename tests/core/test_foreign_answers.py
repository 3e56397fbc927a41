"""Answers in every valid form, and in invalid forms: the right value, or a named error."""

from __future__ import annotations

import gzip
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from itertools import pairwise

import pytest

from avma import errors
from avma.cancellation import Cancellation
from avma.configuration import Configuration
from avma.connection import resolve
from avma.context import Context
from avma.deadline import Deadline, TimeIsOver
from avma.settings import Auth
from avma.wsman import http_adapter
from avma.wsman.envelope import CimMethod
from avma.wsman.http_adapter import LARGEST_ANSWER
from avma.wsman.instance import Instance
from avma.wsman.winrm_pipe import WinrmPipe
from avma.wsman.wsman_client import WsmanClient
from core.raw_server import serving
from waiting import PATIENCE

S = 'xmlns:s="http://www.w3.org/2003/05/soap-envelope"'
N = "http://schemas.xmlsoap.org/ws/2004/09/enumeration"
W = "http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd"
XSI = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
CIMV2 = "http://schemas.microsoft.com/wbem/wsman/1/wmi/root/cimv2"
WMI_ERROR = """<p:MSFT_WmiError xmlns:p="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/MSFT_WmiError">
<p:error_Code>3221549136</p:error_Code></p:MSFT_WmiError>"""
WSMAN_FAULT = """<f:WSManFault xmlns:f="http://schemas.microsoft.com/wbem/wsman/1/wsmanfault" Code="2150858778">
<f:Message><f:ProviderFault provider="WMI Provider"><f:WSManFault Code="3221549136"/></f:ProviderFault></f:Message>
</f:WSManFault>"""
LAUGHS = "".join(f'<!ENTITY {b} "&{a};&{a};&{a};&{a};&{a};&{a};&{a};&{a};">' for a, b in pairwise("abcdefghij"))


def envelope(body: str) -> bytes:
    return f"<s:Envelope {S}><s:Header/><s:Body>{body}</s:Body></s:Envelope>".encode()


def http(body: bytes, status: str = "200 OK", kind: str = "application/soap+xml", **headers: str) -> bytes:
    fields = {"Content-Type": kind, "Content-Length": str(len(body)), "Connection": "close", **headers}
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in fields.items())
    return f"HTTP/1.1 {status}\r\n{lines}\r\n".encode() + body


def chunked(body: bytes, end: bytes = b"0\r\n\r\n") -> bytes:
    parts = b"".join(b"%x\r\n%s\r\n" % (len(body[i : i + 7]), body[i : i + 7]) for i in range(0, len(body), 7))
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + parts + end


def rows(items: str, after: str = "<w:EndOfSequence/>") -> bytes:
    return envelope(
        f'<n:EnumerateResponse xmlns:n="{N}" xmlns:w="{W}"><w:Items>{items}</w:Items>{after}</n:EnumerateResponse>'
    )


def fault(detail: str) -> bytes:
    return envelope(
        "<s:Fault><s:Detail><Value>9</Value>" + detail + "</s:Detail><s:Reason><s:Text>Text</s:Text></s:Reason><s:Code>"
        "<s:Subcode><s:Value>w:InternalError</s:Value></s:Subcode><s:Value>s:Receiver</s:Value></s:Code></s:Fault>"
    )


ROW = f"<w:XmlFragment {XSI}><A>7</A><B>true</B><C/><D xsi:nil='true'/><E>one</E></w:XmlFragment>"
PLAIN = rows(ROW)
RETURNED = envelope(f'<p:Go_OUTPUT xmlns:p="{CIMV2}/X"><p:ReturnValue>0</p:ReturnValue></p:Go_OUTPUT>')


@pytest.fixture
def asked(tmp_path):
    """Return a function that queries a server with these answers."""

    def ask(*answers, seconds=10.0):
        with serving(tmp_path, *answers) as port, closing(cim(port)) as opened:
            return opened.query(Context("ask", opened.where, Deadline(seconds)), "root/cimv2", "SELECT * FROM X")

    return ask


@pytest.fixture
def invoked(tmp_path):
    """Return a function that calls a method on a server with this answer. A method call is never sent twice."""

    def invoke(answer):
        with serving(tmp_path, answer) as port, closing(cim(port)) as opened:
            return call_go(opened)

    return invoke


def call_go(opened: WsmanClient) -> Instance:
    context = Context("call", opened.where, Deadline(PATIENCE))
    return opened.invoke(context, CimMethod("root/cimv2", "X", "Go"), {"ID": "1"}, {})


class Sender:
    """The limit of each call: its time ends when the test sets `time_over`."""

    def __init__(self, threads: ThreadPoolExecutor) -> None:
        self.time_over = threading.Event()
        self._threads = threads
        self._late: list[Future[object]] = []

    def within(self, seconds: float, call: Callable[[], object], cancellation: Cancellation) -> object:
        self._late.append(self._threads.submit(call))
        assert self.time_over.wait(PATIENCE)
        raise TimeIsOver

    def late_error(self) -> BaseException | None:
        """Return the error of the call, which continued in its own thread."""
        return self._late[0].exception(PATIENCE)


@pytest.fixture
def sender(monkeypatch):
    with ThreadPoolExecutor() as threads:
        made = Sender(threads)
        monkeypatch.setattr(http_adapter, "within", made.within)
        yield made


def cim(port: int) -> WsmanClient:
    settings = Configuration(username="u", password="p", auth=Auth.BASIC, insecure=True, port=port)
    return WsmanClient(resolve("127.0.0.1", settings), 1, WinrmPipe)


@pytest.mark.parametrize(
    "answer",
    [
        http(PLAIN),
        http(b"\xef\xbb\xbf" + PLAIN),
        http(b'<?xml version="1.0" encoding="utf-8"?>\r\n' + PLAIN),
        http('<?xml version="1.0" encoding="utf-16"?>'.encode("utf-16") + PLAIN.decode().encode("utf-16")[2:]),
        http(PLAIN, kind="text/xml"),
        http(gzip.compress(PLAIN), Content_Encoding="gzip"),
        chunked(PLAIN),
        b"HTTP/1.0 200 OK\r\n\r\n" + PLAIN,
        http(PLAIN.replace(b"<s:", b"<soap:").replace(b"</s:", b"</soap:").replace(b"xmlns:s=", b"xmlns:soap=")),
        http(PLAIN.replace(b"<s:", b"<").replace(b"</s:", b"</").replace(b"xmlns:s=", b"xmlns=")
             .replace(b"<w:XmlFragment", b"<w:XmlFragment xmlns=''")),
        http(PLAIN.replace(b"w:Items", b"n:Items").replace(b"w:EndOf", b"n:EndOf")),
        http(PLAIN.replace(b"><", b">\r\n\t<!-- between --><")),
        http(rows(ROW.replace("<D xsi:nil='true'/>", ""))),
        http(rows(ROW.replace("'true'", "'1'"))),
        http(rows(ROW, "").replace(b"<w:Items>", b"<w:EndOfSequence/><w:Items>")),
        http(rows(f"<q:Derived xmlns:q='{CIMV2}/Derived' {XSI} xsi:type='q:Derived_Type'><q:E>one</q:E><q:C></q:C>"
                  "<q:B>TRUE</q:B><q:a> 7 </q:a></q:Derived>")),
    ],
)  # fmt: skip
def test_one_instance_in_many_forms(asked, answer):
    (row,) = asked(answer)
    assert (row.integer("a"), row.boolean("b"), row.text("c"), row.text("d")) == (7, True, "", None)
    assert row.strings("e") == ("one",)


@pytest.mark.parametrize(
    "written", ["&#1;", "&#x1F;", "\x01", "&#xD800;", "&#xFFFE;", "&#x110000;", "&#99999999999;", "\ufffe"]
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_character_that_xml_forbids_costs_that_character_alone(asked, written, encoding):
    item = ROW.replace("one", f"before{written}after").replace("<C/>", "<C>&#65;\u00e4</C>")
    (row,) = asked(http(rows(item).decode().encode(encoding)))
    assert row.text("e") == "before\ufffdafter"
    assert (row.integer("a"), row.text("c")) == (7, "A\u00e4")


def test_a_declaration_of_utf_16_does_not_hold_for_utf_8(asked):
    (row,) = asked(http(b'<?xml version="1.0" encoding="utf-16"?>' + rows(ROW.replace("one", "\u00e4"))))
    assert row.text("e") == "\u00e4"


@pytest.mark.parametrize(
    "text", ["2026-01-02T03:04:05Z", "2026-01-02T03:04:05.5Z", "2026-01-02T03:04:05.123456+08:00", "P0DT0H1M40S"]
)
@pytest.mark.parametrize("kind", ["cim:Datetime", "Datetime", "cim:Interval"])
def test_datetimes_and_intervals_come_as_they_are(asked, kind, text):
    item = f"<w:XmlFragment xmlns:cim='http://schemas.dmtf.org/wbem/wscim/1/common'><A>\n<{kind}>{text}</{kind}>\n</A>"
    (row,) = asked(http(rows(f"{item}</w:XmlFragment>")))
    assert row.text("A") == text


def pulled(parts: str) -> bytes:
    return envelope(f'<n:PullResponse xmlns:n="{N}" xmlns:w="{W}">{parts}</n:PullResponse>')


def context(number: int) -> str:
    return f"<n:EnumerationContext>uuid:{number}</n:EnumerationContext>"


WITH_AN_EMPTY_PAGE = (
    rows("", context(1)),
    pulled(f"<n:Items>{ROW}{ROW}</n:Items>{context(2)}"),
    pulled(f"{context(3)}<n:Items/>"),
    pulled(f"<n:EndOfSequence/><n:Items>{ROW}</n:Items>"),
)
CUT_SHORT = (rows(ROW, context(1)), pulled("<n:EndOfSequence/>"))


def test_pages_may_be_empty_and_their_parts_in_any_order_if_asking_again_finds_the_same(asked):
    assert len(asked(*map(http, WITH_AN_EMPTY_PAGE * 2))) == 3


def test_a_listing_that_lost_a_page_is_read_again(asked):
    first = envelope(f'<n:EnumerateResponse xmlns:n="{N}">{context(1)}</n:EnumerateResponse>')
    second = pulled(f"<n:Items>{ROW}{ROW}</n:Items><n:EndOfSequence/>")
    assert len(asked(*map(http, (*CUT_SHORT, first, second)))) == 2


def test_a_listing_that_loses_its_rows_both_times_is_an_error(asked):
    nothing = (envelope(f'<n:EnumerateResponse xmlns:n="{N}">{context(1)}</n:EnumerateResponse>'),)
    with pytest.raises(errors.UnexpectedAnswer, match="a page of the listing has no rows"):
        asked(*map(http, CUT_SHORT + nothing + (pulled("<n:EndOfSequence/>"),)))


@pytest.mark.parametrize(
    ("pages", "told"),
    [
        ((envelope(""),), "an empty body"),
        ((rows(ROW, context(1)), envelope("")), "an empty body"),
        ((rows(ROW, ""),), "neither a next page nor an end"),
        ((rows(ROW, "<n:EnumerationContext/>"),), "neither a next page nor an end"),
        ((rows(ROW, context(1)), pulled(f"<n:Items>{ROW}</n:Items>")), "neither a next page nor an end"),
        ((RETURNED,), "not a page of a listing"),
    ],
)
def test_an_answer_without_context_and_without_end_is_no_listing(asked, pages, told):
    with pytest.raises(errors.UnexpectedAnswer, match=told):
        asked(*map(http, pages))


@pytest.mark.parametrize(
    ("item", "told"),
    [
        ("<A>seven</A>", "a is not an integer"),
        ("<A>7.5</A>", "a is not an integer"),
        (f"<A>{'9' * 5000}</A>", "a is not an integer"),
        ("<B>perhaps</B>", "b is not a boolean"),
        ("<F>no XML</F>", "an embedded instance is not CIM-XML"),
        ("<F>&lt;HTML/&gt;</F>", "an embedded instance is not CIM-XML"),
        ("<F>&lt;INSTANCE&gt;</F>", "an embedded instance is not CIM-XML"),
    ],
)
def test_a_value_of_another_type_is_a_named_error(asked, item, told):
    (row,) = asked(http(rows(f"<w:XmlFragment>{item}</w:XmlFragment>")))
    with pytest.raises(errors.UnexpectedAnswer, match=told):
        (row.integer("a"), row.boolean("b"), row.embedded("f"))


@pytest.mark.parametrize("detail", [WMI_ERROR, WSMAN_FAULT])
@pytest.mark.parametrize("status", ["200 OK", "400 Bad Request", "500 Internal Server Error"])
def test_a_fault_is_read_in_each_form_under_each_status(invoked, status, detail):
    with pytest.raises(errors.LicensingFault) as caught:
        invoked(http(fault(detail), status))
    assert caught.value.code == 0xC004F050


def test_a_fault_without_a_number(invoked):
    with pytest.raises(errors.WsmanFault, match="InternalError: Text"):
        invoked(http(fault("")))
    with pytest.raises(errors.AnswerLost, match="did not finish"):
        invoked(http(fault("").replace(b"w:InternalError", b"w:TimedOut")))


@pytest.mark.parametrize(
    "answer",
    [
        http(b""),
        http(b"<html><form>log in</form></html>", kind="text/html"),
        http(b"<html><form>log in</form></html>", "400 Bad Request", "text/html"),
        http(b"<html><form>log in</form></html>", "500 Internal Server Error", "text/html"),
        http(PLAIN[:-20]),
        http(b'<?xml version="1.0" encoding="no-such"?>' + PLAIN),
        http(b"<!DOCTYPE a>" + PLAIN),
        http(f'<!DOCTYPE a [<!ENTITY a "ha">{LAUGHS}]>'.encode() + PLAIN.replace(b"one", b"&j;")),
        http(b'<!DOCTYPE a [<!ENTITY a SYSTEM "file:///etc/passwd">]>' + PLAIN.replace(b"one", b"&a;")),
        http(envelope("")[:-5]),
        http(envelope("")),
        b"HTTP/1.1 200",
        http(b"<s:Envelope>" * 20000),
        http(b" " * (LARGEST_ANSWER + 1)),
        http(gzip.compress(b" " * 100_000_000), Content_Encoding="gzip"),
        b"HTTP/1.1 200 OK\r\n\r\n" + b" " * (LARGEST_ANSWER + 1),
    ],
)
def test_an_invalid_answer_is_a_named_error(invoked, answer):
    with pytest.raises(errors.UnexpectedAnswer) as caught:
        invoked(answer)
    assert caught.value.remedy


@pytest.mark.parametrize(
    "answer",
    [
        http(RETURNED + b" " * 100)[:-50],
        chunked(RETURNED, b""),
        chunked(RETURNED, b"ffff\r\nno more"),
        chunked(RETURNED, b"what\r\n"),
        http(RETURNED, Content_Encoding="gzip"),
        http(b"\xff\xfe\xfa", "500 Internal Server Error"),
        http(b"", "500 Internal Server Error"),
        http(b"", "502 Bad Gateway"),
        http(b"<html>", "504 Gateway Timeout", "text/html"),
        http(b"", "503 Service Unavailable"),
        b"",
    ],
)
def test_an_answer_that_breaks_off_is_lost(invoked, answer):
    with pytest.raises(errors.AnswerLost):
        invoked(answer)


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\nConnection: close\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: ",
        b"",
    ],
)
def test_an_answer_that_never_ends_is_given_up_at_the_deadline(invoked, sender, head):
    sent: list[int] = []

    def drip(connection: socket.socket) -> None:
        connection.sendall(head)
        while len(sent) < 3000:
            connection.sendall(b"H")
            sent.append(1)
            time.sleep(0.02)
            if len(sent) == 10:
                sender.time_over.set()

    with pytest.raises(errors.AnswerLost, match="did not answer in time"):
        invoked(drip)
    assert len(sent) < 3000


def test_nothing_is_sent_after_the_deadline(tmp_path, sender, monkeypatch):
    """During name resolution there is no socket to close, and no timeout ends it."""
    look_up, given_up = socket.getaddrinfo, threading.Event()
    heard: list[socket.socket] = []

    def slowly(*arguments, **keywords):
        sender.time_over.set()
        assert given_up.wait(PATIENCE)
        return look_up(*arguments, **keywords)

    monkeypatch.setattr(socket, "getaddrinfo", slowly)
    with serving(tmp_path, heard.append) as port, closing(cim(port)) as opened:
        with pytest.raises(errors.Unreachable, match="no connection within") as caught:
            call_go(opened)
        given_up.set()
        assert "the time allowed is over" in str(sender.late_error())
    assert heard == []
    assert not isinstance(caught.value, errors.AnswerLost)


def test_a_listing_without_end_is_given_up(asked, monkeypatch):
    monkeypatch.setattr("avma.wsman.wsman_client._MOST_PAGES", 5)
    page = rows(ROW, "<n:EnumerationContext>uuid:1</n:EnumerationContext>")
    with pytest.raises(errors.UnexpectedAnswer, match="more than 5 pages"):
        asked(http(page))


def test_a_listing_that_is_too_large_is_given_up(asked, monkeypatch):
    monkeypatch.setattr("avma.wsman.wsman_client._LARGEST_LISTING", 3_000_000)
    page = rows(ROW + " " * 1_000_000, "<n:EnumerationContext>uuid:1</n:EnumerationContext>")
    with pytest.raises(errors.UnexpectedAnswer, match="larger than 3 MB"):
        asked(http(page))
