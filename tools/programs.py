"""The programs in docs/programs, the examples of each resource and function, in each language of Pulumi.

Each is written once, in PCL (*.pp), Pulumi's language for examples, and its file's name is its title. `python
tools/programs.py` writes it anew in the other languages, by Pulumi's own generators.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from workspace import ROOT, Workspace

FOLDER = ROOT / "docs" / "programs"
LANGUAGES = {".yaml": "yaml", ".ts": "typescript", ".py": "python", ".go": "go", ".cs": "csharp"}
"""The languages as code blocks name them, by the ending of a program's file."""

_SECRET = re.compile(r'config "(\w+)" "\w+" \{\s*secret = true')
_PROJECT = "name: examples\nruntime: yaml\n"
_AS_IN_MODERN_PROGRAMS = {"configuration": "config"}


def examples() -> Mapping[str, str]:
    """Return the section with examples of each resource and function, in the form of Pulumi's schema."""
    return {folder.name: "\n".join(_section(folder)) for folder in sorted(FOLDER.iterdir())}


def _section(folder: Path) -> Iterator[str]:
    yield "{{% examples %}}\n## Example Usage\n"
    for source in sorted(folder.glob("*.pp")):
        yield f"{{{{% example %}}}}\n### {_title(source)}\n"
        # One that is new has no other language yet: they are generated from the schema, which these examples are for.
        for written in filter(Path.exists, map(source.with_suffix, LANGUAGES)):
            yield f"```{LANGUAGES[written.suffix]}\n{written.read_text('utf-8').strip()}\n```"
        yield "{{% /example %}}\n"
    yield "{{% /examples %}}"


def _title(source: Path) -> str:
    words = source.stem.replace("-", " ").capitalize()
    return re.sub(r"\bvms?\b", lambda word: word[0].replace("vm", "VM"), words).replace("local", "Local")


def generate(folder: Path) -> None:
    """Write the programs in a folder in the other languages.

    Raises:
        CalledProcessError: a program is not valid.
    """
    subprocess.run([ROOT / "tools" / "codegen", "programs", folder], check=True)
    with tempfile.TemporaryDirectory() as name:
        workspace = Workspace(Path(name), _PROJECT)
        for source in sorted(folder.rglob("*.pp")):
            source.with_suffix(".yaml").write_text(_in_yaml(source, workspace), "utf-8")


def _in_yaml(source: Path, workspace: Workspace) -> str:
    """Convert a program by the CLI, whose generator for YAML writes an old word for `config`, and forgets secrets."""
    (workspace.project / "main.pp").write_bytes(source.read_bytes())
    program = workspace.project / "out" / "Main.yaml"
    program.unlink(missing_ok=True)
    # The host for YAML cannot link packages, which the CLI asks of it once the program has been written.
    ended = workspace.run(
        "convert", "--from", "pcl", "--language", "yaml", "--out", "out", "--generate-only", check=False
    )
    if not program.exists():
        raise subprocess.CalledProcessError(ended.returncode, f"pulumi convert {source}", ended.stdout)
    written: dict[str, Any] = yaml.safe_load(program.read_text("utf-8"))
    named = {_AS_IN_MODERN_PROGRAMS.get(part, part): content for part, content in written.items()}
    for secret in _SECRET.findall(source.read_text("utf-8")):
        named["config"][secret]["secret"] = True
    return yaml.safe_dump({"name": source.parent.name, "runtime": "yaml", **named}, sort_keys=False)


if __name__ == "__main__":
    generate(FOLDER)
