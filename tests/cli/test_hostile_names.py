"""Names from machines cannot control a terminal, and are no markup or formulas."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from avma.characters import visible
from avma_cli.__main__ import app
from avma_simulator import load_estate, running
from cli.estate import ADMINISTRATOR, PASSWORD
from loopback import address

HOST = address(131)
CLEAR_SCREEN, REVERSED, NEXT_LINE = "\x9b2J", "\u202e", "\x85"
NAMES = (
    f"web{CLEAR_SCREEN}01",
    f"{REVERSED}10bew",
    f"web{NEXT_LINE}02",
    "<script>alert(1)</script>",
    "=1+1",
    "[link=file:///etc/passwd]web[/link]",
    "web\u200b03",
)
"""XML carries no other control characters. Rich would take the brackets as markup."""


@pytest.fixture
def listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A host list with one host, whose VMs have these names."""
    monkeypatch.setenv("AVMA_USERNAME", ADMINISTRATOR)
    monkeypatch.setenv("AVMA_PASSWORD", PASSWORD)
    vms = [{"name": f"vm{number}", "version": "2022", "edition": "Standard"} for number in range(len(NAMES))]
    host = {"name": "q7", "version": "2022", "edition": "Datacenter", "address": HOST, "http": {"port": 5985}}
    estate = {"hosts": [{**host, "username": ADMINISTRATOR, "password": PASSWORD, "vms": vms}]}
    (tmp_path / "estate.yaml").write_text(yaml.safe_dump(estate), encoding="utf-8")
    (tmp_path / "hosts.yaml").write_text(yaml.safe_dump({"hosts": [HOST]}), encoding="utf-8")
    loaded = load_estate(tmp_path / "estate.yaml")
    pairs = zip(loaded.hosts[0].vms, NAMES, strict=True)
    # The estate file accepts only printable names.
    renamed = [vm.model_copy(update={"name": name}) for vm, name in pairs]
    with running(loaded.model_copy(update={"hosts": [loaded.hosts[0].model_copy(update={"vms": renamed})]})):
        yield tmp_path / "hosts.yaml"


def run(*arguments: object) -> str:
    return CliRunner().invoke(app, [*map(str, arguments), "--no-https"], env={"COLUMNS": "400"}).output


def test_no_output_controls_the_terminal(listed: Path) -> None:
    page = listed.with_suffix(".html")
    outputs = {
        "doctor": run("-vv", "doctor", HOST),
        "tables": run("-vv", "report", listed, "--html", page),
        "csv": run("report", listed, "--csv"),
        "json": run("report", listed, "--json"),
        "page": page.read_text(encoding="utf-8"),
    }
    for name, text in outputs.items():
        assert text == visible(text), name
        assert "web" in text, name
    assert "<script>alert" not in outputs["page"]
    assert "[link=file" in outputs["tables"]
    assert "\n=1+1" not in outputs["csv"]
    assert ",=1+1" not in outputs["csv"]
    assert "=1+1" in json.dumps(json.loads(outputs["json"]))
