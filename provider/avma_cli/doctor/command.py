"""`avma doctor`: find out why a Hyper-V host does not activate its guests.

The module contains options and exit codes. `avma.diagnosis` contains the checks, and `output` the output formats.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from avma_cli import options
from avma_cli.exits import Exit, fail, guarded
from avma_cli.files import written_recording
from avma_cli.host_settings import host_settings, secrets_of

if TYPE_CHECKING:
    from avma.configuration import Transport
    from avma.diagnosis.step import Diagnosis, Step
    from avma.settings import AddressedSettings
    from avma_cli.doctor.next_command import Command
    from avma_cli.doctor.output import Form


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
    settings = host_settings(host, configuration, address)
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
    redact.learn(secrets_of(settings))
    options.start_log(redact)
    recorder = Recorder(WinrmPipe)
    steps: list[Step] = []
    diagnosis = Diagnosis(host, steps)
    with written_recording(recorder, record), closing(Machines(1, recorder.pipe if record else WinrmPipe)) as machines:
        with reporting(form, redact) as report:
            checks = HostDiagnosis(host, settings, transport, machines, report.begin)
            for step in checks.run():
                report.step(step)
                steps.append(step)
        report.end(diagnosis, next_command(diagnosis, given))
    return diagnosis


def _transport(configuration: Mapping[str, Any]) -> Transport:
    from avma.configuration import GuestDefaults, Transport
    from avma.properties import build

    return build(GuestDefaults, configuration.get("guest", {})).transport or Transport.POWERSHELL_DIRECT
