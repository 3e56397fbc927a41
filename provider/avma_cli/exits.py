"""Exit codes, with the same meaning for every command, and functions that end a command."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from typing import Any, NoReturn, cast

import typer
from typer.core import TyperGroup

from avma import topics
from avma_cli.wording import COMMANDS

_UsageError = cast("type[Exception]", typer.BadParameter.__bases__[0])
"""What Typer raises for a wrong command line. Typer gives it no public name of its own."""


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


class Commands(TyperGroup):
    """The commands of `avma`. A wrong command line ends with the command that explains it, like every other error."""

    def make_context(self, *arguments: Any, **named: Any) -> Any:
        """See `TyperGroup.make_context`."""
        with _explained_usage():
            return super().make_context(*arguments, **named)

    def invoke(self, ctx: Any) -> Any:
        """See `TyperGroup.invoke`. This reads the options of a command."""
        with _explained_usage():
            return super().invoke(ctx)


class _WrongUsage(typer.BadParameter):
    def format_message(self) -> str:
        return topics.explained(self.message, topics.USAGE)


@contextmanager
def _explained_usage() -> Iterator[None]:
    try:
        yield
    except _UsageError as error:
        wrong: Any = error
        raise _WrongUsage(wrong.format_message(), wrong.ctx) from None


def fail(text: str, code: Exit = Exit.USAGE, *explained_by: str) -> NoReturn:
    """End the command with an error on stderr, and below it the commands that explain it.

    Args:
        text: the error, a line for each mistake.
        code: the exit code.
        explained_by: topics of `avma explain`; the default is `topics.USAGE`.

    Raises:
        Exit: always.
    """
    end("\n".join([text, *map(topics.see, dict.fromkeys(explained_by or (topics.USAGE,)))]), code)


def end(text: str, code: Exit = Exit.USAGE) -> NoReturn:
    """End the command with a text on stderr that has its own command, or is not an error.

    Raises:
        Exit: always.
    """
    typer.echo(COMMANDS.render(text), err=True)
    raise typer.Exit(code)


@contextmanager
def guarded(command: str) -> Iterator[None]:
    """Print one line for any exception in the block. A traceback could contain a name or a secret."""
    try:
        yield
    except KeyboardInterrupt:
        end("stopped", Exit.INTERRUPTED)
    except typer.Exit:
        raise
    except Exception as error:
        bug = f"avma {command}: unexpected error ({type(error).__name__}). Please report it."
        fail(bug, Exit.WRONG, topics.INTERNAL_ERROR)
