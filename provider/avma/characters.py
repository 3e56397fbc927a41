"""Characters that people cannot see or take for others: how they are found, named and compared."""

from __future__ import annotations

import re
import unicodedata

_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Categories of characters that nobody sees: controls, format characters, surrogates, private and unassigned ones."""
_LONGEST = 100
_ELLIPSIS = " …"
_BEGUN_WORD = re.compile(r"[!-~]{2,}\Z")

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
"""Capital letters and other characters with a twin in ASCII that NFKC does not fold."""


def describe(character: str) -> str:
    """Return a character's code point and name, and the ASCII character that it looks like."""
    name = unicodedata.name(character, "")
    number = f"U+{ord(character):04X}"
    twin = ascii_twin(character)
    return " ".join(part for part in (number, name) if part) + (f", looks like {twin}" if twin else "")


def ascii_twin(character: str) -> str:
    """Return the ASCII character that another one looks like, empty if there is none."""
    if character.isascii():
        return ""
    folded = unicodedata.normalize("NFKC", character)
    twin = folded if folded.isascii() else _LOOK_ALIKE.get(folded.upper(), "")
    visible = len(twin) == 1 and twin.isprintable() and not twin.isspace()
    return (twin.lower() if folded.islower() else twin) if visible else ""


def to_ascii(text: str) -> str:
    """Return the text with each look-alike replaced by the ASCII character that it looks like."""
    return "".join(ascii_twin(character) or character for character in text)


def hidden_error(text: str) -> str | None:
    """Return why a text holds characters that nobody sees or means: white space around it, or invisible ones."""
    if text != text.strip():
        first = text[0] if text[0].isspace() else text[-1]
        place = "begins" if text[0].isspace() else "ends"
        return f"{place} with white space ({describe(first)}). Remove it"
    for position, character in enumerate(text, 1):
        if unicodedata.category(character) in _HIDDEN:
            return f"contains an invisible character at position {position} ({describe(character)}). Remove it"
    return None


def visible(text: str) -> str:
    """Return a text without invisible characters, which can reverse a line or control a terminal.

    Line ends stay, and so do the spaces of other languages, such as the no-break space in French.
    """
    if text.isprintable():
        return text
    return "".join(
        "\ufffd" if unicodedata.category(each) in _HIDDEN and each not in "\n\r\t" else each for each in text
    )


def shown(text: str) -> str:
    """Return a text as an error may quote it: one line without invisible characters, cut where it is very long."""
    visible = "".join(each if each.isprintable() else "\ufffd" for each in text)
    return visible if len(visible) <= _LONGEST else f"{visible[:_LONGEST]}…"


def shortened(text: str, longest: int) -> str:
    """Return the beginning of a text that is too long, cut between words, with an ellipsis.

    Nothing recognizes a product key or a password that was cut. Texts in languages without spaces are cut anywhere
    except inside a word of ASCII.
    """
    if len(text) <= longest:
        return text
    most = longest - len(_ELLIPSIS)
    begun = _BEGUN_WORD.search(text, 0, most + 1)
    return f"{(text[: begun.start()] if begun else text[:most]).rstrip()}{_ELLIPSIS}".lstrip()
