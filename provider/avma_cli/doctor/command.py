"""`avma doctor`: find out why a Hyper-V host does not activate its guests.

The module contains options and exit codes. `avma.diagnosis` contains the checks, and `output` the output formats.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from avma import topics
from avma.properties import properties
from avma_cli import options
from avma_cli.exits import Exit, end, fail, guarded

if TYPE_CHECKING:
    from avma.configuration import Transport
    from avma.diagnosis.step import Diagnosis, Step
    from avma.recording.recorder import Recorder
    from avma.settings import AddressedSettings
    from avma_cli.doctor.next_command import Command
    from avma_cli.doctor.output import Form

_NO_ACCOUNT = "no account is set. Set --username or AVMA_USERNAME, and set its password in AVMA_PASSWORD"

_HALF_AN_ACCOUNT = "no password is set. Set AVMA_PASSWORD"


@options.connecting("transport")
def doctor(
    host: Annotated[str, typer.Argument(metavar="HOST", help="The Hyper-V host: a DNS name or an IP address.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document at the end.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print only the cause and the next command.")] = False,
    record: Annotated[
        Path | None, typer.Option(help="Record all messages in this new file, without names and secrets.")
    ] = None,
    address: Annotated[str | None, typer.Option(help="Connect to this name or address instead of HOST.")] = None,
    *,
    given: options.Given,
) -> None:
    """Find out why a Hyper-V host does not activate its guests.

    The command checks everything from name resolution to the other nodes of
    the host's cluster. It changes nothing, and needs no account in guests. It
    prints the first problem and the command to run next.

      AVMA_PASSWORD=... avma doctor hv01.example.com --username Administrator

    Without AVMA_PASSWORD, it asks for the password. It reads all AVMA_*
    variables of the provider. NO_COLOR=1 turns colors off. Exit codes: 0 no
    problem found, 1 problem found, 2 wrong usage.
    """
    from avma.connection import resolve
    from avma_cli.doctor.next_command import Command
    from avma_cli.doctor.output import Form

    if as_json and quiet:
        fail("--json and --quiet cannot be combined")
    form = Form.JSON if as_json else Form.QUIET if quiet else Form.TEXT
    configuration = options.settings(given, {})
    settings = _settings(host, configuration, address)
    command = Command(resolve(host, settings), {"address": address, **given})
    with guarded("doctor"):
        diagnosis = _diagnose(host, settings, _transport(configuration), form, record, command)
    raise typer.Exit(Exit.WELL if diagnosis.passed else Exit.WRONG)


def _diagnose(
    host: str,
    settings: AddressedSettings,
    transport: Transport,
    form: Form,
    record: Path | None,
    given: Command,
) -> Diagnosis:
    from avma.diagnosis.host_diagnosis import HostDiagnosis
    from avma.diagnosis.step import Diagnosis
    from avma.recording.recorder import Recorder
    from avma.redaction import Redactor
    from avma.windows.machines import Machines
    from avma.wsman.winrm_pipe import WinrmPipe
    from avma_cli.doctor.next_command import next_command
    from avma_cli.doctor.output import reporting
    from avma_cli.wording import COMMANDS

    redact = Redactor(COMMANDS)
    redact.learn(_secrets(settings))
    options.start_log(redact)
    recorder = Recorder(WinrmPipe)
    steps: list[Step] = []
    diagnosis = Diagnosis(host, steps)
    with _recorded(recorder, record), closing(Machines(1, recorder.pipe if record else WinrmPipe)) as machines:
        with reporting(form, redact) as report:
            checks = HostDiagnosis(host, settings, transport, machines, report.begin)
            for step in checks.run():
                report.step(step)
                steps.append(step)
            if record is not None:
                checks.ask_open_questions()
        report.end(diagnosis, next_command(diagnosis, given))
    return diagnosis


@contextmanager
def _recorded(recorder: Recorder, path: Path | None) -> Iterator[None]:
    """Write the recording at the end, even after an error. Fail before the start if the file cannot be written."""
    if path is None:
        yield
        return
    try:
        file = path.open("x", encoding="utf-8")
    except FileExistsError:
        fail(f"--record: {path} already exists. Choose a new file")
    except OSError as error:
        fail(f"--record: cannot write {path}: {error.strerror}")
    with file:
        try:
            yield
        finally:
            file.writelines(f"{line}\n" for line in recorder.lines())


def _settings(host: str, configuration: Mapping[str, Any], address: str | None) -> AddressedSettings:
    """Return complete settings. Prompt for a missing password on a terminal."""
    from avma.addresses import host_name_error
    from avma.properties import build
    from avma.settings import AddressedSettings

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
    return _settings(host, {**configuration, "password": password}, address)


def _connection_error(host: str, values: dict[str, Any]) -> str | None:
    """Return the reason why these values make no connection, None if they do."""
    from avma import errors
    from avma.connection import resolve
    from avma.properties import build
    from avma.settings import AddressedSettings
    from avma_cli.wording import COMMANDS

    try:
        resolve(host, build(AddressedSettings, values))
    except errors.InvalidInput as error:
        return COMMANDS.render(error.message)
    return None


def _filled(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value != ""}


def _secrets(settings: AddressedSettings) -> Iterator[str]:
    for prop in properties(type(settings)):
        if prop.rule.secret:
            yield getattr(settings, prop.name) or ""


def _transport(configuration: Mapping[str, Any]) -> Transport:
    from avma.configuration import GuestDefaults, Transport
    from avma.properties import build

    return build(GuestDefaults, configuration.get("guest", {})).transport or Transport.POWERSHELL_DIRECT
