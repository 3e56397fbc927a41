"""The search for canaries finds each form of a planted secret, and nothing else."""

from __future__ import annotations

import base64
import html
import json
import re
from pathlib import Path
from urllib.parse import quote

import pytest

from secret_search import Canary, files_in, key_canary, leaks

KEY = "BCDFG-HJKMN-PQRTV-WXY23-46789"
PASSWORD = "C4nary & <\u00e9> \"q\" \\ 'x' %/+="
CANARIES = [key_canary("key", KEY), Canary("password", PASSWORD)]


def found(data: bytes) -> set[str]:
    return {line.partition(": ")[2].partition(" ")[0] for line in leaks(CANARIES, {"place": data})}


@pytest.mark.parametrize("code", ["utf-8", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize(
    "changed",
    [
        lambda text: text,
        str.lower,
        str.upper,
        lambda text: text.replace("-", ""),
        lambda text: text.replace("-", "").lower(),
        lambda text: json.dumps(text),
        lambda text: json.dumps({"a": text}, ensure_ascii=False),
        lambda text: html.escape(text),
        lambda text: quote(text, safe=""),
        quote,
        repr,
        lambda text: repr(text.encode()),
        lambda text: json.dumps(json.dumps(text)),
        lambda text: re.sub("[^A-Za-z0-9]", lambda found: f"&#{ord(found[0])};", text),
        lambda text: re.sub("[^A-Za-z0-9]", lambda found: f"&#x{ord(found[0]):X};", text),
        lambda text: text.encode().hex(),
        lambda text: text.encode("utf-16-le").hex().upper(),
    ],
)
def test_a_text_in_each_form(code, changed):
    data = f"before {changed(KEY)} between {changed(PASSWORD)} after".encode(code)
    assert found(data) == {"key", "password"}


@pytest.mark.parametrize("between", ["\n", "\r\n   ", " \u2502\n\u2502 ", " | ", "\n  | "])
def test_a_text_split_over_lines(between):
    parts = (text[:9] + between + text[9:] for text in (KEY, PASSWORD))
    assert found(" and ".join(parts).encode()) == {"key", "password"}


@pytest.mark.parametrize("dash", ["\u2013", "\u2010", " ", " - ", "\u2212"])
def test_a_key_with_other_dashes_or_only_its_first_groups(dash):
    assert found(KEY.replace("-", dash).encode()) == {"key"}
    assert found(KEY[:17].replace("-", dash).encode()) == {"key"}


@pytest.mark.parametrize("code", ["utf-8", "utf-16-le"])
@pytest.mark.parametrize("before", ["", "x", "xy", "user:"])
@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode, base64.encodebytes])
def test_base64_at_each_position(code, before, encode):
    for canary, text in (("key", KEY.lower()), ("password", PASSWORD)):
        assert found(encode(f"{before}{text} and more".encode(code))) == {canary}


@pytest.mark.parametrize(
    "harmless", [KEY[-5:], "", "C4nary", "[secret]", "…46789", base64.b64encode(b"nothing").decode()]
)
def test_what_is_no_secret(harmless):
    assert found(harmless.encode()) == set()


def test_all_files_of_a_folder_are_searched_and_the_place_is_named(tmp_path: Path):
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "state.json").write_text(json.dumps({"key": KEY}))
    (tmp_path / "empty").touch()
    (line,) = leaks(CANARIES, files_in(tmp_path))
    assert line.startswith(f"{tmp_path / 'inner' / 'state.json'}: key in ")
