"""What goes into a script that runs in a remote PowerShell, and what comes out of it: plain values, no protocol."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Secret:
    """A text that PowerShell gets as SecureString: it is encrypted inside the message, and no log shows it."""

    text: str = field(repr=False)


@dataclass(frozen=True)
class Credential:
    """A user name and a password that PowerShell gets as PSCredential."""

    username: str
    password: str = field(repr=False)


@dataclass(frozen=True)
class TimeLeft:
    """The seconds that a script may take, as a parameter: those that its caller has left when it starts, less some.

    `margin` is how many seconds less, at most the `share` of what is left.
    """

    margin: float
    share: float

    def of(self, left: float) -> float:
        """Return the seconds, when so many are left."""
        return round(max(1.0, left - min(self.margin, left * self.share)), 1)


@dataclass(frozen=True)
class ErrorRecord:
    """An error of PowerShell: its FullyQualifiedErrorId and its text."""

    error_id: str
    message: str

    def __str__(self) -> str:
        """Return the text, and the id in parentheses."""
        parts = (" ".join(self.message.split()), f"({self.error_id})" if self.error_id else "")
        return " ".join(part for part in parts if part)


@dataclass(frozen=True)
class Output:
    """What a script wrote: its objects and its errors; `completed` is False if an error ended it."""

    objects: tuple[Any, ...]
    errors: tuple[ErrorRecord, ...]
    completed: bool


Heard = Callable[[Any], None]
"""Who is told each object of a script as it comes. It is called in another thread, and may be until that one ends."""


def nobody(_: Any) -> None:
    """Take no notice of an object."""


def secrets_in(value: Any) -> Iterator[str]:
    """Yield all secret texts among the parameters of a script."""
    if isinstance(value, Secret):
        yield value.text
    elif isinstance(value, Credential):
        yield value.password
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from secrets_in(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from secrets_in(item)
