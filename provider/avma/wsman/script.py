"""Parameters and output of scripts in a remote PowerShell, as plain values."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from avma import characters


@dataclass(frozen=True)
class Script:
    """A script: its text, and the name of the function that a session configuration of `avma jea` has for it."""

    text: str
    function: str


@dataclass(frozen=True)
class Secret:
    """A text that PowerShell receives as SecureString. It is encrypted inside the message, and no log contains it."""

    text: str = field(repr=False)


@dataclass(frozen=True)
class Credential:
    """A user name and a password. PowerShell receives them as PSCredential."""

    username: str
    password: str = field(repr=False)
    sources: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)
    """See `Settings.sources`."""


@dataclass(frozen=True)
class TimeLeft:
    """A script parameter: the seconds that the caller has left when the script starts, minus a reserve.

    `margin` is the reserve in seconds. It is at most the `share` of the seconds left.
    """

    margin: float
    share: float

    def of(self, left: float) -> float:
        """Return the value of the parameter if that many seconds are left."""
        return max(1.0, self.without_reserve(left))

    def without_reserve(self, left: float) -> float:
        """Return these seconds minus the reserve."""
        return round(left - min(self.margin, left * self.share), 1)


@dataclass(frozen=True)
class AtStart:
    """A script parameter whose value is decided directly before the script starts.

    `most` contains everything that the value may contain.
    """

    most: Any = field(repr=False)
    decide: Callable[[], Any]


@dataclass(frozen=True)
class ErrorRecord:
    """An error of PowerShell: its FullyQualifiedErrorId and its text."""

    error_id: str
    message: str

    def __str__(self) -> str:
        """Return the text, followed by the id in parentheses."""
        parts = (characters.one_line(self.message), f"({self.error_id})" if self.error_id else "")
        return " ".join(part for part in parts if part)


@dataclass(frozen=True)
class Output:
    """The output of a script: its objects and its errors. `completed` is False if an error ended the script."""

    objects: tuple[Any, ...]
    errors: tuple[ErrorRecord, ...]
    completed: bool


OnOutput = Callable[[Any], None]
"""A callback for each object of a script as it arrives. Another thread calls it, possibly after the caller has left."""


def ignore(_: Any) -> None:
    """Ignore an object."""


def never(_: Any) -> bool:
    """Return False."""
    return False


def at_start(value: Any, left: float) -> Any:
    """Return the value of a parameter for a script that starts now, if its caller has that many seconds left."""
    if isinstance(value, TimeLeft):
        return value.of(left)
    return value.decide() if isinstance(value, AtStart) else value


def secrets_in(value: Any) -> Iterator[str]:
    """Yield all secret texts in the parameters of a script."""
    if isinstance(value, Secret):
        yield value.text
    elif isinstance(value, Credential):
        yield value.password
    elif isinstance(value, AtStart):
        yield from secrets_in(value.most)
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from secrets_in(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from secrets_in(item)
