"""Reports and the page: verdicts by Windows, escaped texts, and files that are no reports."""

from __future__ import annotations

import json
import re

import pytest

from avma.recording.recorder import Anonymous
from avma_conformance import page
from avma_conformance.fact import Area, Effect, Fact, On, equal
from avma_conformance.report import ConformanceReport, report_of, to_json, to_markdown
from avma_conformance.suite import FactResult, FactVerdict, Windows

FACTS = tuple(
    Fact(name, Area.WSMAN, f"A statement about {name}.", "a <source>", Effect.READS, On.WINDOWS, lambda _: equal(1, 1))
    for name in ("first", "second", "third")
)
ANSWERS = (FactVerdict.HOLDS, FactVerdict.DIFFERS, FactVerdict.NOT_HERE)


def report(build: int, simulated: bool = False) -> ConformanceReport:
    results = [
        FactResult(fact, verdict, "one", "two | <b>three</b>") for fact, verdict in zip(FACTS, ANSWERS, strict=True)
    ]
    return report_of("1.2.3", Windows("Windows Server 2022 Datacenter", build, simulated), results, Anonymous([]))


def cells(html: str) -> list[list[str]]:
    """Return the words in the cells of each row."""
    rows = re.findall(r"<tr><th scope=\"row\">.*?</tr>", html.partition("</table>")[2], re.DOTALL)
    return [re.findall(r"<td><span class=\"\w+\">([\w ]+)</span>", row) for row in rows]


def test_the_page_has_a_column_for_each_windows() -> None:
    columns = [page.column(to_json(report(build, build == 3))) for build in (1, 2, 3)]
    html = page.page("1.2.3", FACTS, columns)
    assert cells(html) == [
        ["verified", "verified", "simulator only"],
        ["differs", "differs", "differs"],
        ["open", "open", "open"],
    ]
    assert re.findall(r"<dt>(\w+)</dt><dd>(\d+)</dd>", html) == [("facts", "3"), ("verified", "1"), ("differ", "1")]


def test_answers_are_text_on_the_page() -> None:
    html = page.page("1.2.3", FACTS, [page.column(to_json(report(1)))])
    assert "<b>three" not in html
    assert "a <source>" not in html
    assert "&lt;b&gt;three&lt;/b&gt;" in html
    assert "script" not in html


def test_a_fact_without_a_report_is_open() -> None:
    assert cells(page.page("1.2.3", FACTS, [])) == [[], [], []]
    unknown = json.loads(to_json(report(1)))
    unknown["facts"] = []
    assert cells(page.page("1.2.3", FACTS, [page.column(json.dumps(unknown))])) == [["open"], ["open"], ["open"]]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": "other"}', '{"format": "avma conformance 1"}', "\x00"])
def test_another_file_is_not_a_report(text: str) -> None:
    with pytest.raises(page.NotAReport):
        page.column(text)


def test_markdown_shows_the_differences_first_and_keeps_its_tables() -> None:
    text = to_markdown(report(20348))
    assert text.startswith("# Conformance of Windows Server 2022 Datacenter, build 20348\n")
    assert "pulumi-avma 1.2.3. 3 facts: 1 holds, 1 differs, 1 not here." in text
    assert text.index("## second") < text.index("## WS-Management")
    rows = [
        line
        for line in text.partition("## WS-Management")[2].splitlines()
        if line.startswith("| ") and not line.startswith("| fact")
    ]
    assert [line.replace("\\|", "").count("|") for line in rows] == [5, 5, 5]


def test_reports_and_the_page_have_numbers_by_area() -> None:
    for simulated, verified in ((False, 1), (True, 0)):
        numbers = (verified, 2 - verified, 1)
        shown = " | ".join(map(str, numbers))
        assert f"| WS-Management | {shown} |\n| all | {shown} |" in to_markdown(report(1, simulated))
        document = json.loads(to_json(report(1, simulated)))
        expected = dict(zip(("verified", "open", "differs"), (verified, 2 - verified, 1), strict=True))
        assert document["areas"] == [{"area": name, **expected} for name in ("WS-Management", "all")]
    html = page.page("1.2.3", FACTS, [page.column(to_json(report(build, build == 3))) for build in (1, 3)])
    (table,) = re.findall(r'<table id="numbers">.*?</table>', html, re.DOTALL)
    assert re.findall(r"<td>(\d+)</td>", table) == ["1", "1", "1"] * 2
