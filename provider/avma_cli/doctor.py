"""`avma doctor`: find out why a Hyper-V host does not activate its guests.

The module knows the command's options and exit codes. What is asked is in `avma.diagnosis`, and how it is shown in
`report`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from avma.properties import camel_case, properties

if TYPE_CHECKING:
    from avma.configuration import Transport
    from avma.connection import AddressedSettings
    from avma.diagnosis.step import Diagnosis, Step
    from avma.recording.recorder import Recorder
    from avma_cli.next_command import Command

_WRONG, _USAGE = 1, 2
_NO_ACCOUNT = "no account is given: use --username or AVMA_USERNAME, and AVMA_PASSWORD for its password"


def doctor(
    host: Annotated[str, typer.Argument(metavar="HOST", help="The Hyper-V host: a DNS name or an IP address.")],
    username: Annotated[str | None, typer.Option(help="The account, such as Administrator or 'LAB\\svc-avma'.")] = None,
    https: Annotated[bool | None, typer.Option("--https/--no-https", help="Use TLS; yes unless said.")] = None,
    port: Annotated[int | None, typer.Option(help="The port of WinRM; 5986 with TLS, 5985 without.")] = None,
    ca_cert: Annotated[Path | None, typer.Option(help="PEM file of the authority that signed the certificate.")] = None,
    insecure: Annotated[bool | None, typer.Option("--insecure", help="Accept any certificate.")] = None,
    auth: Annotated[str | None, typer.Option(help="How to log on; ntlm unless said.")] = None,
    address: Annotated[str | None, typer.Option(help="Connect to this name or address instead.")] = None,
    guest_transport: Annotated[
        str | None, typer.Option(help="How guests will be reached: powershellDirect (unless said) or winrm.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document at the end.")] = False,
    record: Annotated[
        Path | None, typer.Option(help="Write what was said, without names and secrets, to this file.")
    ] = None,
) -> None:
    """Find out why a Hyper-V host does not activate its guests.

    Asks, from the host's name to the peers in its cluster, what has to be so,
    and changes nothing. The password comes from AVMA_PASSWORD or a prompt;
    every AVMA_* variable of the provider's configuration counts here too.

      AVMA_PASSWORD=... avma doctor hv01.example.com --username Administrator

    The exit code is 0 when all is well, 1 when something is wrong, 2 when
    the command cannot be run as it was given.
    """
    from avma_cli.next_command import Command

    options = {
        "username": username,
        "https": https,
        "port": port,
        "ca_cert": None if ca_cert is None else str(ca_cert),
        "insecure": insecure,
        "auth": auth,
        "address": address,
    }
    given = {name: value for name, value in options.items() if value is not None}
    settings = _settings(host, {camel_case(name): value for name, value in given.items()})
    command = Command(host, {**given, **({"guest_transport": guest_transport} if guest_transport else {})})
    transport = _transport(guest_transport)
    try:
        diagnosis = _diagnose(host, settings, transport, as_json, record, command)
    except typer.Exit:
        raise
    except Exception as error:  # nobody is helped by a traceback that a report would have to hold
        _fail(f"avma doctor failed by itself ({type(error).__name__}): please report it", _WRONG)
    raise typer.Exit(0 if diagnosis.passed else _WRONG)


def _diagnose(
    host: str,
    settings: AddressedSettings,
    transport: Transport,
    as_json: bool,
    record: Path | None,
    given: Command,
) -> Diagnosis:
    from avma.diagnosis.ladder import Ladder
    from avma.diagnosis.step import Diagnosis
    from avma.recording.recorder import Recorder
    from avma.redaction import Redactor
    from avma.windows.machine import Machines
    from avma.wsman.pipe import WinrmPipe
    from avma_cli.next_command import next_command
    from avma_cli.report import reporting

    redact = Redactor()
    redact.learn(_secrets(settings))
    recorder = Recorder(WinrmPipe)
    steps: list[Step] = []
    diagnosis = Diagnosis(host, steps)
    with _recorded(recorder, record), closing(Machines(1, recorder.pipe if record else WinrmPipe)) as machines:
        with reporting(as_json, redact) as report:
            ladder = Ladder(host, settings, transport, machines, report.begin)
            for step in ladder.climb():
                report.step(step)
                steps.append(step)
            if record is not None:
                ladder.ask_open_questions()
        report.end(diagnosis, next_command(diagnosis, given, settings.username or ""))
    return diagnosis


@contextmanager
def _recorded(recorder: Recorder, path: Path | None) -> Iterator[None]:
    """Write the recording at the end, whatever the end is; a file that cannot be written is seen before the start."""
    if path is None:
        yield
        return
    try:
        file = path.open("w", encoding="utf-8")
    except OSError as error:
        _fail(f"--record: {path} cannot be written: {error.strerror}")
    with file:
        try:
            yield
        finally:
            file.writelines(f"{line}\n" for line in recorder.lines())


def _settings(host: str, values: dict[str, Any]) -> AddressedSettings:
    """Return complete settings from values and environment; a password that is missing is asked for on a terminal."""
    from avma.connection import AddressedSettings, from_environment, host_name_error
    from avma.properties import build, validate

    reason = host_name_error(host)
    if reason:
        _fail(f"HOST: {reason}")
    values = {**from_environment(AddressedSettings), **values}
    failures = validate(AddressedSettings, values)
    if failures:
        _fail("\n".join(f"{failure.path}: {failure.reason}" for failure in failures))
    error = _connection_error(host, values)
    if error is None:
        return build(AddressedSettings, values)
    if _connection_error(host, {"username": "-", "password": "-", **_filled(values)}) is not None:
        _fail(error)
    if not values.get("username") or values.get("password") or not sys.stdin.isatty():
        _fail(_NO_ACCOUNT)
    password = typer.prompt(f"Password of {values['username']}", hide_input=True, err=True)
    return _settings(host, {**values, "password": password})


def _connection_error(host: str, values: dict[str, Any]) -> str | None:
    """Say why no connection can be made with these values, None when one can."""
    from avma import errors
    from avma.connection import AddressedSettings, resolve
    from avma.properties import build

    try:
        resolve(host, build(AddressedSettings, values))
    except errors.InvalidInput as error:
        return str(error)
    return None


def _filled(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value != ""}


def _secrets(settings: AddressedSettings) -> Iterator[str]:
    for prop in properties(type(settings)):
        if prop.rule.secret:
            yield getattr(settings, prop.attribute) or ""


def _transport(text: str | None) -> Transport:
    from avma.configuration import Transport

    wanted = text or Transport.POWERSHELL_DIRECT.value
    found = next((way for way in Transport if way.value == wanted), None)
    if found is None:
        _fail(f"--guest-transport: must be one of {', '.join(way.value for way in Transport)}")
    return found


def _fail(text: str, code: int = _USAGE) -> NoReturn:
    typer.echo(text, err=True)
    raise typer.Exit(code)
