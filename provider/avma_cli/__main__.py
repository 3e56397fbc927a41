"""The entry point of the `avma` command. It knows which commands there are, and what none of them does."""

from __future__ import annotations

from typing import Annotated

import typer

from avma_cli.doctor.command import doctor
from avma_cli.exits import Commands, end
from avma_cli.explain import explain
from avma_cli.report.command import report
from avma_cli.simulate import simulate

app = typer.Typer(
    name="avma",
    cls=Commands,
    invoke_without_command=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command()(doctor)
app.command(context_settings={"ignore_unknown_options": True})(explain)  # a signed number looks like an option
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
) -> None:
    """Tools around Windows Automatic Virtual Machine Activation (AVMA).

    Why does a host not activate its guests, and what to do about it:

      avma doctor hv01.example.com --username 'LAB\\svc-avma'

    What an error means, and what to do about it:

      avma explain not-ready

    What is licensed by which key, on all hosts and in all VMs:

      avma report estate.yaml --html report.html

    A Windows estate to try programs against, without Windows:

      avma simulate estate.yaml

    Passwords come from AVMA_PASSWORD and AVMA_GUEST_PASSWORD, never from an
    option. Exit codes: 0 all is well, 1 something is wrong, 2 the command
    cannot be run as it was given. Completion: avma --install-completion.
    """
    if context.invoked_subcommand is None:
        end(context.get_help())


def main() -> None:
    """Run the command line."""
    app(prog_name="avma")


if __name__ == "__main__":
    main()
