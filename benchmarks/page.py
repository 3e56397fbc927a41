"""The page of the documentation with the results. Only its tables are generated, from the file of the last results."""

from __future__ import annotations

import re

from benchmarks import ROOT
from benchmarks.rows import Results, markdown, table

PAGE = ROOT / "docs" / "performance.md"
_TABLE = re.compile(r"(<!-- results: (\w+(?:, \w+)*) -->\n).*?(?=<!-- end of results -->)", re.DOTALL)


def page(results: Results) -> str:
    """Return the text of the page with these results in its tables."""

    def filled(place: re.Match[str]) -> str:
        names = place[2].split(", ")
        content = _machine(results) if names == ["machine"] else _rows(results, names)
        return f"{place[1]}\n{content}\n\n"

    return _TABLE.sub(filled, PAGE.read_text())


def _rows(results: Results, names: list[str]) -> str:
    return table(row for name in names if name in results.groups for row in results.groups[name].rows)


def _machine(results: Results) -> str:
    names = {"cpu": "CPU", "python": "Python"}
    rows = ((names.get(name, name), str(value)) for name, value in results.machine.items())
    return markdown(("part", "value"), rows)
