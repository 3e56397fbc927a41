"""`avma jea`: the files, the next commands, and wrong options."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from avma_cli.__main__ import app
from avma_simulator.state.session_configurations import load


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["jea", *arguments])
    return result.exit_code, result.output


def test_the_simulator_accepts_the_files(tmp_path: Path) -> None:
    code, said = run(str(tmp_path / "new"), "--account", "LAB\\svc-avma", "--account", "LAB\\müller")
    assert code == 0
    found = load(str(tmp_path / "new" / "avma.pssc"))
    assert found.accounts == ("LAB\\svc-avma", "LAB\\müller")
    assert set(found.functions.values()) == {("cim-in-guest", "4"), ("license-lock", "2")}
    assert "Register-PSSessionConfiguration -Name avma -Path .\\avma.pssc" in said
    assert "pulumi config set avma:configurationName avma" in said


def test_the_files_are_for_windows_powershell(tmp_path: Path) -> None:
    run(str(tmp_path), "--account", "LAB\\svc-avma", "--azure-local")
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) == 4
    for path in files:
        data = path.read_bytes()
        assert data.startswith(b"\xef\xbb\xbf")
        assert data.count(b"\n") == data.count(b"\r\n")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--account", "LAB\\a", "--name", "a/b"], "--name"),
        (["--account", " "], "--account"),
        (["--account", "a\nb"], "--account"),
        (["--account", "a", "--hyper-v-group", ""], "--hyper-v-group"),
        ([], "--account"),
    ],
)
def test_wrong_options_write_nothing(tmp_path: Path, arguments: list[str], named: str) -> None:
    code, said = run(str(tmp_path / "new"), *arguments)
    assert code == 2
    assert named in said
    assert not (tmp_path / "new").exists()


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    code, said = run(str(tmp_path / "file" / "folder"), "--account", "LAB\\a")
    assert code == 1
    assert "cannot write" in said
