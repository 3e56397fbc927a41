"""The entry point of the `avma` command: registers the commands."""

from __future__ import annotations

import io
import sys
from typing import Annotated

import typer

from avma import logs
from avma_cli import options
from avma_cli.conformance.command import conformance
from avma_cli.doctor.command import doctor
from avma_cli.exits import Commands, end
from avma_cli.explain import explain
from avma_cli.jea import jea
from avma_cli.report.command import report
from avma_cli.simulate import simulate

app = typer.Typer(
    name="avma",
    cls=Commands,
    invoke_without_command=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command()(conformance)
app.command()(doctor)
app.command(context_settings={"ignore_unknown_options": True})(explain)  # a signed number looks like an option
app.command()(jea)
app.command()(report)
app.command()(simulate)


def _print_version(wanted: bool) -> None:
    if wanted:
        from pulumi_resource_avma import __version__

        typer.echo(f"avma {__version__}")
        raise typer.Exit


@app.callback()
def _commands(
    context: typer.Context,
    _version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version.")
    ] = False,
    verbose: Annotated[
        int,
        typer.Option("--verbose", "-v", count=True, help="Log decisions to standard error. -vv also logs requests."),
    ] = 0,
) -> None:
    """Tools for Windows Automatic Virtual Machine Activation (AVMA).

    Find out why a host does not activate its guests:

      avma doctor hv01.example.com --username 'LAB\\svc-avma'

    Look up an error:

      avma explain not-ready

    List the licenses and keys of all hosts and VMs:

      avma report hosts.yaml --html report.html

    Restrict the account of the provider in PowerShell:

      avma jea FOLDER --account 'LAB\\svc-avma'

    Compare a machine with the facts that this product relies on:

      avma conformance hv01.example.com --markdown report.md

    Try a program without Windows:

      avma simulate estate.yaml

    Set passwords in AVMA_PASSWORD and AVMA_GUEST_PASSWORD. There is no option
    for them. Exit codes: 0 success, 1 problem found, 2 wrong usage.
    """
    options.set_verbosity(verbose)
    if context.invoked_subcommand is None:
        end(context.get_help())


def _replace_unknown_characters() -> None:
    """Let an output without UTF-8 show `?` for the characters that it lacks. On Windows, redirected output is such."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")


def main() -> None:
    """Run the command line."""
    logs.hide_texts_of_bugs()
    _replace_unknown_characters()
    # `app()` would print unhandled exceptions in its own way, with their texts.
    typer.main.get_command(app)(prog_name="avma")


if __name__ == "__main__":
    main()
