"""Runs `program.py` inline with Pulumi's Automation API: `inline.py PROJECT up|preview|destroy`.

This process is the language runtime of the engine, so no language host is needed. It is a separate process, because the
Automation API keeps global state.
"""

import runpy
import sys
from collections.abc import Callable
from pathlib import Path

from pulumi import automation

PROGRAM = str(Path(__file__).with_name("program.py"))


def program() -> None:
    """Run the file of the program."""
    runpy.run_path(PROGRAM)


def main(project: str, step: str) -> None:
    """Run one step on the stack `dev` of the project in that folder, and print the output of the engine."""
    stack = automation.select_stack(
        "dev",
        project_name="estate",
        program=program,
        opts=automation.LocalWorkspaceOptions(work_dir=project),
    )
    steps: dict[str, Callable[[], object]] = {
        "up": lambda: stack.up(on_output=print),
        "preview": lambda: stack.preview(expect_no_changes=True, on_output=print),
        "destroy": lambda: stack.destroy(on_output=print),
    }
    try:
        steps[step]()
    except automation.CommandError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main(*sys.argv[1:])
