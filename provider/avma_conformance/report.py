"""The report of a run: every fact with its expected and observed value, as JSON and as Markdown.

The report contains no names and secrets: values go through the recording. A user can attach it to a bug report.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from avma.recording.recorder import Anonymous
from avma_conformance.suite import FactResult, FactVerdict, Windows

FORMAT = "avma conformance 1"
_LONGEST_ANSWER = 20_000
"""Characters of one raw answer. The recording has the whole."""


@dataclass(frozen=True)
class ConformanceReport:
    """The results on one machine, without names and secrets.

    Attributes:
        product: the version of this product.
        windows: the Windows of the machine.
        results: the result of each fact.
        raw: the answers behind each difference, by the name of its fact.
        notes: sentences about the whole run, such as why it stopped early.
    """

    product: str
    windows: Windows
    results: tuple[FactResult, ...]
    raw: Mapping[str, Sequence[str]]
    notes: tuple[str, ...] = ()

    def counts(self) -> Counter[FactVerdict]:
        """Return the number of facts for each verdict."""
        return Counter(result.verdict for result in self.results)

    @property
    def differences(self) -> tuple[FactResult, ...]:
        """The facts that do not hold on the machine."""
        return tuple(result for result in self.results if result.verdict is FactVerdict.DIFFERS)

    @property
    def unanswered(self) -> bool:
        """Whether the machine did not answer at least one fact."""
        return any(result.verdict is FactVerdict.NO_ANSWER for result in self.results)


def report_of(
    product: str, windows: Windows, results: Iterable[FactResult], exchanges: Anonymous, notes: Iterable[str] = ()
) -> ConformanceReport:
    """Return the report of a run. Its texts contain stand-ins for the names in the exchanges."""
    found = tuple(results)
    raw = {
        each.fact.name: [answer[:_LONGEST_ANSWER] for answer in _answers(each, exchanges)]
        for each in found
        if each.verdict is FactVerdict.DIFFERS
    }
    shown = tuple(_anonymous(each, exchanges) for each in found)
    return ConformanceReport(product, windows, shown, raw, tuple(map(exchanges.text, notes)))


def _answers(result: FactResult, exchanges: Anonymous) -> Iterator[str]:
    yield from exchanges.answers(result.first, result.last)
    yield from (each.report(exchanges) for each in result.http)


def _anonymous(result: FactResult, exchanges: Anonymous) -> FactResult:
    if result.verdict is FactVerdict.NOT_RUN:
        return result
    clear = exchanges.text  # keeps the words of the suite, also those of `NotHere`
    return FactResult(
        result.fact, result.verdict, clear(result.expected), clear(result.found), result.first, result.last
    )


def to_json(report: ConformanceReport) -> str:
    """Return a report as a JSON document."""
    document = {
        "format": FORMAT,
        "product": report.product,
        "windows": {
            "name": report.windows.name,
            "build": report.windows.build,
            "simulated": report.windows.simulated,
        },
        "notes": list(report.notes),
        "counts": {verdict.value: report.counts()[verdict] for verdict in FactVerdict},
        "areas": [
            {"area": name, "verified": verified, "open": left, "differs": differ}
            for name, (verified, left, differ) in by_area(report)
        ],
        "facts": [_fact(result, report.raw.get(result.fact.name, ())) for result in report.results],
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _fact(result: FactResult, raw: Sequence[str]) -> dict[str, Any]:
    fact = result.fact
    return {
        "name": fact.name,
        "area": fact.area.value,
        "statement": fact.statement,
        "source": fact.source,
        "effect": fact.effect.value,
        "verdict": result.verdict.value,
        "expected": result.expected,
        "found": result.found,
        **({"answers": list(raw)} if raw else {}),
    }


def to_markdown(report: ConformanceReport) -> str:
    """Return a report as a Markdown document: the differences first, then all facts by area."""
    return "\n".join(_markdown(report)) + "\n"


def _markdown(report: ConformanceReport) -> Iterator[str]:
    simulated = " (simulated)" if report.windows.simulated else ""
    yield f"# Conformance of {report.windows.name}, build {report.windows.build}{simulated}"
    yield ""
    yield f"pulumi-avma {report.product}. {summary(report)}"
    for note in report.notes:
        yield from ("", f"**{note}**")
    for result in report.differences:
        yield from ("", f"## {result.fact.name}", "", result.fact.statement, "")
        yield from (f"- Source: {result.fact.source}", f"- Expected: {result.expected}", f"- Found: {result.found}")
        for answer in report.raw.get(result.fact.name, ()):
            yield from ("", "```xml" if answer.startswith("<") else "```text", answer, "```")
    yield from ("", "## Numbers", "", "| area | verified | open | differs |", "|---|---|---|---|")
    for name, numbers in by_area(report):
        yield f"| {name} | {' | '.join(map(str, numbers))} |"
    for area, results in groupby(report.results, key=lambda result: result.fact.area):
        yield from ("", f"## {area.value}", "", "| fact | statement | result | found |", "|---|---|---|---|")
        for result in results:
            cells = (result.fact.name, result.fact.statement, result.verdict.value, result.found)
            yield f"| {' | '.join(map(_cell, cells))} |"


def by_area(report: ConformanceReport) -> Iterator[tuple[str, tuple[int, int, int]]]:
    """Yield the numbers of verified, open and different facts of each area, and of all. A simulator verifies none."""
    groups = [(area.value, list(results)) for area, results in groupby(report.results, key=lambda each: each.fact.area)]
    for name, results in (*groups, ("all", list(report.results))):
        verdicts = [result.verdict for result in results]
        verified = 0 if report.windows.simulated else verdicts.count(FactVerdict.HOLDS)
        differ = verdicts.count(FactVerdict.DIFFERS)
        yield name, (verified, len(verdicts) - verified - differ, differ)


def summary(report: ConformanceReport) -> str:
    """Return the counts of a report in one line."""
    counted = ", ".join(f"{count} {verdict.value}" for verdict in FactVerdict if (count := report.counts()[verdict]))
    return f"{len(report.results)} facts: {counted}."


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())
