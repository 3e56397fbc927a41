"""A machine quotes a secret, and the provider cuts its text or joins its lines before redaction."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import pytest

from avma import characters
from avma.context import Context
from avma.deadline import Deadline
from avma.redaction import REPLACEMENT, SHORTEST, Redactor
from avma.windows import azure_local, events
from avma.windows.powershell import _shortened
from avma.wsman import soap_faults

PASSWORDS = [
    "correct horse battery staple",
    "P\u00e4ssw\u00f6rt-Gr\u00fcn-Stra\u00dfe-9\u00f6",
    "\u79d8\u5bc6\u306e\u5408\u8a00\u8449\u3067\u3059",
    "double  spaces\tand a tab",
]
CONTEXT = Context("ask", "web01", Deadline(5))


def of_a_fault(text: str) -> str:
    body = ElementTree.Element("Body")
    reason = ElementTree.SubElement(ElementTree.SubElement(body, "Fault"), "Text")
    reason.text = text
    fault = soap_faults.find_fault(body)
    assert fault is not None
    return str(soap_faults.to_error(fault, CONTEXT))


def of_an_event(text: str) -> str:
    row = SimpleNamespace(time=lambda _: None, strings=lambda _: [], text=lambda _: text)
    wmi: Any = SimpleNamespace(where="web01", query=lambda *_: [row])
    return events.latest(wmi, events.HOST_EVENT, Deadline(5))


def of_azure_local(text: str) -> str:
    return str(azure_local._error(CONTEXT, {"errorId": "x", "message": text}))


def of_a_subscription(text: str) -> str:
    return azure_local._activation({"result": [], "subscriptionError": {"message": text}}).subscription_error


READERS = [of_a_fault, of_an_event, of_azure_local, of_a_subscription, _shortened, characters.shown]


@pytest.mark.parametrize("password", PASSWORDS)
@pytest.mark.parametrize("read", READERS, ids=lambda read: read.__name__)
def test_no_cut_leaves_the_beginning_of_a_secret(read: Callable[[str], str], password: str) -> None:
    redact = Redactor()
    redact.learn([password])
    for lead in range(60, 410):
        text = redact(read(f"{'x' * lead} {password} was rejected. {'And so on. ' * 50}"))
        assert password[:SHORTEST] not in text, text


@pytest.mark.parametrize(
    "password", [" begins", "two  spaces", "a\u00a0b  c d", "tab\tand\r\nline", "wide\u3000 space"]
)
def test_a_secret_in_one_line_is_taken_out(password: str) -> None:
    redact = Redactor()
    redact.learn([password])
    for written in (characters.one_line(password), characters.printable(password), characters.shown(password)):
        assert redact(f"the password '{written}' is wrong") in {
            f"the password '{REPLACEMENT}' is wrong",
            f"the password '\ufffd{REPLACEMENT}' is wrong",
        }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("rejected: Hush-H …", "rejected: [secret] …"),
        ("rejected: Hush-Hush…", "rejected: [secret]…"),
        ("rejected: Hush-Hush-1 …", "rejected: [secret] …"),
        ("Hush-H … and Hush …, Hus …", "[secret] … and [secret] …, Hus …"),
        ("Hush-H, and more …", "Hush-H, and more …"),
        ("the key …46789, Hush-H", "the key …46789, Hush-H"),
        ("HushHush-H …", "Hush[secret] …"),
        ("…", "…"),
    ],
)
def test_only_the_beginning_of_a_secret_before_a_cut_is_taken_out(text: str, expected: str) -> None:
    redact = Redactor()
    assert redact(text) == text
    redact.learn(["Hush-Hush-1"])
    assert redact(text) == expected


def test_a_key_with_the_dashes_of_other_languages_is_left_out_whole() -> None:
    key = "BCDFG-HJKMN-PQRTV-WXY23-46789".replace("-", "\u2013")
    for cut in range(12, 36):
        assert "BC" not in characters.shortened(f"the key {key} was refused", cut) or cut >= len(f"the key {key} …")
