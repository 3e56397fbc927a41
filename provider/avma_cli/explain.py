"""`avma explain`: print the explanation of an error, without a network."""

from __future__ import annotations

from typing import Annotated

import typer

from avma_cli.exits import Exit, end


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
    from avma import explaining
    from avma.explaining import Outcome
    from pulumi_resource_avma.wording import PULUMI

    answer = explaining.explain(words or (), PULUMI)
    if answer.outcome is Outcome.UNKNOWN_NAME:
        end(answer.text)
    typer.echo(answer.text)
    if answer.outcome is Outcome.UNKNOWN_NUMBER:
        raise typer.Exit(Exit.WRONG)
