"""No secret leaves in a text."""

from __future__ import annotations

import pytest

from avma import keys, redaction
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
    for text in (pasted, keys.normalize(pasted), repr(pasted)):
        assert "NKHHJ" not in redactor(f"installing {text}.").upper()


def test_nothing_learnt_nothing_lost() -> None:
    assert Redactor()("a text") == "a text"


@pytest.mark.parametrize("cut", range(1, len(KEY) + 20))
def test_a_key_at_the_end_of_a_shortened_text_is_masked(cut: int) -> None:
    text = redaction.shortened(f"the key {KEY} was refused", cut)
    assert len(text) <= cut
    assert KEY[:6] not in text
