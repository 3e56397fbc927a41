"""The HTML page of `avma report` in a headless browser, without a network."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from avma_simulator import EstateServer
from report.conftest import report, written
from report.contrast import CONTRAST
from report.estate import CLUSTER, GUEST_PASSWORD, LIST, NOBODY, PASSWORD

if TYPE_CHECKING:
    from playwright import sync_api
else:
    sync_api = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium")

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium; tools/chromium installs it")


@pytest.fixture(scope="module")
def html(shared: EstateServer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of the simulated machines, with one machine that is down."""
    folder = tmp_path_factory.mktemp("page")
    estate = written(folder / "estate.yaml", LIST.replace("hosts:", f"hosts:\n  - {NOBODY}"))
    accounts = {"AVMA_PASSWORD": PASSWORD, "AVMA_GUEST_PASSWORD": GUEST_PASSWORD}
    report(estate, "-q", "--html", folder / "report.html", code=3, **accounts)
    return folder / "report.html"


@pytest.fixture(scope="module")
def browser() -> Iterator[sync_api.Browser]:
    with sync_api.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def opened(browser: sync_api.Browser, html: Path) -> Iterator[Callable[..., sync_api.Page]]:
    """Return a function that opens the page. The page must cause no errors and no other requests."""
    contexts: list[sync_api.BrowserContext] = []
    said: list[str] = []
    asked: list[str] = []

    def open_page(**options: Any) -> sync_api.Page:
        contexts.append(browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options}))
        page = contexts[-1].new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(html.as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert said == []
    assert set(asked) == {html.as_uri()}


def names(page: sync_api.Page, table: str) -> list[str]:
    """Return the first column of the visible rows."""
    heads = page.locator(f"#{table} tbody tr:visible th")
    return [text.split("\n")[0] for text in heads.all_inner_texts()]


def test_filter(opened: Callable[..., sync_api.Page]) -> None:
    page = opened()
    assert len(names(page, "vms")) == 7
    page.get_by_label("Filter").fill("n2 DATACENTER")
    assert names(page, "vms") == ["mail"]
    assert names(page, "hosts") == ["n2"]
    assert page.locator("output").inner_text() == "1 of 5 hosts, 1 of 7 virtual machines"
    page.get_by_role("button", name="Clear").click()
    page.locator("output").get_by_text("7 of 7").wait_for()
    assert len(names(page, "vms")) == 7
    page.locator("#kind").select_option("Down")
    assert names(page, "hosts") == [NOBODY]
    assert names(page, "vms") == []


def test_sort(opened: Callable[..., sync_api.Page]) -> None:
    page = opened()
    column = page.locator("#vms thead th").first
    button = column.get_by_role("button")
    button.click()
    assert column.get_attribute("aria-sort") == "ascending"
    assert names(page, "vms") == ["<b>odd & 'named'</b>", "mail", "payroll", "sleeper", "stranger", "web9", "web10"]
    button.click()
    assert column.get_attribute("aria-sort") == "descending"
    assert names(page, "vms")[:2] == ["web10", "web9"]
    page.locator("#vms").get_by_role("button", name="Activated by").click()
    assert column.get_attribute("aria-sort") is None
    assert names(page, "vms")[:3] == ["web10", "payroll", "mail"]  # unknown values come last


def test_keyboard(opened: Callable[..., sync_api.Page]) -> None:
    page = opened()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the report"
    page.locator("#hosts thead button").first.focus()
    page.keyboard.press("Enter")
    assert names(page, "hosts")[0] == NOBODY
    page.keyboard.press("Space")
    assert names(page, "hosts")[0] == "n3"


def test_without_scripts_it_is_plain_tables(opened: Callable[..., sync_api.Page]) -> None:
    page = opened(java_script_enabled=False)
    assert len(names(page, "vms")) == 7
    assert page.locator("form").is_hidden()
    assert page.locator("thead button").count() == 0
    assert page.locator("#map").get_by_text("payroll").is_visible()


def test_the_cluster_map_shows_nodes_and_their_vms(opened: Callable[..., sync_api.Page]) -> None:
    page = opened()
    boxes = page.locator(".cluster")
    assert boxes.locator("h3").all_inner_texts() == [f"Cluster {CLUSTER}", "Hosts without a cluster"]
    node = boxes.first.locator(".nodes > li").nth(1)
    assert node.locator(".chip").all_text_contents() == ["✓ mail Activated", "○ sleeper Off", "? stranger Not read"]


def test_the_matrix(opened: Callable[..., sync_api.Page]) -> None:
    row = opened().get_by_role("row", name="Host 2022")
    assert row.get_by_role("cell").all_inner_texts() == ["✓ yes · 1 VM", "✓ yes", "✓ yes", "✓ yes", "✗ no"]


def test_a_machine_that_is_down_needs_attention(opened: Callable[..., sync_api.Page]) -> None:
    found = opened().get_by_role("region", name="Needs attention").get_by_role("listitem")
    assert any(f"host {NOBODY} — Down: the connection was refused" in text for text in found.all_inner_texts())


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast_and_picture(opened: Callable[..., sync_api.Page], scheme: str) -> None:
    page = opened(color_scheme=scheme)
    found = page.evaluate(CONTRAST)
    assert found["seen"] > 100
    assert found["low"] == []
    assert (int(re.findall(r"\d+", found["ground"])[0]) < 128) == (scheme == "dark")
    assert len(page.screenshot(full_page=True)) > 10_000


def test_a_narrow_screen_needs_no_sideways_scrolling(opened: Callable[..., sync_api.Page]) -> None:
    page = opened(viewport={"width": 360, "height": 700})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


class _Tables(HTMLParser):
    """A parser for the data of screen readers: captions, and the scope of each header cell."""

    def __init__(self) -> None:
        super().__init__()
        self.tables = self.captions = 0
        self.scopes: list[str | None] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tables += tag == "table"
        self.captions += tag == "caption"
        if tag == "th":
            self.scopes.append(dict(attrs).get("scope"))


def test_tables_have_captions_and_scopes(html: Path) -> None:
    found = _Tables()
    found.feed(html.read_text(encoding="utf-8"))
    assert (found.tables, found.captions) == (3, 3)
    assert set(found.scopes) == {"col", "row"}


def test_names_of_machines_are_text_and_nothing_is_loaded(html: Path) -> None:
    text = html.read_text(encoding="utf-8")
    assert "<b>odd" not in text
    assert "&lt;b&gt;odd &amp; " in text
    assert not re.search(r"""(?:src|href)=["'](?!#)|url\(|@import""", text)
