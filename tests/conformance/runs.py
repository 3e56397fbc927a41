"""The runs of a test session: one for each machine, with its results, and the reports of all."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from avma.wsman.pipe import new_winrm_pipe
from avma_conformance.fact import Effect, Fact
from avma_conformance.facts import FACTS
from avma_conformance.report import report_of, to_json, to_markdown
from avma_conformance.subject import Target
from avma_conformance.suite import FactResult, Suite, Windows
from avma_conformance.words import vocabulary
from pulumi_resource_avma import __version__


class Runs:
    """The runs on some machines. A machine is contacted when its first fact is observed."""

    def __init__(self, machines: Mapping[str, Target], permitted: Iterable[Effect], named: Iterable[str]) -> None:
        self._machines = machines
        self._permitted, self._named = frozenset(permitted), frozenset(named)
        self._suites: dict[str, Suite] = {}
        self._windows: dict[str, Windows | Exception] = {}
        self._results: dict[str, dict[str, FactResult]] = {}

    def suite(self, machine: str) -> Suite:
        """Return the suite of a machine, after its begin. A machine that did not begin fails again at once."""
        if machine not in self._suites:
            self._suites[machine] = Suite(self._machines[machine], self._permitted, self._named, new_winrm_pipe)
            try:
                self._windows[machine] = self._suites[machine].begin()
            except Exception as error:
                self._windows[machine] = error
        windows = self._windows[machine]
        if isinstance(windows, Exception):
            raise windows
        return self._suites[machine]

    def observe(self, machine: str, fact: Fact) -> FactResult:
        """Return the result of a fact, and keep it for the report."""
        (result,) = self.suite(machine).run([fact])
        self._results.setdefault(machine, {})[fact.name] = result
        return result

    def write(self, folder: Path) -> None:
        """Write the reports of the machines with results, as JSON and as Markdown."""
        folder.mkdir(parents=True, exist_ok=True)
        for at, (machine, results) in enumerate(self._results.items(), 1):
            windows, suite = self._windows[machine], self._suites[machine]
            assert isinstance(windows, Windows)
            exchanges = suite.recorder.anonymous(vocabulary())
            found = [results[fact.name] for fact in FACTS if fact.name in results]
            report = report_of(__version__, windows, found, exchanges, suite.notes)
            # The name of the machine must not be in the name of a file that people attach to an issue.
            name = f"{at}-{re.sub(r'[^a-z0-9]+', '-', windows.name.lower())}-{windows.build}"
            (folder / f"{name}.json").write_text(to_json(report), encoding="utf-8")
            (folder / f"{name}.md").write_text(to_markdown(report), encoding="utf-8")

    def close(self) -> None:
        """Close all connections."""
        for suite in self._suites.values():
            suite.close()
