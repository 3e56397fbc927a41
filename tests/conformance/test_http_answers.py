"""HTTP answers in reports, and sign-ins that the library for NTLM cannot read."""

from __future__ import annotations

import struct

import pytest

from avma import errors
from avma.recording.recorder import Anonymous
from avma_conformance.http_answer import HttpAnswer
from avma_conformance.raw_http import raw
from conformance.runs import Runs


def shown(body: bytes, *headers: tuple[str, str]) -> str:
    return HttpAnswer(401, headers, body).report(Anonymous([]))


def test_a_report_shows_schemes_without_tokens_and_no_unknown_headers() -> None:
    text = shown(b"", ("WWW-Authenticate", "Negotiate TlRMTVNTUAAC"), ("Www-Authenticate", 'Basic realm="titania"'))
    assert text == "HTTP 401\nWWW-Authenticate: Negotiate [token]\nWww-Authenticate: Basic [token]"
    assert shown(b"", ("Set-Cookie", "titania")) == "HTTP 401\nSet-Cookie: [value]"


def test_a_report_shows_an_xml_body_without_names() -> None:
    assert "titania" not in shown(b"<a><Name>titania</Name></a>")
    assert "<a><Name>name1</Name></a>" in shown(b"<a><Name>titania</Name></a>")
    assert "[7 bytes, not XML]" in shown(b"titania")


def test_an_unreadable_token_is_a_refusal(runs: Runs) -> None:
    subject = runs.suite("2022")._subject
    with pytest.raises(errors.LogonRefused), raw(subject, signs_in=True):
        raise struct.error("unpack requires a buffer of 4 bytes")
