"""`avma jea`: write a session configuration of PowerShell for the scripts of the provider."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from avma_cli.exits import Exit, fail


def jea(
    directory: Annotated[Path, typer.Argument(metavar="DIRECTORY", help="The folder for the files.")],
    account: Annotated[
        list[str], typer.Option(help="A user or group that may use the configuration. You can repeat the option.")
    ],
    name: Annotated[str, typer.Option(help="The name of the session configuration.")] = "avma",
    azure_local: Annotated[
        bool,
        typer.Option(
            "--azure-local", help="Permit the script for Azure Local too. It runs as an administrator of the machine."
        ),
    ] = False,
    hyper_v_group: Annotated[
        str, typer.Option(help="The name of the group Hyper-V Administrators in the language of the host.")
    ] = "Hyper-V Administrators",
) -> None:
    """Write a PowerShell session configuration for JEA (Just Enough Administration).

    \b
      avma jea avma-jea --account 'LAB\\svc-avma'

    In the session, the account can run the scripts of the provider, and the
    eight default commands of a restricted session, such as Get-Help. The
    command writes a session configuration (.pssc) and a module with the
    functions and their role capability (.psrc). Then it prints the commands to
    register them on a host.

    JEA restricts only PowerShell. The account needs its rights to WMI as
    before.
    """
    from avma.settings import configuration_name_error
    from avma.windows.session_configuration import MODULE, SessionConfiguration

    reason = configuration_name_error(name)
    if reason:
        fail(f"--name: {reason}", Exit.USAGE)
    if not all(given.strip() and given.isprintable() for given in (*account, hyper_v_group)):
        fail("--account and --hyper-v-group must be printable names", Exit.USAGE)
    configuration = SessionConfiguration(name, tuple(account), azure_local, hyper_v_group)
    for path, text in configuration.files().items():
        _write(directory / path, text)
    typer.echo(
        f"Wrote {directory / name}.pssc and the module {directory / MODULE}.\n\n"
        "On each host, run in PowerShell as administrator, in a copy of that folder:\n\n"
        f'  Copy-Item {MODULE} "$env:ProgramFiles\\WindowsPowerShell\\Modules" -Recurse -Force\n'
        f"  Register-PSSessionConfiguration -Name {name} -Path .\\{name}.pssc -Force\n\n"
        "Registering restarts WinRM. Then let the provider use it:\n\n"
        f"  pulumi config set avma:configurationName {name}"
    )


def _write(path: Path, text: str) -> None:
    """Write a file. Windows PowerShell reads it as UTF-8 because of its byte order mark."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8-sig", newline="\r\n")
    except OSError as error:
        fail(f"cannot write {path}: {error.strerror}", Exit.WRONG)
