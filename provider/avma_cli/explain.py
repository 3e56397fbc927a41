"""`avma explain`: print the explanation of an error, without a network."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from avma_cli.exits import Exit, fail

if TYPE_CHECKING:
    from avma.explanations import Section

_WIDTH = 100
_LINK = re.compile(r"\[([^]]+)\]\(#[^)]+\)")
"""A link to another section. Its text is the section's title, which is the argument of this command."""


def _completed(incomplete: str) -> list[str]:
    from avma import explanations

    wanted = incomplete.lower()
    names = [name for name in explanations.names() if name.lower().startswith(wanted) and " " not in name]
    # Typer drops what does not begin as it was typed, in upper or lower case.
    return [incomplete + name[len(incomplete) :] for name in names]


def explain(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME|NUMBER]",
            help="A name such as not-ready or SL_E_INVALID_PRODUCT_KEY, or a number in decimal or hexadecimal.",
            autocompletion=_completed,
        ),
    ] = None,
) -> None:
    """Explain an error: what it means, and what to do.

    Every error ends with the command that explains it. Numbers that Windows
    shows elsewhere work too: signed, unsigned or hexadecimal, in any case.
    A part of an error message works as well: the first number or name in it
    counts. Without an argument, lists everything that can be explained.

      avma explain not-ready
      avma explain 0xC004F050
      avma explain SL_E_INVALID_PRODUCT_KEY

    The exit code is 0 when there is an explanation, 1 for a number that
    nothing is known about but its origin, 2 for a name that does not exist.
    """
    from avma import explanations

    if not words:
        typer.echo("\n".join(_list()))
        return
    word = " ".join(words)
    section = explanations.find(word)
    if section is not None:
        typer.echo("\n".join(_section(section)))
        return
    number = explanations.number_in(word)
    if number is None:
        fail("\n".join(_unknown_name(word)))
    typer.echo("\n".join(_unknown_number(number)))
    raise typer.Exit(Exit.WRONG)


def _section(section: Section) -> Iterator[str]:
    yield section.title
    for paragraph in section.text.split("\n\n"):
        yield ""
        yield _filled(_LINK.sub(r"\1", paragraph))


def _list() -> Iterator[str]:
    from avma import explanations

    yield "Kinds of errors:"
    yield from (f"  {each.title}" for each in explanations.kinds())
    yield "\nNumbers of Windows:"
    yield from (f"  {each.title}  {each.name}" for each in explanations.codes())
    yield "\nTexts of Windows Admin Center on Azure Local:"
    yield from (f'  "{each.title}"' for each in explanations.admin_center())


def _unknown_name(word: str) -> Iterator[str]:
    from avma import explanations

    yield f"there is no explanation of `{word}`"
    similar = explanations.similar(word)
    if similar:
        yield f"did you mean {' or '.join(similar)}?"
    yield "list all: avma explain"


def _unknown_number(number: int) -> Iterator[str]:
    from avma import hresult

    if number == 0:
        yield "0 is no error: Windows returns it for an operation that succeeded."
        return
    entry = hresult.lookup(number)
    yield f"0x{entry.value:08X}"
    yield ""
    yield f"This number is not in the table. It is {entry.meaning}."
    yield ""
    yield _filled(f"What to do: {entry.remedy}.")


def _filled(paragraph: str) -> str:
    return textwrap.fill(paragraph, _WIDTH, break_long_words=False, break_on_hyphens=False)
