"""Exit codes, with the same meaning for every command, and functions that end a command."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from typing import NoReturn

import typer


class Exit(IntEnum):
    """The exit codes of the `avma` command."""

    WELL = 0
    """Success."""
    WRONG = 1
    """The command found a problem, or could not finish."""
    USAGE = 2
    """Wrong usage. The command contacted no machine and served nothing."""
    INCOMPLETE = 3
    """At least one machine did not answer."""
    INTERRUPTED = 130
    """Stopped by Ctrl+C. The number is the convention of shells."""


def fail(text: str, code: Exit = Exit.USAGE) -> NoReturn:
    """Print a text to stderr and end the command.

    Raises:
        Exit: always.
    """
    typer.echo(text, err=True)
    raise typer.Exit(code)


@contextmanager
def guarded(command: str) -> Iterator[None]:
    """Print one line for any exception in the block. A traceback could contain a name or a secret."""
    try:
        yield
    except KeyboardInterrupt:
        fail("stopped", Exit.INTERRUPTED)
    except typer.Exit:
        raise
    except Exception as error:
        fail(f"avma {command}: unexpected error ({type(error).__name__}). Please report it.", Exit.WRONG)
