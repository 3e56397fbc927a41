"""The example programs of each resource and function, in all languages of Pulumi (docs/programs).

Each program is written once in PCL (*.pp), Pulumi's language for examples. The file name is the title. Run
`python tools/programs.py` to generate the other languages with Pulumi's own generators.
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
"""The language of a code block, by the file extension of the program."""

_SECRET = re.compile(r'config "(\w+)" "\w+" \{\s*secret = true')
_PROJECT = "name: examples\nruntime: yaml\n"
_AS_IN_MODERN_PROGRAMS = {"configuration": "config"}


def examples() -> Mapping[str, str]:
    """Return the examples section of each resource and function, in the format of Pulumi schemas."""
    return {folder.name: "\n".join(_section(folder)) for folder in sorted(FOLDER.iterdir())}


def _section(folder: Path) -> Iterator[str]:
    yield "{{% examples %}}\n## Example Usage\n"
    for source in sorted(folder.glob("*.pp")):
        yield f"{{{{% example %}}}}\n### {_title(source)}\n"
        # A new program exists only in PCL. The generators need the schema, and the schema contains these examples.
        for written in filter(Path.exists, map(source.with_suffix, LANGUAGES)):
            yield f"```{LANGUAGES[written.suffix]}\n{written.read_text('utf-8').strip()}\n```"
        yield "{{% /example %}}\n"
    yield "{{% /examples %}}"


def _title(source: Path) -> str:
    words = source.stem.replace("-", " ").capitalize()
    return re.sub(r"\bvms?\b", lambda word: word[0].replace("vm", "VM"), words).replace("local", "Local")


def generate(folder: Path) -> None:
    """Generate the other languages for all programs in a folder.

    Raises:
        CalledProcessError: a program is not valid.
    """
    subprocess.run([ROOT / "tools" / "codegen", "programs", folder], check=True)
    with tempfile.TemporaryDirectory() as name:
        workspace = Workspace(Path(name), _PROJECT)
        for source in sorted(folder.rglob("*.pp")):
            source.with_suffix(".yaml").write_text(_in_yaml(source, workspace), "utf-8")


def _in_yaml(source: Path, workspace: Workspace) -> str:
    """Convert a program with the CLI. Fix the output: it has an old name for `config`, and loses secrets."""
    (workspace.project / "main.pp").write_bytes(source.read_bytes())
    program = workspace.project / "out" / "Main.yaml"
    program.unlink(missing_ok=True)
    # The command fails after it has written the program, because the YAML language host cannot link packages.
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
