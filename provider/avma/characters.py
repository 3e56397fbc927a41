"""Invisible characters and look-alikes: functions to find, describe and replace them."""

from __future__ import annotations

import re
import unicodedata

_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Categories of invisible characters: controls, format characters, surrogates, private and unassigned ones."""
_LONGEST = 100
CUT = "…"
"""The mark at the end of a text that was cut."""
DASHES = "\u2010-\u2015\u2212"
"""The dashes of other languages, for a character class."""
_ELLIPSIS = f" {CUT}"
_BEGUN_WORD = re.compile(rf"[!-~{DASHES}]{{2,}}\Z")

_CYRILLIC = {
    "A": "A",
    "VE": "B",
    "ES": "C",
    "IE": "E",
    "EN": "H",
    "BYELORUSSIAN-UKRAINIAN I": "I",
    "JE": "J",
    "KA": "K",
    "EM": "M",
    "O": "O",
    "ER": "P",
    "QA": "Q",
    "DZE": "S",
    "TE": "T",
    "WE": "W",
    "HA": "X",
    "U": "Y",
}
_GREEK = {
    "ALPHA": "A",
    "BETA": "B",
    "EPSILON": "E",
    "ZETA": "Z",
    "ETA": "H",
    "IOTA": "I",
    "KAPPA": "K",
    "MU": "M",
    "NU": "N",
    "OMICRON": "O",
    "RHO": "P",
    "TAU": "T",
    "CHI": "X",
    "UPSILON": "Y",
}
_LOOK_ALIKE = {
    "\N{IDEOGRAPHIC FULL STOP}": ".",
    **{unicodedata.lookup(f"CYRILLIC CAPITAL LETTER {name}"): twin for name, twin in _CYRILLIC.items()},
    **{unicodedata.lookup(f"GREEK CAPITAL LETTER {name}"): twin for name, twin in _GREEK.items()},
}
"""Capital letters and other characters with an ASCII twin that NFKC does not fold."""


def xml_text(text: str) -> str:
    """Return a text as the content of an XML element."""
    # `html.escape` and `xml.sax.saxutils.escape` do the same. Their modules import large tables and HTTP.
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def describe(character: str) -> str:
    """Return the code point and name of a character, and its ASCII look-alike."""
    name = unicodedata.name(character, "")
    number = f"U+{ord(character):04X}"
    twin = ascii_twin(character)
    return " ".join(part for part in (number, name) if part) + (f", looks like {twin}" if twin else "")


def ascii_twin(character: str) -> str:
    """Return the ASCII look-alike of a character, or an empty text."""
    if character.isascii():
        return ""
    folded = unicodedata.normalize("NFKC", character)
    twin = folded if folded.isascii() else _LOOK_ALIKE.get(folded.upper(), "")
    visible = len(twin) == 1 and twin.isprintable() and not twin.isspace()
    return (twin.lower() if folded.islower() else twin) if visible else ""


def to_ascii(text: str) -> str:
    """Return the text with ASCII characters instead of their look-alikes."""
    return "".join(ascii_twin(character) or character for character in text)


def hidden_error(text: str) -> str | None:
    """Return an error if a text has white space around it or contains invisible characters, or None."""
    if text != text.strip():
        first = text[0] if text[0].isspace() else text[-1]
        place = "begins" if text[0].isspace() else "ends"
        return f"{place} with white space ({describe(first)}). Remove it"
    if text.isprintable():
        return None
    for position, character in enumerate(text, 1):
        if unicodedata.category(character) in _HIDDEN:
            return f"contains an invisible character at position {position} ({describe(character)}). Remove it"
    return None


def visible(text: str) -> str:
    """Return a text with U+FFFD instead of invisible characters, which can reverse a line or control a terminal.

    Line ends stay. So do the spaces of other languages, such as the no-break space in French.
    """
    if text.isprintable():
        return text
    return "".join(
        "\ufffd" if unicodedata.category(each) in _HIDDEN and each not in "\n\r\t" else each for each in text
    )


def shown(text: str) -> str:
    """Return a text for a quote in an error: one line without invisible characters, cut if it is very long."""
    visible = printable(text)
    return visible if len(visible) <= _LONGEST else f"{visible[:_LONGEST]}{CUT}"


def printable(text: str) -> str:
    """Return a text in one line, with U+FFFD instead of each character that is not printable."""
    return text if text.isprintable() else "".join(each if each.isprintable() else "\ufffd" for each in text)


def one_line(text: str) -> str:
    """Return a text in one line, with one space instead of each white space. Redaction knows this form of a secret."""
    return " ".join(text.split())


def shortened(text: str, longest: int) -> str:
    """Return a text of at most `longest` characters, cut between words and with an ellipsis.

    The cut never splits a word of ASCII, such as a product key. In languages without spaces, it can be anywhere else.
    Redaction recognizes the beginning of a secret before the ellipsis.
    """
    if len(text) <= longest:
        return text
    most = longest - len(_ELLIPSIS)
    begun = _BEGUN_WORD.search(text, 0, most + 1)
    return f"{(text[: begun.start()] if begun else text[:most]).rstrip()}{_ELLIPSIS}".lstrip()
