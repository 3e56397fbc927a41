"""The patterns of LIKE in WQL (learn.microsoft.com/windows/win32/wmisdk/like-operator)."""

from __future__ import annotations

import re
from collections.abc import Callable


def matcher(pattern: str) -> Callable[[str], bool]:
    """Return the test of a LIKE pattern: `%`, `_`, `[a-f]` and `[^a-f]`.

    Case is ignored. Each piece between two `%` matches at its first position. One regular expression for the whole
    pattern could backtrack without end.

    Raises:
        re.error: a range is invalid.
    """
    pieces = [""]
    for part in re.findall(r"\[\^?[^\]]+\]|.", pattern, flags=re.DOTALL):
        if part == "%":
            pieces.append("")
        else:
            pieces[-1] += _like_part(part)
    first, *rest = (re.compile(piece, re.IGNORECASE | re.DOTALL) for piece in pieces)
    if not rest:
        return lambda value: bool(first.fullmatch(value))
    last = re.compile(rf"(?:{pieces[-1]})\Z", re.IGNORECASE | re.DOTALL)

    def matches(value: str) -> bool:
        found = first.match(value)
        for piece in (*rest[:-1], last):
            if found is None:
                return False
            found = piece.search(value, found.end())
        return found is not None

    return matches


def _like_part(part: str) -> str:
    if part == "_":
        return "."
    if len(part) == 1:
        return re.escape(part)
    negation = "^" if part[1] == "^" else ""
    ranges = re.findall(r"(.)-(.)|(.)", part[1 + len(negation) : -1], flags=re.DOTALL)
    inside = (re.escape(one) or f"{re.escape(low)}-{re.escape(high)}" for low, high, one in ranges)
    return f"[{negation}{''.join(inside)}]"
