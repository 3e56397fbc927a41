"""Words of this project's own texts. They stay readable in these texts, also if a machine has one of them as a name."""

from __future__ import annotations

import re
from collections.abc import Iterable

_TOKEN = re.compile(r"[^\s,;()\[\]{}<>'\"]+")
_PART = re.compile(r"[^\W_]+")
_PLAIN = re.compile(r"\d{1,5}|0x[0-9A-Fa-f]{1,8}|[Ss]-1-\d{1,2}(?:-\d{1,3}){1,2}")
"""Short numbers, error numbers, and the SIDs of every Windows. A longer number may be a serial number."""


class Vocabulary:
    """The words of some texts that everybody may read.

    A word is a text between spaces, or one of its parts between punctuation. The case of letters does not count.

    Args:
        texts: the texts.
    """

    def __init__(self, texts: Iterable[str] = ()) -> None:
        tokens = {token.casefold().rstrip(".:") for text in texts for token in _TOKEN.findall(text)}
        self._words = tokens | {part for token in tokens for part in _PART.findall(token)}

    def __contains__(self, word: str) -> bool:
        """Return True if the texts contain the word, or if it is a short number."""
        return word.casefold() in self._words or _PLAIN.fullmatch(word) is not None

    def covers(self, text: str) -> bool:
        """Return True if the text has words, and all of them are in the vocabulary."""
        parts = _PART.findall(text)
        return bool(parts) and all(part in self for part in parts)
