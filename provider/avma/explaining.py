"""The answers of `avma explain`, also for front ends without the `avma` command."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from avma import errors, explanations, hresult
from avma.wording import NEUTRAL, Wording

WIDTH = 100
"""The number of columns on a terminal."""
_LINK = re.compile(r"\[([^]]+)\]\(#[^)]+\)")
"""A link to another section. Its text is the title of that section: the argument of the command."""
_ITEM = re.compile(r"\n(?=- )")
"""The start of an item of a list."""


class Outcome(Enum):
    """The result of a search for the argument."""

    FOUND = "an explanation"
    UNKNOWN_NUMBER = "a number that the table does not have"
    UNKNOWN_NAME = "a name that does not exist"


@dataclass(frozen=True)
class Explanation:
    """The text to print, and the result of the search."""

    text: str
    outcome: Outcome = Outcome.FOUND


def explain(words: Sequence[str], wording: Wording = NEUTRAL) -> Explanation:
    """Return the explanation of the first name or number in the words. Without words, return a list of all."""
    if not words:
        return Explanation("\n".join(_list()))
    word = " ".join(words)
    section = explanations.find(word)
    if section is not None:
        return Explanation("\n".join(_section(section, wording)))
    number = explanations.number_in(word)
    if number is None:
        return Explanation("\n".join(_unknown_name(word)), Outcome.UNKNOWN_NAME)
    return Explanation("\n".join(_unknown_number(number, wording)), Outcome.UNKNOWN_NUMBER)


def _section(section: explanations.Section, wording: Wording) -> Iterator[str]:
    yield section.title
    for paragraph in wording.render(section.text).split("\n\n"):
        yield ""
        yield filled(_LINK.sub(r"\1", paragraph))


def _list() -> Iterator[str]:
    yield "Kinds of errors:"
    yield from (f"  {each.title}" for each in explanations.kinds())
    yield "\nError codes of Windows:"
    yield from (f"  {each.title}  {each.name}" for each in explanations.codes())
    yield "\nMessages of Windows Admin Center on Azure Local:"
    yield from (f'  "{each.title}"' for each in explanations.admin_center())


def _unknown_name(word: str) -> Iterator[str]:
    yield f"no explanation found for `{word}`"
    similar = explanations.similar(word)
    if similar:
        yield f"did you mean {' or '.join(similar)}?"
    yield "list all explanations: avma explain"


def _unknown_number(number: int, wording: Wording) -> Iterator[str]:
    if number == 0:
        yield "0 is not an error. Windows returns it for an operation that succeeded."
        return
    entry = hresult.lookup(number)
    yield f"0x{entry.value:08X}"
    yield ""
    yield f"The provider does not know this number. It is {entry.meaning}."
    yield ""
    yield filled(wording.render(errors.sentences(entry.remedy)))


def filled(paragraph: str, width: int = WIDTH) -> str:
    """Return a paragraph or list with lines of at most that many columns."""
    return "\n".join(_wrapped(item, width) for item in _ITEM.split(paragraph))


def _wrapped(text: str, width: int) -> str:
    indent = "  " if text.startswith("- ") else ""
    return textwrap.fill(
        " ".join(text.split()), width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )
