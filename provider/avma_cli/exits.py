"""How a command ends: the exit codes, which mean the same for every command, and the text that goes with one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from typing import NoReturn

import typer


class Exit(IntEnum):
    """The exit codes."""

    WELL = 0
    """All is well."""
    WRONG = 1
    """Something is wrong: a cause was found, or the command could not finish."""
    USAGE = 2
    """The command cannot be run as it was given; nothing was asked or served."""
    INCOMPLETE = 3
    """Some machine did not answer."""
    INTERRUPTED = 130
    """Stopped by Ctrl+C, as shells have it."""


def fail(text: str, code: Exit = Exit.USAGE) -> NoReturn:
    """End the command with a text on stderr.

    Raises:
        Exit: always.
    """
    typer.echo(text, err=True)
    raise typer.Exit(code)


@contextmanager
def guarded(command: str) -> Iterator[None]:
    """End the command in one line, whatever happens in the block: a traceback could hold a name or a secret."""
    try:
        yield
    except KeyboardInterrupt:
        fail("stopped", Exit.INTERRUPTED)
    except typer.Exit:
        raise
    except Exception as error:
        fail(f"avma {command} failed by itself ({type(error).__name__}): please report it", Exit.WRONG)
