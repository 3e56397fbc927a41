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
Auth = Annotated[
    str | None,
    typer.Option(help="How to log on: ntlm (unless said), negotiate, kerberos, credssp, certificate or basic."),
]
ClientCert = Annotated[Path | None, typer.Option(help="PEM file of the certificate to log on with.")]
ClientKey = Annotated[Path | None, typer.Option(help="PEM file of that certificate's key.")]
KerberosKeytab = Annotated[Path | None, typer.Option(help="A keytab with the account's key, for --auth kerberos.")]
KerberosHostname = Annotated[
    str | None, typer.Option(help="The name in the machine's service principal, where it is another.")
]
MessageEncryption = Annotated[str | None, typer.Option(help="Seal messages: auto (unless said), always or never.")]
GuestUsername = Annotated[str | None, typer.Option(help="The account inside the VMs.")]
GuestTransport = Annotated[
    str | None, typer.Option(help="How guests are reached: powershellDirect (unless said) or winrm.")
]


def settings(options: Mapping[str, Any], written: Mapping[str, Any]) -> dict[str, Any]:
    """Return the provider's configuration from a command's options by their names, what a file says, and environment.

    `written` is the validated configuration of the file.
    """
    from avma.configuration import Configuration, GuestDefaults
    from avma.connection import from_environment

    of_guest = {**guest_environment(), **written.get("guest", {}), **given(options, GuestDefaults, "guest_")}
    merged = {**from_environment(Configuration), **written, **given(options, Configuration)}
    return {**merged, "guest": of_guest} if of_guest else merged


def guest_environment() -> dict[str, Any]:
    """Return what the variables AVMA_GUEST_* say: the settings of guests."""
    from avma.configuration import GuestDefaults
    from avma.connection import text_value
    from avma.properties import properties

    found = ((prop, os.environ.get(f"AVMA_GUEST_{prop.attribute.upper()}")) for prop in properties(GuestDefaults))
    return {prop.name: text_value(prop, text) for prop, text in found if text}


def given(options: Mapping[str, Any], record: type, prefix: str = "") -> dict[str, Any]:
    """Return the properties of a record that a command's options say, the option named by `prefix` and attribute."""
    from avma.properties import properties

    values = {prop.name: options.get(f"{prefix}{prop.attribute}") for prop in properties(record)}
    return {name: _plain(value) for name, value in values.items() if value is not None}


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Path) else value
