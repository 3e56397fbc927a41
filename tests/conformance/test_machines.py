"""The tests of facts against the machines of a host list: skips, options and reports."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from avma_simulator import EstateServer, load_estate, running
from conformance import targets
from loopback import relocated

ROOT = Path(__file__).parents[2]
_OTHERS = 50
"""Added to the last number of each address, because other simulated machines listen on those of `targets`."""
_HOST = relocated(targets.MACHINES["evaluation"], _OTHERS)


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EstateServer]:
    file = tmp_path_factory.mktemp("machines") / "estate.yaml"
    file.write_text(relocated(targets.ESTATE, _OTHERS), encoding="utf-8")
    with running(load_estate(file)) as server:
        yield server


def run(tmp_path: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run the facts about Identify and add-ons with pytest."""
    hosts = tmp_path / "hosts.yaml"
    hosts.write_text(
        f"settings: {{username: {targets.ACCOUNT}, https: false}}\nhosts: [{{host: {_HOST}, vm: app22}}]\n", "utf-8"
    )
    words = ("-q", "-rs", "-p", "no:cacheprovider", "--machines", hosts, *arguments)
    return subprocess.run(
        [sys.executable, "-m", "pytest", "tests/conformance/test_facts.py", *map(str, words)],
        cwd=ROOT,
        env={**os.environ, "AVMA_PASSWORD": targets.PASSWORD},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_a_fact_without_an_observation_is_skipped_with_its_reason(machine: EstateServer, tmp_path: Path) -> None:
    found = run(tmp_path, "-k", "confirms and (text-that-is-no-key or node-lists or identify-reports)")
    assert found.returncode == 0, found.stdout + found.stderr
    assert "not run: it makes a change that Windows rejects" in found.stdout
    assert "not here: " in found.stdout
    assert "3 passed" not in found.stdout


def test_a_run_writes_reports_without_the_name_of_the_machine(machine: EstateServer, tmp_path: Path) -> None:
    found = run(tmp_path, "-k", "confirms and identify-reports", "--report", tmp_path / "reports")
    assert found.returncode == 0, found.stdout + found.stderr
    files = sorted(file.name for file in (tmp_path / "reports").iterdir())
    assert [Path(name).suffix for name in files] == [".json", ".md"]
    text = (tmp_path / "reports" / files[0]).read_text("utf-8")
    assert json.loads(text)["counts"]["holds"] > 0
    assert [secret for secret in (_HOST, targets.PASSWORD) if secret in text + "".join(files)] == []


@pytest.mark.parametrize("name", ["no-such-fact", "locked-account-is-401"])
def test_a_fact_to_spend_must_exist_and_have_an_observation(tmp_path: Path, name: str) -> None:
    found = run(tmp_path, "--spend", name)
    assert (found.returncode, name in found.stderr) == (4, True), found.stdout
