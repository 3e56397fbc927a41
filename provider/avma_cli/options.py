"""The options that tell how to log on, the same for every command that asks machines, and the settings they make.

What an option does not say, the file that was read does, and then the environment: the AVMA_* variables of the
provider's configuration, and AVMA_GUEST_* for its `guest`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

Username = Annotated[str | None, typer.Option(help="The account, such as Administrator or 'LAB\\svc-avma'.")]
Https = Annotated[bool | None, typer.Option("--https/--no-https", help="Use TLS; yes unless said.")]
Port = Annotated[int | None, typer.Option(help="The port of WinRM; 5986 with TLS, 5985 without.")]
CaCert = Annotated[Path | None, typer.Option(help="PEM file of the authority that signed the certificates.")]
Insecure = Annotated[bool | None, typer.Option("--insecure", help="Accept any certificate.")]
Auth = Annotated[str | None, typer.Option(help="How to log on; ntlm unless said.")]
GuestUsername = Annotated[str | None, typer.Option(help="The account inside the VMs.")]
GuestTransport = Annotated[
    str | None, typer.Option(help="How guests are reached: powershellDirect (unless said) or winrm.")
]

_GUEST = "AVMA_GUEST_"


def settings(connection: Mapping[str, Any], guest: Mapping[str, Any], written: Mapping[str, Any]) -> dict[str, Any]:
    """Return the provider's configuration from options by their names, from what a file says, and the environment.

    `guest` has the options that are for guests, and `written` the validated configuration of the file.
    """
    from avma.configuration import Configuration, GuestDefaults
    from avma.connection import from_environment

    of_guests = {
        f"AVMA_{name.removeprefix(_GUEST)}": value for name, value in os.environ.items() if name.startswith(_GUEST)
    }
    of_guest = {**from_environment(GuestDefaults, of_guests), **written.get("guest", {}), **_given(guest)}
    merged = {**from_environment(Configuration), **written, **_given(connection)}
    return {**merged, "guest": of_guest} if of_guest else merged


def _given(options: Mapping[str, Any]) -> dict[str, Any]:
    from avma.properties import camel_case

    values = {camel_case(name): value for name, value in options.items() if value is not None}
    return {name: str(value) if isinstance(value, Path) else value for name, value in values.items()}
