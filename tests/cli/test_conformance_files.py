"""The files of `avma conformance`: checked before the run, all written, and also after Ctrl-C."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from avma_conformance import facts
from avma_conformance.fact import Area, Observation, equal, fact
from avma_conformance.subject import Subject
from avma_simulator import EstateServer
from cli.estate import HEALTHY, PLAIN
from cli.test_conformance import conformance

SPENDING = "same-key-again-changes-nothing"


@fact(Area.WSMAN, "no source")
def counted(subject: Subject) -> Observation:
    """A machine is counted."""
    return equal(1, len(subject.query("SELECT Version FROM Win32_OperatingSystem")))


@fact(Area.WSMAN, "no source")
def interrupted(subject: Subject) -> Observation:
    """A user stops the run."""
    raise KeyboardInterrupt


@pytest.fixture
def only(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Replace the facts."""
    return lambda *chosen: monkeypatch.setattr(facts, "FACTS", chosen)


def test_a_file_that_cannot_be_written_ends_the_command_before_the_run(
    shared: EstateServer, tmp_path: Path, only: Callable[..., None]
) -> None:
    only(interrupted)
    kept = tmp_path / "r.md"
    found = conformance(HEALTHY, PLAIN, "--markdown", kept, "--json", tmp_path / "none" / "r.json", code=2)
    assert "--json: cannot write" in found.stderr
    assert not kept.exists()


def test_a_file_that_fails_does_not_cost_the_others(
    shared: EstateServer, tmp_path: Path, only: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    only(counted)
    write = Path.write_text

    def full(path: Path, *given: Any, **named: Any) -> int:
        if path.name == "full.json":
            raise OSError(28, "No space left on device")
        return write(path, *given, **named)

    monkeypatch.setattr(Path, "write_text", full)
    outputs = ("--json", tmp_path / "full.json", "--markdown", tmp_path / "r.md", "--record", tmp_path / "r.jsonl")
    found = conformance(HEALTHY, PLAIN, *outputs, code=1)
    assert "--json: cannot write" in found.stderr
    assert "No space left" in found.stderr
    assert "counted" in (tmp_path / "r.md").read_text("utf-8")
    assert (tmp_path / "r.jsonl").stat().st_size > 0


def test_a_stopped_run_writes_its_report_and_its_recording(
    shared: EstateServer, tmp_path: Path, only: Callable[..., None]
) -> None:
    only(counted, interrupted, counted)
    conformance(HEALTHY, PLAIN, "--json", tmp_path / "r.json", "--record", tmp_path / "r.jsonl", code=130)
    document = json.loads((tmp_path / "r.json").read_text("utf-8"))
    assert [each["verdict"] for each in document["facts"]] == ["holds", "not run", "not run"]
    assert "was stopped" in document["notes"][0]
    assert (tmp_path / "r.jsonl").stat().st_size > 0


@pytest.mark.parametrize(("first", "second"), [("--json", "--markdown"), ("--html", "--record")])
def test_two_options_with_one_file_are_wrong_usage(tmp_path: Path, first: str, second: str) -> None:
    found = conformance(HEALTHY, first, tmp_path / "r", second, tmp_path / "x" / ".." / "r", code=2)
    assert f"is also the file of {first}" in found.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--only", "identify", "--spend", SPENDING), f"--only leaves out {SPENDING}"),
        (("--spend", "locked-account-is-401"), "is a question"),
        (("--spend", "nobody"), "there is no fact nobody"),
    ],
)
def test_a_fact_to_spend_must_be_able_to_run(arguments: tuple[str, ...], said: str) -> None:
    assert said in conformance(HEALTHY, *arguments, code=2).stderr
