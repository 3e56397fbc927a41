"""The entry point of the `avma` command. It knows which commands there are, and what none of them does."""

from __future__ import annotations

import typer

from avma_cli.doctor.command import doctor
from avma_cli.report.command import report
from avma_cli.simulate import simulate

app = typer.Typer(
    name="avma",
    help="Tools around Windows Automatic Virtual Machine Activation (AVMA).",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(doctor)
app.command()(report)
app.command()(simulate)


@app.callback()
def _commands() -> None:
    """Tools around Windows Automatic Virtual Machine Activation (AVMA)."""


def main() -> None:
    """Run the command line."""
    app(prog_name="avma")


if __name__ == "__main__":
    main()
