"""The pages: generated ones are fresh, links lead somewhere, programs and estates in them are valid."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

import reference
from avma.properties import properties
from avma.resources import RESOURCES
from avma_simulator import load_estate

ROOT = Path(__file__).parents[2]
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md")]


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", (ROOT / page).read_text(), re.MULTILINE | re.DOTALL)


def test_the_reference_page_is_what_the_schema_says():
    schema = json.loads((ROOT / "schema.json").read_text())
    assert reference.PAGE.read_text() == reference.page(schema)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    text = page.read_text()
    anchors = {
        re.sub(r"[^\w -]", "", h).strip().lower().replace(" ", "-") for h in re.findall(r"^#+ (.*)$", text, re.M)
    }
    for target in re.findall(r"\]\(([^)]+)\)", text):
        if target.startswith("#"):
            assert target[1:] in anchors
        elif not target.startswith("https://"):
            assert (page.parent / target.partition("#")[0]).exists(), target


def test_the_readmes_program_is_valid_and_short():
    (program,) = blocks("README.md", "yaml")
    assert len(program.splitlines()) <= 15
    resources = {f"avma:{resource.name}": resource for resource in RESOURCES}
    for declared in yaml.safe_load(program)["resources"].values():
        names = {prop.name for prop in properties(resources[declared["type"]].inputs)}
        assert set(declared["properties"]) <= names


def test_the_estate_in_the_simulators_page_is_valid(tmp_path):
    (estate,) = blocks("docs/simulator.md", "yaml")
    file = tmp_path / "estate.yaml"
    file.write_text(estate)
    assert load_estate(file).hosts[0].name == "hv01"
