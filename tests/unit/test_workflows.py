"""The workflows of GitHub and what belongs to them: valid, pinned, with least rights, and complete."""

from __future__ import annotations

import fnmatch
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import release_notes

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
OWN = {f"./.github/workflows/{file.name}" for file in WORKFLOWS}
RETIRED = ("ubuntu-18.04", "ubuntu-20.04", "windows-2016", "windows-2019", "macos-11", "macos-12", "macos-13")


@pytest.mark.parametrize(
    ("schema", "files"),
    [
        ("vendor.github-workflows", WORKFLOWS),
        ("vendor.dependabot", [ROOT / ".github" / "dependabot.yml"]),
    ],
)
def test_files_follow_their_schema(schema: str, files: list[Path]) -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, *map(str, files)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.stem)
def test_actions_are_pinned_and_jobs_end_and_have_few_rights(file: Path) -> None:
    text = file.read_text("utf-8")
    workflow = yaml.safe_load(text)
    assert workflow["permissions"] == {"contents": "read"}
    for used in re.findall(r"uses: (.*)", text):
        assert used in OWN or re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v[\d.]+", used), used
    for job in workflow["jobs"].values():
        assert job.get("uses") in OWN or job["timeout-minutes"] <= 30
    assert not [image for image in RETIRED if image in text]


def triggers(name: str) -> set[str]:
    """Return the events that start a workflow. YAML reads the key `on` as true."""
    return set(yaml.safe_load((ROOT / ".github" / "workflows" / name).read_text("utf-8"))[True])


def test_a_release_calls_windows_because_its_own_event_starts_nothing() -> None:
    text = (ROOT / ".github" / "workflows" / "release.yml").read_text("utf-8")
    assert 'GH_TOKEN: "${{ github.token }}"' in text
    assert [file.name for file in WORKFLOWS if "release" in triggers(file.name)] == []
    assert "workflow_call" in triggers("windows.yml")
    jobs = yaml.safe_load(text)["jobs"]
    (called,) = [job for job in jobs.values() if job.get("uses") == "./.github/workflows/windows.yml"]
    assert called["needs"] == "publish"
    assert "needs.publish.result == 'success'" in called["if"]  # also after a build that failed on one platform


def test_every_folder_of_tests_is_in_a_job() -> None:
    text = (ROOT / ".github" / "workflows" / "ci.yml").read_text("utf-8")
    folders = {file.parent.relative_to(ROOT).parts[1] for file in (ROOT / "tests").rglob("test_*.py")}
    assert {folder for folder in folders if f"tests/{folder}" not in text} == set()


def test_pytest_finds_every_folder_of_tests(pytestconfig: pytest.Config) -> None:
    folders = {parent.name for file in (ROOT / "tests").rglob("test_*.py") for parent in file.parents}
    left_out = [pattern for pattern in pytestconfig.getini("norecursedirs") if fnmatch.filter(folders, pattern)]
    assert left_out == []


def test_every_file_with_the_engine_is_in_one_shard() -> None:
    text = (ROOT / ".github" / "workflows" / "ci.yml").read_text("utf-8")
    shards = re.findall(r"- (tests/e2e/\S+)", text)
    files = {file.name: 0 for file in (ROOT / "tests" / "e2e").glob("test_*.py")}
    for shard in shards:
        for file in ROOT.glob(shard):
            files[file.name] += 1
    assert set(files.values()) == {1}


def test_every_folder_with_engine_tests_is_in_the_job_of_the_engine() -> None:
    job = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text("utf-8"))["jobs"]["engine"]
    files = (file for file in (ROOT / "tests").rglob("*.py") if "pytest.mark.engine" in file.read_text("utf-8"))
    folders = {file.relative_to(ROOT / "tests").parts[0] for file in files} - {"unit"}
    run = " ".join(job["strategy"]["matrix"]["tests"])
    assert {folder for folder in folders if f"tests/{folder}" not in run} == set()


def test_the_oldest_promised_engine_has_a_job_that_builds_it_once() -> None:
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text("utf-8"))["jobs"]
    (steps,) = [job["steps"] for job in jobs.values() if any(step.get("run") == "make oldest" for step in job["steps"])]
    cached = [step["with"]["path"] for step in steps if step.get("uses", "").startswith("actions/cache@")]
    assert cached == [".cache/bin", ".cache/bin-oldest"]


def test_every_python_has_a_job() -> None:
    job = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text("utf-8"))["jobs"]["pythons"]
    (pythons,) = re.findall(r'"PYTHONS", "(.*)"', (ROOT / "noxfile.py").read_text("utf-8"))
    assert job["strategy"]["matrix"]["python"] == pythons.split()


def test_notes_are_those_of_one_version() -> None:
    changelog = "# Changelog\n\n## Unreleased\n\n- new\n\n## 1.2.0 - 2026-01-02\n\n- two\n\n## 1.1.0\n\n- one\n"
    assert release_notes.notes(changelog, "1.2.0") == "- two"
    assert release_notes.notes(changelog, "1.1.0") == "- one"
    for missing in ("1.2", "2.0.0"):
        with pytest.raises(LookupError):
            release_notes.notes(changelog, missing)
