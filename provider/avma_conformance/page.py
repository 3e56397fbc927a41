"""The facts as one self-contained page: by area, verified or open, with a column for each Windows.

The page needs no network and no JavaScript. Every text is escaped, and its Content-Security-Policy allows only its own
style.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib import resources
from string import Template

from avma_conformance.fact import Area, Fact
from avma_conformance.report import FORMAT
from avma_conformance.suite import FactVerdict


class NotAReport(Exception):
    """A file is not a report of this suite."""


@dataclass(frozen=True)
class Column:
    """The results on one machine: the name of its Windows, and the verdict and the found value of each fact."""

    windows: str
    simulated: bool
    results: Mapping[str, tuple[FactVerdict, str]]


def column(text: str) -> Column:
    """Return the results in a JSON report.

    Raises:
        NotAReport: the text is not a JSON report of this suite.
    """
    try:
        document = json.loads(text)
        if document["format"] != FORMAT:
            raise NotAReport(f"its format is not {FORMAT}")
        windows = document["windows"]
        results = {each["name"]: (FactVerdict(each["verdict"]), str(each["found"])) for each in document["facts"]}
        return Column(f"{windows['name']} ({windows['build']})", bool(windows["simulated"]), results)
    except (ValueError, LookupError, TypeError) as error:
        raise NotAReport(f"it is not a JSON report of `avma conformance` ({type(error).__name__})") from None


def page(product: str, facts: Sequence[Fact], columns: Sequence[Column]) -> str:
    """Return the page."""
    style = _file("page.css")
    return Template(_file("page.html")).substitute(
        style=style,
        style_hash=f"sha256-{base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()}",
        product=escape(product),
        tiles="".join(_tiles(facts, columns)),
        numbers=_summary(facts, columns),
        areas="\n".join(_area(area, facts, columns) for area in Area if any(each.area is area for each in facts)),
    )


def _file(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def _tiles(facts: Sequence[Fact], columns: Sequence[Column]) -> Iterator[str]:
    verified, _, differ = _numbers(facts, columns)
    for name, count in (("facts", len(facts)), ("verified", verified), ("differ", differ)):
        yield f"<div><dt>{name}</dt><dd>{count}</dd></div>"


def _summary(facts: Sequence[Fact], columns: Sequence[Column]) -> str:
    """Return the table of numbers by area."""
    heads = "".join(f'<th scope="col">{name}</th>' for name in ("Area", "verified", "open", "differ"))
    groups = [(area.value, [fact for fact in facts if fact.area is area]) for area in Area]
    rows = "".join(
        f'<tr><th scope="row">{escape(name)}</th>'
        f"{''.join(f'<td>{number}</td>' for number in _numbers(own, columns))}</tr>"
        for name, own in (*groups, ("All areas", list(facts)))
        if own
    )
    return (
        '<div class="scroll" tabindex="0" role="region" aria-label="Numbers by area"><table id="numbers">'
        f"<caption>Numbers by area</caption><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _numbers(facts: Sequence[Fact], columns: Sequence[Column]) -> tuple[int, int, int]:
    """Return the numbers of verified, open and different facts. A fact with a difference is not verified."""
    real = [each for each in columns if not each.simulated]
    verdicts = [{_verdict(each, fact) for each in real} for fact in facts]
    differ = sum(FactVerdict.DIFFERS in each for each in verdicts)
    verified = sum(FactVerdict.HOLDS in each and FactVerdict.DIFFERS not in each for each in verdicts)
    return verified, len(facts) - verified - differ, differ


def _verdict(column: Column, fact: Fact) -> FactVerdict | None:
    return column.results.get(fact.name, (None, ""))[0]


def _area(area: Area, facts: Sequence[Fact], columns: Sequence[Column]) -> str:
    heads = "".join(f'<th scope="col">{escape(each.windows)}</th>' for each in columns)
    rows = "\n".join(_row(fact, columns) for fact in facts if fact.area is area)
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(area.value)}">'
        f'<table><caption>{escape(area.value)}</caption><thead><tr><th scope="col">Fact</th>{heads}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _row(fact: Fact, columns: Sequence[Column]) -> str:
    name = f'<th scope="row">{escape(fact.statement)}<small>{escape(fact.name)}. {escape(fact.source)}</small></th>'
    return f"<tr>{name}{''.join(_cell(fact, each) for each in columns)}</tr>"


def _cell(fact: Fact, column: Column) -> str:
    verdict, found = column.results.get(fact.name, (FactVerdict.NOT_RUN, ""))
    if verdict is FactVerdict.HOLDS and column.simulated:
        return _marked("idle", "simulator only", "")
    if verdict is FactVerdict.HOLDS:
        return _marked("good", "verified", "")
    if verdict is FactVerdict.DIFFERS:
        return _marked("bad", "differs", found)
    return _marked("idle", "open", found)


def _marked(kind: str, word: str, found: str) -> str:
    shown = f"<small>{escape(found)}</small>" if found else ""
    return f'<td><span class="{kind}">{word}</span>{shown}</td>'
