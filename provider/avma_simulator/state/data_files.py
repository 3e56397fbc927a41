"""PowerShell data files: a table of texts, booleans, lists and tables (about_Data_Files)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_QUOTE = "['\u2018-\u201b]"
"""What begins and ends a literal string, in any combination (about_Quoting_Rules). Inside, two of them are one."""
_STRING = rf"{_QUOTE}(?:[^'\u2018-\u201b]|{_QUOTE}{{2}})*{_QUOTE}"
_TOKEN = re.compile(rf"#[^\n]*|\s+|({_STRING}|@\{{|@\(|[}})=,;]|\$?[\w.]+)")
_TABLE, _LIST = "@{", "@("
_WORDS = {"$true": True, "$false": False, "$null": None}


def parse(text: str) -> Mapping[str, Any]:
    """Return the table in a data file.

    Raises:
        ValueError: the text is not a data file.
    """
    tokens = _Tokens(text)
    tokens.take(_TABLE)
    table = _table(tokens)
    if tokens.next is not None:
        raise ValueError(f"unexpected {tokens.next}")
    return table


def listed(value: Any) -> list[Any]:
    """Return a value as PowerShell reads it where it expects a list. One value is a list too."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


class _Tokens:
    """The tokens of a text. `next` is the first one that is left, if any."""

    def __init__(self, text: str) -> None:
        self._left = list(_tokens(text))

    @property
    def next(self) -> str | None:
        return self._left[0] if self._left else None

    def take(self, wanted: str = "") -> str:
        if not self._left or (wanted and self._left[0] != wanted):
            raise ValueError(f"{wanted or 'a value'} is missing")
        return self._left.pop(0)


def _tokens(text: str) -> list[str]:
    found, position = [], 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise ValueError(f"unexpected {text[position]}")
        if match[1]:
            found.append(match[1])
        position = match.end()
    return found


def _table(tokens: _Tokens) -> dict[str, Any]:
    table: dict[str, Any] = {}
    while tokens.next != "}":
        name = tokens.take()
        tokens.take("=")
        table[_plain(name)] = _value(tokens)
        if tokens.next == ";":
            tokens.take()
    tokens.take("}")
    return table


def _value(tokens: _Tokens) -> Any:
    """Return one value, or a list of values with commas between them."""
    values = [_item(tokens)]
    while tokens.next == ",":
        tokens.take()
        values.append(_item(tokens))
    return values if len(values) > 1 else values[0]


def _item(tokens: _Tokens) -> Any:
    first = tokens.take()
    if first == _TABLE:
        return _table(tokens)
    if first == _LIST:
        inside = [] if tokens.next == ")" else listed(_value(tokens))
        tokens.take(")")
        return inside
    return _WORDS.get(first.lower(), _plain(first))


def _plain(token: str) -> str:
    return re.sub(f"{_QUOTE}({_QUOTE})", r"\1", token[1:-1]) if re.match(_QUOTE, token) else token
