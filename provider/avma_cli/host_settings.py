"""The settings of the connection to the host that a command names. On a terminal, a missing password is prompted."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import Any

import typer

from avma import errors, topics
from avma.addresses import host_name_error
from avma.properties import build, properties
from avma.settings import AddressedSettings
from avma_cli.exits import Exit, end, fail
from avma_cli.wording import COMMANDS

_NO_ACCOUNT = "no account is set. Set --username or AVMA_USERNAME, and set its password in AVMA_PASSWORD"
_HALF_AN_ACCOUNT = "no password is set. Set AVMA_PASSWORD"


def host_settings(host: str, configuration: Mapping[str, Any], address: str | None) -> AddressedSettings:
    """Return complete settings. Prompt for a missing password on a terminal."""
    for name, value in (("HOST", host), ("--address", address)):
        reason = host_name_error(value) if value is not None else None
        if reason:
            fail(f"{name}: {reason}", Exit.USAGE, topics.of_check(host_name_error))
    names = {prop.name for prop in properties(AddressedSettings)}
    values = {name: value for name, value in configuration.items() if name in names} | {"address": address}
    error = _connection_error(host, values)
    if error is None:
        return build(AddressedSettings, values)
    if _connection_error(host, {"username": "-", "password": "-", **_filled(values)}) is not None:
        end(error)
    if not values.get("username") or values.get("password"):
        fail(_NO_ACCOUNT)
    if not sys.stdin.isatty():
        fail(_HALF_AN_ACCOUNT)
    password = typer.prompt(f"Password of {values['username']}", hide_input=True, err=True)
    return host_settings(host, {**configuration, "password": password}, address)


def _connection_error(host: str, values: dict[str, Any]) -> str | None:
    """Return the reason why these values make no connection, None if they do."""
    from avma.connection import resolve

    try:
        resolve(host, build(AddressedSettings, values))
    except errors.InvalidInput as error:
        return COMMANDS.render(error.message)
    return None


def _filled(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value != ""}


def secrets_of(settings: AddressedSettings) -> Iterator[str]:
    """Yield the secret values of settings."""
    for prop in properties(type(settings)):
        if prop.rule.secret:
            yield getattr(settings, prop.name) or ""
