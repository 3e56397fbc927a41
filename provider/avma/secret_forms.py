"""The forms in which a text may contain a secret."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Iterator
from urllib.parse import quote, quote_plus

from avma import characters, keys

_LONG = 25
"""The length of a product key without dashes. Without theirs, shorter secrets could match inside ordinary words."""
_GO = {ord(character): f"\\u{ord(character):04x}" for character in "<>&"}
"""What the JSON of Go escapes too."""


def forms_of(secret: str) -> frozenset[str]:
    """Return a secret as programs write it: as it is, escaped, in Base64, and as a normalized product key.

    Each form is also there in one line, as errors quote texts of machines, and without dashes. The long lines of a
    secret, as of a private key in PEM, are secrets too.
    """
    sent = [keys.normalize(secret)] if keys.syntax_error(secret) is None else []
    lines = [line.strip() for line in secret.splitlines()]
    parts = [secret, *sent, *(line for line in lines if len(line) >= _LONG)]
    forms = {form for part in parts for written in _escaped(part) for form in _quoted(written)}
    return frozenset(forms | {dense for form in forms if len(dense := form.replace("-", "")) >= _LONG})


def _quoted(text: str) -> Iterator[str]:
    """Yield a text as it is, in one line, and with a replacement for characters that are not printable."""
    yield text
    if not text.isprintable() or "  " in text or text != text.strip():
        line = characters.one_line(text)
        yield from (line, characters.printable(text), characters.printable(line))


def _escaped(text: str) -> Iterator[str]:
    """Yield a text as it is, and in `repr`, JSON, XML, HTML, URLs and Base64."""
    yield text
    yield from (repr(text)[1:-1], repr(text.encode())[2:-1])
    in_json = json.dumps(text, ensure_ascii=False)[1:-1]
    yield from (in_json, json.dumps(text)[1:-1], in_json.translate(_GO))
    yield from (characters.xml_text(text), html.escape(text), html.escape(text, quote=False))
    yield from (quote(text), quote(text, safe=""), quote_plus(text))
    yield base64.b64encode(text.encode()).decode().rstrip("=")
