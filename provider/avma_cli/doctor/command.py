"""`avma doctor`: find out why a Hyper-V host does not activate its guests.

The module knows the command's options and exit codes. What is asked is in `avma.diagnosis`, and how it is shown in
`output`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from avma.properties import properties
from avma_cli import options

if TYPE_CHECKING:
    from avma.configuration import Transport
    from avma.connection import AddressedSettings
    from avma.diagnosis.step import Diagnosis, Step
    from avma.recording.recorder import Recorder
    from avma_cli.doctor.next_command import Command
    from avma_cli.doctor.output import Form

_WRONG, _USAGE = 1, 2
_OF_THIS_RUN = ("host", "as_json", "quiet", "record")
"""What a next command does not repeat."""
_NO_ACCOUNT = "no account is given: use --username or AVMA_USERNAME, and AVMA_PASSWORD for its password"


def doctor(
    ctx: typer.Context,
    host: Annotated[str, typer.Argument(metavar="HOST", help="The Hyper-V host: a DNS name or an IP address.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document at the end.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print the cause and the next command alone.")] = False,
    record: Annotated[
        Path | None, typer.Option(help="Write what was said, without names and secrets, to this new file.")
    ] = None,
    address: Annotated[str | None, typer.Option(help="Connect to this name or address instead.")] = None,
    username: options.Username = None,
    https: options.Https = None,
    port: options.Port = None,
    ca_cert: options.CaCert = None,
    insecure: options.Insecure = None,
    auth: options.Auth = None,
    client_cert: options.ClientCert = None,
    client_key: options.ClientKey = None,
    kerberos_keytab: options.KerberosKeytab = None,
    kerberos_hostname: options.KerberosHostname = None,
    message_encryption: options.MessageEncryption = None,
    guest_transport: options.GuestTransport = None,
) -> None:
    """Find out why a Hyper-V host does not activate its guests.

    Asks, from the host's name to the peers in its cluster, what has to be so,
    and changes nothing. The password comes from AVMA_PASSWORD or a prompt;
    every AVMA_* variable of the provider's configuration counts here too.

      AVMA_PASSWORD=... avma doctor hv01.example.com --username Administrator

    The exit code is 0 when all is well, 1 when something is wrong, 2 when
    the command cannot be run as it was given. NO_COLOR switches colours off.
    """
    from avma.connection import AddressedSettings, resolve
    from avma_cli.doctor.next_command import Command
    from avma_cli.doctor.output import Form

    if as_json and quiet:
        _fail("--json and --quiet exclude each other")
    settings = _settings(host, options.given(ctx.params, AddressedSettings))
    repeated = {name: value for name, value in ctx.params.items() if name not in _OF_THIS_RUN and value is not None}
    command = Command(resolve(host, settings), repeated)
    form = Form.JSON if as_json else Form.QUIET if quiet else Form.TEXT
    try:
        diagnosis = _diagnose(host, settings, _transport(guest_transport), form, record, command)
    except typer.Exit:
        raise
    except Exception as error:  # nobody is helped by a traceback that a report would have to hold
        _fail(f"avma doctor failed by itself ({type(error).__name__}): please report it", _WRONG)
    raise typer.Exit(0 if diagnosis.passed else _WRONG)


def _diagnose(
    host: str,
    settings: AddressedSettings,
    transport: Transport,
    form: Form,
    record: Path | None,
    given: Command,
) -> Diagnosis:
    from avma.diagnosis.ladder import Ladder
    from avma.diagnosis.step import Diagnosis
    from avma.recording.recorder import Recorder
    from avma.redaction import Redactor
    from avma.windows.machine import Machines
    from avma.wsman.pipe import WinrmPipe
    from avma_cli.doctor.next_command import next_command
    from avma_cli.doctor.output import reporting

    redact = Redactor()
    redact.learn(_secrets(settings))
    recorder = Recorder(WinrmPipe)
    steps: list[Step] = []
    diagnosis = Diagnosis(host, steps)
    with _recorded(recorder, record), closing(Machines(1, recorder.pipe if record else WinrmPipe)) as machines:
        with reporting(form, redact) as report:
            ladder = Ladder(host, settings, transport, machines, report.begin)
            for step in ladder.climb():
                report.step(step)
                steps.append(step)
            if record is not None:
                ladder.ask_open_questions()
        report.end(diagnosis, next_command(diagnosis, given))
    return diagnosis


@contextmanager
def _recorded(recorder: Recorder, path: Path | None) -> Iterator[None]:
    """Write the recording at the end, whatever the end is; a file that cannot be written is seen before the start."""
    if path is None:
        yield
        return
    try:
        file = path.open("x", encoding="utf-8")
    except FileExistsError:
        _fail(f"--record: {path} is there already; name a new file")
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

    wanted = text or options.guest_environment().get("transport") or Transport.POWERSHELL_DIRECT.value
    found = next((way for way in Transport if way.value == wanted), None)
    if found is None:
        _fail(f"--guest-transport: must be one of {', '.join(way.value for way in Transport)}")
    return found


def _fail(text: str, code: int = _USAGE) -> NoReturn:
    typer.echo(text, err=True)
    raise typer.Exit(code)
