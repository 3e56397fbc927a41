"""The output of a run: the current fact on a terminal, a line for each difference, and the counts."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.console import Console
from rich.text import Text

from avma_conformance.fact import Fact
from avma_conformance.report import ConformanceReport, summary
from avma_conformance.suite import FactResult, FactVerdict, Windows


class RunOutput:
    """The lines of a run. A terminal also shows the current fact."""

    def __init__(self, console: Console, redact: Callable[[str], str], total: int) -> None:
        self._console = console
        self._redact = redact
        self._total = total
        self._begun = 0
        self._shown = 0
        live = console.is_terminal and not console.is_dumb_terminal
        self._spinner = console.status("") if live else None

    def __enter__(self) -> RunOutput:
        if self._spinner is not None:
            self._spinner.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._spinner is not None:
            self._spinner.stop()

    def windows(self, windows: Windows) -> None:
        """Show the Windows of the machine."""
        simulated = ", simulated" if windows.simulated else ""
        self._print(Text(f"{windows.name}, build {windows.build}{simulated}"))

    def begin(self, fact: Fact) -> None:
        """Show the fact that is observed now."""
        self._begun += 1
        if self._spinner is not None:
            self._spinner.update(Text(f"{self._begun} of {self._total}: {fact.statement}"))

    def result(self, result: FactResult) -> None:
        """Show a difference, or a machine that did not answer."""
        if result.verdict not in (FactVerdict.DIFFERS, FactVerdict.NO_ANSWER):
            return
        line = Text(f"{result.verdict.value}  ", style="bold red")
        line.append(f"{result.fact.name}: {result.fact.statement}", style="default")
        self._print(line)
        self._print(Text(f"  expected: {self._redact(result.expected)}"))
        self._print(Text(f"  found: {self._redact(result.found)}"))

    def notes(self, notes: Sequence[str]) -> None:
        """Show the sentences about the run that are new since the last call."""
        for note in notes[self._shown :]:
            self._print(Text(self._redact(note), style="bold red"))
        self._shown = len(notes)

    def end(self, report: ConformanceReport) -> None:
        """Show the counts."""
        self._print(Text(summary(report)))

    def _print(self, line: Text) -> None:
        self._console.print(line, soft_wrap=True)
