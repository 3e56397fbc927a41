"""`avma explain`: print the explanation of an error. The command needs no network."""

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
"""A link to another section. Its text is the title of the section, so it is also an argument of this command."""


def _completed(incomplete: str) -> list[str]:
    from avma import explanations

    wanted = incomplete.lower()
    names = [name for name in explanations.names() if name.lower().startswith(wanted) and " " not in name]
    # Typer drops completions that do not begin with the typed text. Its comparison is case-sensitive.
    return [incomplete + name[len(incomplete) :] for name in names]


def explain(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME|NUMBER]",
            help="A name such as not-ready or SL_E_INVALID_PRODUCT_KEY, or a decimal or hexadecimal number.",
            autocompletion=_completed,
        ),
    ] = None,
) -> None:
    """Explain an error: what it means, and what to do.

    \b
      avma explain not-ready
      avma explain 0xC004F050
      avma explain SL_E_INVALID_PRODUCT_KEY

    Numbers can be signed, unsigned or hexadecimal, as Windows shows them. You
    can also paste a part of an error message. The command explains the first
    number or name in it. Without an argument, it lists all explanations.

    Exit codes: 0 explained, 1 unknown number (only its origin is known), 2
    unknown name.
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
    yield "\nError codes of Windows:"
    yield from (f"  {each.title}  {each.name}" for each in explanations.codes())
    yield "\nMessages of Windows Admin Center on Azure Local:"
    yield from (f'  "{each.title}"' for each in explanations.admin_center())


def _unknown_name(word: str) -> Iterator[str]:
    from avma import explanations

    yield f"no explanation found for `{word}`"
    similar = explanations.similar(word)
    if similar:
        yield f"did you mean {' or '.join(similar)}?"
    yield "list all explanations: avma explain"


def _unknown_number(number: int) -> Iterator[str]:
    from avma import hresult

    if number == 0:
        yield "0 is not an error. Windows returns it for an operation that succeeded."
        return
    entry = hresult.lookup(number)
    yield f"0x{entry.value:08X}"
    yield ""
    yield f"This number is not in the table. It is {entry.meaning}."
    yield ""
    yield _filled(f"What to do: {entry.remedy}.")


def _filled(paragraph: str) -> str:
    return textwrap.fill(paragraph, _WIDTH, break_long_words=False, break_on_hyphens=False)
