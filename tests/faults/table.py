"""The counts of a run by operation, and their table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from faults.checks import Finding, Problem
from faults.matrix import Outcome

_COLUMNS = (Problem.LOST, Problem.SPENT, Problem.UNTRUE, Problem.MESSAGE, Problem.NEEDLESS, Problem.LEFT_OPEN)


@dataclass
class Row:
    """The counts of one operation. `details` describes each broken promise."""

    name: str
    tried: int = 0
    missed: int = 0
    problems: Counter[Problem] = field(default_factory=Counter)
    details: list[str] = field(default_factory=list)

    def add(self, outcome: Outcome) -> None:
        """Count one case."""
        if not outcome.happened:
            self.missed += 1
            return
        self.count(str(outcome.case), outcome.findings)

    def count(self, case: str, findings: Sequence[Finding]) -> None:
        """Count a case that happened, with its broken promises."""
        self.tried += 1
        self.problems.update({finding.problem for finding in findings})
        self.details += [f"{case}: {each.problem.value}: {each.detail}" for each in findings]

    @property
    def cells(self) -> tuple[int, ...]:
        """The numbers of the row."""
        converged = self.tried - self.problems[Problem.DIVERGED]
        return (self.tried, converged, *(self.problems[each] for each in _COLUMNS))


def table(rows: Iterable[Row]) -> str:
    """Return the table with its totals."""
    listed = list(rows)
    heads = ("tried", "converged", *(column.value for column in _COLUMNS))
    lines = [(row.name, *row.cells) for row in listed]
    totals = ("all operations", *(sum(column) for column in zip(*(row.cells for row in listed), strict=True)))
    width = max(len(line[0]) for line in (*lines, totals))
    shown = [f"{'operation':{width}}  {'  '.join(heads)}"]
    for line in (*lines, totals):
        numbers = "  ".join(f"{number:>{len(head)},}" for number, head in zip(line[1:], heads, strict=True))
        shown.append(f"{line[0]:{width}}  {numbers}")
    return "\n".join(shown)
