"""Runs the examples: the commands in each README, with the real `pulumi` against the simulator.

The first console block of a README starts the simulator. A shell runs the second block line by line, and stops at the
first command that fails.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from markdown_it import MarkdownIt

from loopback import relocated
from workspace import ROOT, Workspace

EXAMPLES = ROOT / "examples"
PROGRAMS = Path(sys.executable).parent
_LONGEST = 300


def main(arguments: list[str]) -> int:
    """Run the named examples, or all. Return 1 if one fails."""
    failed = []
    for name in arguments or sorted(folder.name for folder in EXAMPLES.iterdir()):
        print(f"\n== examples/{name}\n", flush=True)
        with tempfile.TemporaryDirectory() as folder:
            done = play(EXAMPLES / name, Path(folder))
        print(done.stdout, flush=True)
        failed += [name] if done.returncode else []
    print(f"failed: {', '.join(failed)}" if failed else "\nAll examples passed.")
    return bool(failed)


def play(example: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the commands of an example in a copy of it on free addresses, with a separate Pulumi home."""
    serve, commands = map(relocated, blocks(example / "README.md"))
    workspace = Workspace(folder / "pulumi", (example / "Pulumi.yaml").read_text())
    shutil.copytree(example, workspace.project, dirs_exist_ok=True)
    for file in workspace.project.glob("*.yaml"):
        file.write_text(relocated(file.read_text("utf-8")), "utf-8")
    path = os.pathsep.join([str(PROGRAMS), workspace.environment["PATH"]])
    environment = {**workspace.environment, "PATH": path, "PULUMI_COLOR": "never"}
    with serving(serve, workspace.project, environment):
        return subprocess.run(
            ["sh", "-eux", "-c", commands],
            cwd=workspace.project,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_LONGEST,
            check=False,
        )


def blocks(readme: Path) -> tuple[str, str]:
    """Return the first two console blocks of a README."""
    tokens = MarkdownIt().parse(readme.read_text(encoding="utf-8"))
    first, second, *_ = (token.content for token in tokens if token.type == "fence" and token.info == "console")
    return first, second


@contextmanager
def serving(command: str, folder: Path, environment: dict[str, str]) -> Iterator[None]:
    """Run the simulator with the command of a README until the block ends."""
    words = [*command.split(), "--json"]
    with subprocess.Popen(words, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True) as process:
        if process.stdout is None or not process.stdout.readline():
            raise SystemExit(f"{command} failed")
        try:
            yield
        finally:
            process.send_signal(signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
