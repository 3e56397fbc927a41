"""Anonymous WQL for a recording: only the literals are replaced."""

from __future__ import annotations

import re
from collections.abc import Callable

_LITERAL = re.compile(r"""'((?:[^'\\]|\\.)*)(?:'|\Z)|"((?:[^"\\]|\\.)*)(?:"|\Z)""", re.DOTALL)
_COMPARED = re.compile(r"(\w+)\s*(?:=|<>|!=|<=|>=|<|>|\bLIKE\b)\s*\Z", re.IGNORECASE)
_SERVER = re.compile(r"(?<=\{)\\\\([^\\/{}\s]+)")


def with_literals(query: str, rewrite: Callable[[str, str], str]) -> str:
    """Return a query with rewritten literals. `rewrite` takes the property next to the literal, and its value.

    Both kinds of quotation mark, and the backslash before one, are WQL syntax (learn.microsoft.com, "WQL (SQL for
    WMI)"). A literal without an end extends to the end of the query.
    """

    def literal(found: re.Match[str]) -> str:
        compared = _COMPARED.search(query, 0, found.start())
        value = re.sub(r"\\(.)", r"\1", found[1] or found[2] or "", flags=re.DOTALL)
        written = re.sub(r"([\\'\"])", r"\\\1", rewrite(compared[1] if compared else "", value))
        return f"{found[0][0]}{written}{found[0][0]}"

    return _SERVER.sub(lambda found: f"\\\\{rewrite('', found[1])}", _LITERAL.sub(literal, query))
