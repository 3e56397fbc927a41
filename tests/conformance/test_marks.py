"""Each assumption in the source names the fact that tests it, and the page of open facts is current."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import not_verified
from avma_conformance.fact import Effect
from avma_conformance.facts import FACTS

ROOT = Path(__file__).parents[2]
MARK = re.compile(r"\binferred\b(?: \(([a-z0-9, \n#-]+)\))?:?", re.IGNORECASE)
SOURCES = "avma_conformance/facts"
"""In facts, the word is about the source of the fact itself."""


def marks() -> Iterator[tuple[str, str]]:
    """Yield each mark in the source: its place, and the names of its facts."""
    for folder in ("provider", "tools"):
        for file in sorted(each for kind in ("py", "ps1") for each in (ROOT / folder).rglob(f"*.{kind}")):
            if SOURCES in file.as_posix() or file.name == "not_verified.py":
                continue
            text = file.read_text("utf-8")
            for found in MARK.finditer(text):
                place = f"{file.relative_to(ROOT)}:{text.count(chr(10), 0, found.start()) + 1}"
                yield place, found[1] or ""


def test_each_assumption_names_its_facts() -> None:
    known = {fact.name for fact in FACTS}
    wrong = [
        (place, names) for place, names in marks() if not names or not set(re.split(r"[,\s#]+", names)) - {""} <= known
    ]
    assert wrong == []


def test_names_are_unique_and_each_fact_has_a_statement_and_a_source() -> None:
    names = [fact.name for fact in FACTS]
    assert len(names) == len(set(names))
    assert [fact.name for fact in FACTS if not fact.statement.endswith(".") or not fact.source] == []
    assert [fact.name for fact in FACTS if bool(fact.by_hand) is not (fact.effect is Effect.MANUAL)] == []


def test_the_page_of_open_facts_is_current() -> None:
    assert not_verified.PAGE.read_text("utf-8") == not_verified.page()


def test_a_report_of_a_real_machine_confirms_a_fact(tmp_path: Path) -> None:
    facts = [{"name": "one", "verdict": "holds"}, {"name": "two", "verdict": "differs"}]
    for name, simulated in (("real", False), ("simulated", True)):
        document = {
            "windows": {"simulated": simulated},
            "facts": [{**each, "name": name + each["name"]} for each in facts],
        }
        (tmp_path / f"{name}.json").write_text(json.dumps(document))
    assert not_verified.confirmed(tmp_path.glob("*.json")) == {"realone"}
