"""A fact about Windows, and its observation on a machine.

A fact is one statement with its source. Its function asks a machine, and returns the expected and the observed value.
Facts that no request can show are questions. They contain instructions for a person.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from avma_conformance.subject import Subject

Item = TypeVar("Item")
UNKNOWN = "not known: nobody has published it"
"""The source of a fact without any evidence."""


class Area(Enum):
    """The topics of facts, in the order of reports."""

    WSMAN = "WS-Management"
    AUTHENTICATION = "Authentication and encryption"
    ENUMERATION = "Listings and queries"
    VALUES = "Forms of values"
    FAULTS = "Faults"
    LICENSING = "Licensing"
    HYPER_V = "Hyper-V"
    REMOTING = "PowerShell remoting"
    GUESTS = "PowerShell Direct"
    SHELLS = "Remote shells"
    CLUSTERS = "Failover clusters"
    AZURE_LOCAL = "Azure Local"
    RIGHTS = "Rights"


class Effect(Enum):
    """What an observation does to the machine."""

    READS = "reads only"
    HARMLESS = "makes a change that Windows rejects or that is undone at once"
    SPENDS = "uses something up, or leaves a change behind"
    MANUAL = "cannot run: a person must look"


class On(Enum):
    """The machine that a fact needs."""

    WINDOWS = "a Windows Server"
    HYPER_V = "a Hyper-V host"
    VM = "a Hyper-V host with a running VM"
    GUEST = "a Hyper-V host with a running Windows VM, and an account in it"
    CLUSTER = "a node of a failover cluster"
    AZURE_LOCAL = "a machine of Azure Local"
    USER = "a Windows Server, and an account that is not an administrator"


@dataclass(frozen=True)
class Observation:
    """The expected and the observed value as texts, and whether the fact holds."""

    expected: str
    found: str
    holds: bool


@dataclass(frozen=True)
class Fact:
    """A statement about Windows.

    Attributes:
        name: its identity, which reports and the source code use.
        area: its topic.
        statement: one sentence.
        source: the recording, specification or report behind it, or `UNKNOWN`.
        effect: what the observation does to the machine.
        on: the machine that it needs.
        observe: the observation. None for a question to a person.
        by_hand: the instructions for a person.
    """

    name: str
    area: Area
    statement: str
    source: str
    effect: Effect
    on: On
    observe: Callable[[Subject], Observation] | None = None
    by_hand: str = ""


class NotHere(Exception):
    """The machine lacks something that the observation needs. The text says what."""


def present(rows: Sequence[Item], missing: str) -> Sequence[Item]:
    """Return the rows. A statement about each row proves nothing without rows.

    Raises:
        NotHere: there are no rows.
    """
    if not rows:
        raise NotHere(missing)
    return rows


def fact(
    area: Area, source: str, *, on: On = On.WINDOWS, effect: Effect = Effect.READS
) -> Callable[[Callable[[Subject], Observation]], Fact]:
    """Return a decorator that makes an observation a fact.

    The name of the function becomes its name, and the docstring its statement.
    """

    def declare(observe: Callable[[Subject], Observation]) -> Fact:
        statement = " ".join((observe.__doc__ or "").split())
        return Fact(observe.__name__.replace("_", "-"), area, statement, source, effect, on, observe)

    return declare


def question(name: str, area: Area, statement: str, by_hand: str, *, on: On = On.WINDOWS) -> Fact:
    """Return a fact that no request shows. `by_hand` says how a person finds the answer."""
    return Fact(name, area, statement, UNKNOWN, Effect.MANUAL, on, None, by_hand)


def equal(expected: object, found: object) -> Observation:
    """Compare two values."""
    return Observation(_text(expected), _text(found), expected == found)


def one_of(expected: Iterable[object], found: object) -> Observation:
    """Compare a value with all permitted ones."""
    permitted = tuple(expected)
    return Observation(" or ".join(map(_text, permitted)), _text(found), found in permitted)


def like(pattern: str, found: str) -> Observation:
    """Compare a text with a regular expression. It must match the whole text."""
    return Observation(f"a text like {pattern}", _text(found), re.fullmatch(pattern, found) is not None)


def true(expected: str, holds: bool, found: object) -> Observation:
    """Return an observation whose comparison is in the caller. `expected` describes it in words."""
    return Observation(expected, _text(found), holds)


def _text(value: object) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, (list, tuple, set, frozenset)):
        shown = map(_text, sorted(value, key=str) if isinstance(value, (set, frozenset)) else value)
        return ", ".join(shown) or "nothing"
    return str(value)
