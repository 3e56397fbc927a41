"""The committed results of the benchmarks, and the rules of their table."""

from __future__ import annotations

import json
import re

import pytest

from benchmarks import page, rows
from benchmarks.__main__ import MEASURES
from benchmarks.rows import Row, latest


def test_the_committed_results_are_those_of_the_measures() -> None:
    results = latest()
    assert set(results.groups) <= set(MEASURES)
    assert {"cores", "cpu", "system", "python", "grpcio", "pulumi"} == set(results.machine)
    for group in results.groups.values():
        assert group.rows
        assert len(group.load) == 3
        assert all(row.ours >= 0 and row.baseline != 0 for row in group.rows)


def test_the_page_shows_the_committed_results() -> None:
    assert page.page(latest()) == page.PAGE.read_text()


def test_every_measure_has_a_place_on_the_page() -> None:
    places = re.findall(r"<!-- results: (.*) -->", page.PAGE.read_text())
    assert sorted(name for place in places for name in place.split(", ")) == sorted([*MEASURES, "machine"])


def test_the_results_name_no_host_and_no_path() -> None:
    machine = json.loads(rows.LATEST.read_text())["machine"]
    assert not [value for value in machine.values() if "/" in str(value)]


@pytest.mark.parametrize(
    ("row", "cells"),
    [
        (Row("pools", 3, "pools", 4), ("pools", "", "3 pools", "4 pools", "yes")),
        (Row("pools", 4001, "pools", 4), ("pools", "", "4001 pools", "4 pools", "no")),
        (Row("start", 0.18, "s", 1.4, 0.1, "Go"), ("start", "Go: 0.1 s", "**1.8 x** (0.18 s)", "1.4 x", "no")),
        (Row("start", 0.14004, "s", 1.4, 0.1, "Go"), ("start", "Go: 0.1 s", "**1.4 x** (0.14 s)", "1.4 x", "yes")),
        (Row("requests", 9, "", 10, note="3 handshakes"), ("requests", "", "9 (3 handshakes)", "10", "yes")),
        (Row("memory", 99.6, "MB"), ("memory", "", "99.6 MB", "", "")),
    ],
)
def test_a_row_shows_a_ratio_if_it_has_a_baseline(row: Row, cells: tuple[str, ...]) -> None:
    assert row.cells() == cells
