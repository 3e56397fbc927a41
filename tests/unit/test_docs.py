"""The pages: generated pages are fresh, links work, and programs and estate files are valid."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import programs
import reference
import rights
import troubleshooting
from avma.functions import FUNCTIONS
from avma.functions.function import Function
from avma.resources import RESOURCES
from avma.resources.resource import Resource
from avma.wording import camel_case
from avma_simulator import load_estate
from pulumi_resource_avma import GO_MODULE

ROOT = Path(__file__).parents[2]
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md")]


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", (ROOT / page).read_text(), re.MULTILINE | re.DOTALL)


def test_the_reference_matches_the_schema():
    generated = reference.pages(json.loads((ROOT / "schema.json").read_text()))
    committed = [reference.DOCS / "reference.md", *(reference.DOCS / "reference").iterdir()]
    assert {str(page.relative_to(reference.DOCS)): page.read_text() for page in committed} == generated


def test_every_resource_and_function_has_a_page_with_programs_in_all_languages_and_its_import():
    pages = reference.pages(json.loads((ROOT / "schema.json").read_text()))
    kinds: list[Resource | Function] = [*RESOURCES, *FUNCTIONS]
    for kind in kinds:
        page = pages[f"reference/{camel_case(kind.name)}.md"]
        examples = page.count("\n### ")
        assert examples
        assert [page.count(f"\n```{language}\n") for language in programs.LANGUAGES.values()] == [examples] * 5
        assert page.count(f"pulumi import avma:index:{kind.name} ") == len(getattr(kind, "imports", ()))


def test_the_troubleshooting_page_is_what_the_errors_say():
    assert troubleshooting.PAGE.read_text() == troubleshooting.page()


def test_the_page_of_rights_is_its_table():
    assert rights.PAGE.read_text() == rights.page()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    text = page.read_text()
    for target in re.findall(r"\]\(([^)]+)\)", text):
        if target.startswith("https://"):
            continue
        path, _, anchor = target.partition("#")
        file = page.parent / path if path else page
        assert file.exists(), target
        assert not anchor or anchor in anchors(file.read_text()), target


def anchors(text):
    """Return the anchors of a page's sections, as GitHub creates them."""
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


def test_the_readmes_program_is_short():
    program, _estate = blocks("README.md", "yaml")
    assert len(program.splitlines()) <= 15


def test_the_estate_in_the_simulators_page_is_valid(tmp_path):
    (estate,) = blocks("docs/simulator.md", "yaml")
    file = tmp_path / "estate.yaml"
    file.write_text(estate)
    assert load_estate(file).hosts[0].name == "hv01"


def test_every_text_names_the_same_repository():
    pages = [*PAGES, ROOT / "PulumiPlugin.yaml", *(ROOT / "tests" / "sdk" / "programs" / "go").glob("*.[gm]o*")]
    named = {page: set(re.findall(r"github\.com/[\w-]+/pulumi-avma", page.read_text())) for page in pages}
    expected = GO_MODULE.removesuffix("/sdk/go")
    assert {page: names for page, names in named.items() if names - {expected}} == {}
    assert not [page for page in pages if "example.com/pulumi-avma" in page.read_text()]


def test_the_promised_engine_is_the_one_that_the_tests_can_build():
    (oldest,) = re.findall(r"^oldest=([\d.]+)", (ROOT / "tools" / "pulumi-cli").read_text(), re.MULTILINE)
    built = re.findall(r"pulumi/pkg/v3 v(\S+)", (ROOT / "tools" / "pulumi-oldest" / "go.mod").read_text())
    assert built == [oldest]
    promised = oldest.rpartition(".")[0]
    for page in ("README.md", "CONTRIBUTING.md", "docs/how-to/first-host.md"):
        assert f"{promised} or newer" in (ROOT / page).read_text(), page


def test_the_tests_on_the_page_about_reliability_exist():
    named = re.findall(r"tests/[\w/]+(?:\.py)?", (ROOT / "docs" / "reliability.md").read_text())
    assert len(named) > 10
    assert [path for path in named if not (ROOT / path).exists()] == []
