"""One row of the table for each figure, and the file with the results of the last run."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

LATEST = Path(__file__).parent / "results" / "latest.json"


@dataclass(frozen=True)
class Row:
    """One figure. With a baseline, the target is a ratio to it. Without one, the target has the unit of the figure.

    The target is the highest value that is good enough. Without a target, the row is only information.
    """

    measure: str
    ours: float
    unit: str
    target: float | None = None
    baseline: float | None = None
    baseline_name: str = ""
    note: str = ""

    @property
    def figure(self) -> float:
        """The ratio to the baseline, or the figure itself without one."""
        return self.ours if self.baseline is None else self.ours / self.baseline

    @property
    def met(self) -> bool | None:
        """Whether the figure, rounded as printed, reaches the target. None without a target."""
        return None if self.target is None else float(_short(self.figure)) <= self.target

    def cells(self) -> tuple[str, ...]:
        """Return the row of the table."""
        own = f"{_short(self.ours)} {self.unit}".strip()
        other, of = "", self.unit
        if self.baseline is not None:
            other = f"{self.baseline_name}: {_short(self.baseline)} {self.unit}".strip()
            own, of = f"**{_short(self.figure)} x** ({own})", "x"
        if self.note:
            own = f"{own} ({self.note})"
        target = "" if self.target is None else f"{self.target:g} {of}".strip()
        return self.measure, other, own, target, {None: "", True: "yes", False: "no"}[self.met]


@dataclass(frozen=True)
class Group:
    """The rows of one measure, with the load of the machine before it and its duration."""

    load: tuple[float, ...]
    seconds: float
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Results:
    """The machine with its versions, and the groups of rows by name."""

    machine: Mapping[str, str | int]
    groups: Mapping[str, Group] = field(default_factory=dict)

    def table(self) -> str:
        """Return all rows as a Markdown table."""
        return table(row for group in self.groups.values() for row in group.rows)

    def save(self) -> None:
        """Replace the file of the last results."""
        LATEST.parent.mkdir(exist_ok=True)
        LATEST.write_text(json.dumps(asdict(self), indent=1) + "\n")


def table(rows: Iterable[Row]) -> str:
    """Return rows as a Markdown table."""
    return markdown(("measure", "baseline", "ours", "target", "met"), (row.cells() for row in rows))


def markdown(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """Return a Markdown table."""
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, ("---",) * len(head), *rows))


def latest() -> Results:
    """Return the results of the last run."""
    read: dict[str, Any] = json.loads(LATEST.read_text())
    return Results(read["machine"], {name: _group(**group) for name, group in read["groups"].items()})


def _group(load: list[float], seconds: float, rows: list[dict[str, Any]]) -> Group:
    return Group(tuple(load), seconds, tuple(Row(**row) for row in rows))


def _short(value: float) -> str:
    """Return a number with three significant digits, and without decimals from 100 on."""
    return f"{value:.0f}" if value >= 100 or value == int(value) else f"{value:.3g}"
