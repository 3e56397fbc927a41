"""The programs in docs/programs match the generators, and compile."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import programs
from sdk import go_program, nodejs_package, python_package
from sdk.test_sdk import contents, is_csharp, run

pytestmark = pytest.mark.engine


def laid_out(ending: str) -> dict[str, str]:
    """Return all programs in one language, by valid module names."""
    files = sorted(programs.FOLDER.rglob(f"*{ending}"))
    return {f"{file.parent.name}_{file.stem}".replace("-", "_"): file.read_text("utf-8") for file in files}


@pytest.mark.skipif(not go_program.GO, reason="no go here")
def test_committed_is_what_is_generated(tmp_path: Path) -> None:
    folder = tmp_path / "programs"
    shutil.copytree(
        programs.FOLDER, folder, ignore=lambda _, names: [n for n in names if Path(n).suffix in programs.LANGUAGES]
    )
    programs.generate(folder)
    assert contents(programs.FOLDER) == contents(folder), "run `make docs`"


def test_each_is_there_in_every_language() -> None:
    counts = {ending: len(laid_out(ending)) for ending in (".pp", *programs.LANGUAGES)}
    assert set(counts.values()) == {counts[".pp"]}
    assert counts[".pp"] > 9


def test_python_is_type_checked(tmp_path: Path) -> None:
    package = python_package.prepare(tmp_path / "package")
    files = laid_out(".py")
    for name, text in files.items():
        (tmp_path / f"{name}.py").write_text(text, "utf-8")
    options = ["--config-file=", "--strict", "--follow-imports=silent", "--cache-dir=cache"]
    command = (shutil.which("mypy") or "mypy", *options, *(f"{name}.py" for name in files))
    checked = run(*command, cwd=tmp_path, MYPYPATH=package)
    assert checked.returncode == 0, checked.stdout


def test_typescript_is_compiled(tmp_path: Path) -> None:
    nodejs_package.prepare(tmp_path)
    files = laid_out(".ts")
    for name, text in files.items():
        (tmp_path / f"{name}.ts").write_text(text, "utf-8")
    settings = json.loads((tmp_path / "tsconfig.json").read_text("utf-8"))
    (tmp_path / "tsconfig.json").write_text(
        json.dumps({**settings, "files": [f"{name}.ts" for name in files]}), "utf-8"
    )
    nodejs_package.build(tmp_path)
    assert len(list((tmp_path / "bin").glob("*.js"))) == len(files)


def test_go_is_vetted(tmp_path: Path) -> None:
    go_program.prepare(tmp_path)
    for name, text in laid_out(".go").items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "main.go").write_text(text, "utf-8")
    vetted = go_program.vet(tmp_path, "./...")
    assert vetted.returncode == 0, vetted.stdout


def test_csharp_is_csharp() -> None:
    assert [name for name, text in laid_out(".cs").items() if not is_csharp(text.encode())] == []
