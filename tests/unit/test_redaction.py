"""Redaction removes all secrets from texts."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest

from avma import characters, keys
from avma.redaction import Redactor

KEY = "YQB4H-NKHHJ-Q6K4R-4VMY6-VCH67"


@pytest.fixture
def redact() -> Redactor:
    redactor = Redactor()
    redactor.learn(["s3cret", "s3cret-and-more", "abc", "", "true", "quote'd\\pass", "two\nlines"])
    return redactor


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("nothing here", "nothing here"),
        ("user:s3cret@host", "user:[secret]@host"),
        ("s3cret-and-more and s3cret", "[secret] and [secret]"),
        ("`https: true` is an ordinary word", "`https: true` is an ordinary word"),
        ("abc is too short to be told from a word", "abc is too short to be told from a word"),
        ("ValueError('two\\nlines')", "ValueError('[secret]')"),
        ("two\nlines", "[secret]"),
        ("quote'd\\pass", "[secret]"),
        (f"installing {KEY}.", "installing …VCH67."),
        (KEY.lower(), "…vch67"),
        (KEY.replace("-", "\u2013"), "…VCH67"),
        (f"{KEY}, {KEY}", "…VCH67, …VCH67"),
        ("web01\u202e10bew\x1b[2J\x00", "web01\ufffd10bew\ufffd[2J\ufffd"),
        ("first\nsecond\tcell", "first\nsecond\tcell"),
        (
            "Erreur\u00a0: la cl\u00e9\u202fn\u2019est pas\u3000valide",
            "Erreur\u00a0: la cl\u00e9\u202fn\u2019est pas\u3000valide",
        ),
        ("f8ba8f4c-9b5c-4b5e-9c0e-2f6d3c1a4b5e", "f8ba8f4c-9b5c-4b5e-9c0e-2f6d3c1a4b5e"),
    ],
)
def test_redaction(redact: Redactor, text: str, expected: str) -> None:
    assert redact(text) == expected


@pytest.mark.parametrize(
    "pasted", [f"\ufeff{KEY}\u200b", "Product Key: \uff39QB4H-NKHHJ-Q6K4R-4VMY6-VCH67", f'"{KEY.lower()}"']
)
def test_a_pasted_key_is_taken_out_as_it_was_written_and_as_it_is_sent(pasted: str) -> None:
    redactor = Redactor()
    redactor.learn([pasted])
    for text in (pasted, keys.normalize(pasted), repr(pasted), keys.normalize(pasted).replace("-", "")):
        assert "NKHHJ" not in redactor(f"installing {text}.").upper()


@pytest.mark.parametrize(
    "written",
    [
        repr,
        lambda text: repr(text.encode()),
        json.dumps,
        lambda text: json.dumps(text, ensure_ascii=False),
        lambda text: json.dumps(text, ensure_ascii=False).replace("<", "\\u003c").replace("&", "\\u0026"),
        html.escape,
        lambda text: html.escape(text, quote=False),
        quote,
        lambda text: quote(text, safe=""),
        quote_plus,
        lambda text: base64.b64encode(text.encode()).decode(),
    ],
)
def test_a_secret_is_taken_out_in_each_form(written: Callable[[str], str]) -> None:
    password = "C4nary-\u00e9 & <\"q\" 'x'/%+"
    redactor = Redactor()
    redactor.learn([password])
    assert "C4nary" not in written(password) or "C4nary" not in redactor(f"with {written(password)}.")
    assert written(password)[3:-3] not in redactor(f"with {written(password)}.")


def test_the_lines_of_a_private_key_are_taken_out_one_by_one() -> None:
    body = ["MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQ", "C7VJTUt9Us8cKjMzEfYyjiWA4R4ypbHqGC0H0+tG3hGbN1+E5y"]
    pem = "\n".join(["-----BEGIN PRIVATE KEY-----", *body, "-----END PRIVATE KEY-----", ""])
    redactor = Redactor()
    redactor.learn([pem])
    for text in (body[1], "\r\n".join(pem.splitlines()), "  ".join(pem.splitlines())):
        assert not any(line in redactor(f"sent {text}") for line in body)


def test_nothing_learnt_nothing_lost() -> None:
    assert Redactor()("a text") == "a text"


@pytest.mark.parametrize("cut", range(4, len(KEY) + 20))
def test_a_key_at_the_end_of_a_shortened_text_is_whole_or_left_out(cut: int) -> None:
    text = characters.shortened(f"the key {KEY} was refused", cut)
    assert len(text) <= cut
    assert (KEY in text) or KEY[:2] not in text


def test_one_long_word_is_left_out_and_a_short_text_is_kept() -> None:
    assert characters.shortened("x" * 20, 10) == "…"
    assert characters.shortened("0123456789", 10) == "0123456789"
    assert characters.shortened("01234 67 9 x", 10) == "01234 67 …"
    assert characters.shortened("01234 6789 x", 10) == "01234 …"
    assert characters.shortened("\u30e9\u30a4\u30bb\u30f3\u30b9", 4) == "\u30e9\u30a4 …"
    assert characters.shortened(f"\u30e9\u30a4\u30bb{KEY}", 10) == "\u30e9\u30a4\u30bb …"
