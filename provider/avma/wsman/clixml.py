"""Texts in CLIXML ([MS-PSRP] 2.2.5.3.2). An escape such as `_xD83D_` stands for one UTF-16 code unit.

It is used for characters that XML does not allow, and for each half of a surrogate pair. Unpaired halves are kept,
because Windows allows them in any string.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_ESCAPED = re.compile("[\u0000-\u001f\u007f-\u009f\ud800-\udfff\ufffe\uffff\U00010000-\U0010ffff]")
_UNIT = re.compile("_x([0-9A-Fa-f]{4})_")


def encoded(text: str) -> str:
    """Return a text in the encoding of a CLIXML element."""
    plain = re.sub("(?i)_(?=x)", "_x005F_", text)
    return _ESCAPED.sub(lambda found: "".join(f"_x{unit:04X}_" for unit in _units(found[0])), plain)


def decoded(text: str) -> str:
    """Return the text of a CLIXML element."""
    units = _UNIT.sub(lambda found: chr(int(found[1], 16)), text)
    # The round trip through UTF-16 joins two halves of a pair into one character.
    return units.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


def _units(character: str) -> Iterator[int]:
    data = character.encode("utf-16-be", "surrogatepass")
    return (int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data), 2))
