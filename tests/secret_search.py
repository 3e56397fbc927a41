"""A search for canaries: secrets of a test that no output may contain, in clear text or in another form.

The forms are: any case, without dashes, escaped for JSON (once or twice), XML, HTML, URLs and `repr`, Base64 at each
position, hexadecimal, and all of them in UTF-8 and UTF-16. In UTF-8 also with other dashes, and split over lines.
"""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from urllib.parse import quote, quote_plus

_SPACE = re.compile(rb"\s+")
_BETWEEN = re.compile(r"[\s\u2502|\u2010-\u2015\u2212-]+")
"""What a text can have between the parts of a secret: spaces, the border of a table, dashes."""
_SHOWN = 60


@dataclass(frozen=True)
class Canary:
    """A secret of a test, and its name in findings."""

    name: str
    text: str

    @cached_property
    def texts(self) -> frozenset[bytes]:
        """The forms in which the case of letters does not matter, in lower case."""
        written = frozenset(form for spelling in self._spellings for form in _escaped(spelling))
        hexadecimal = frozenset(spelling.encode(code).hex() for spelling in self._spellings for code in _CODES)
        cases = frozenset(case for form in written | hexadecimal for case in (form, form.lower(), form.upper()))
        return frozenset(case.encode(code).lower() for case in cases for code in _CODES)

    @cached_property
    def encoded(self) -> frozenset[bytes]:
        """The forms in Base64."""
        cases = frozenset(case for text in self._spellings for case in (text, text.lower(), text.upper()))
        data = (case.encode(code) for case in cases for code in _CODES)
        return frozenset(form for each in data for form in _base64(each))

    @cached_property
    def dense(self) -> frozenset[str]:
        """The forms without spaces and dashes, in lower case."""
        return frozenset(_BETWEEN.sub("", form).lower() for form in _escaped(self.text))

    @property
    def _spellings(self) -> frozenset[str]:
        return frozenset({self.text, self.text.replace("-", "")})


_CODES = ("utf-8", "utf-16-le")


def key_canary(name: str, product_key: str) -> Canary:
    """Return the canary of a product key: its first three groups. Windows shows the last five characters too."""
    return Canary(name, "-".join(product_key.split("-")[:3]))


def leaks(canaries: list[Canary], evidence: Mapping[str, bytes]) -> list[str]:
    """Return a line for each canary and each place that contains it."""
    return [line for place, data in evidence.items() for line in _leaks_in(canaries, place, data)]


def files_in(*folders: Path) -> dict[str, bytes]:
    """Return the content of all files in the folders, by path."""
    files = (file for folder in folders for file in folder.rglob("*") if file.is_file() and not file.is_symlink())
    return {str(file): file.read_bytes() for file in files}


def _leaks_in(canaries: list[Canary], place: str, data: bytes) -> Iterator[str]:
    lower, dense = data.lower(), _SPACE.sub(b"", data)
    joined = _BETWEEN.sub("", data.decode(errors="replace")).lower()
    for canary in canaries:
        found = next((lower.find(form) for form in canary.texts if form in lower), None)
        if found is not None:
            yield f"{place}: {canary.name} in …{data[max(0, found - _SHOWN) : found + _SHOWN]!r}…"
        elif any(form in dense for form in canary.encoded):
            yield f"{place}: {canary.name} in Base64"
        elif any(form in joined for form in canary.dense):
            yield f"{place}: {canary.name} in parts"


def _escaped(text: str) -> frozenset[str]:
    """Return the forms of a text in JSON, XML, HTML, URLs and `repr`."""
    in_json = (json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1])
    in_xml = (html.escape(text), html.escape(text, quote=False))
    # Go's encoding/json also escapes <, > and &.
    in_go = in_json[1].translate({ord(character): f"\\u{ord(character):04x}" for character in "<>&"})
    twice = (json.dumps(form)[1:-1] for form in (*in_json, in_go))
    in_numbers = ("".join(_reference(each, form) for each in text) for form in "dx")
    in_python = (repr(text)[1:-1], repr(text.encode())[2:-1])
    in_urls = (quote(text), quote(text, safe=""), quote_plus(text))
    return frozenset({text, *in_json, in_go, *twice, *in_xml, *in_numbers, *in_urls, *in_python})


def _reference(character: str, form: str) -> str:
    """Return an ASCII letter or digit as it is, and another character as a numeric reference of XML."""
    if character.isascii() and character.isalnum():
        return character
    return f"&#{'x' * (form == 'x')}{ord(character):{form}};"


def _base64(data: bytes) -> Iterator[bytes]:
    """Yield the Base64 of data that begins at each of the three positions of a group, without uncertain characters."""
    for before in range(3):
        whole = base64.b64encode(bytes(before) + data)
        first = -(-before * 8 // 6)
        last = (before + len(data)) * 8 // 6
        yield whole[first:last]
        yield whole[first:last].translate(bytes.maketrans(b"+/", b"-_"))
