"""What to type next after a diagnosis: one command for the first step that failed.

A command for Windows is said with the machine to run it on.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from typing import Any

from avma import compatibility
from avma.connection import Auth
from avma.diagnosis.step import Diagnosis, Rung, Step
from avma.errors import (
    AccessDenied,
    AvmaError,
    CertificateNotTrusted,
    LogonRefused,
    NotReady,
    Refused,
    Unreachable,
    WsmanFault,
)
from avma.wsman.faults import CANNOT_PROCESS_FILTER

_TO_DATACENTER = "DISM /Online /Set-Edition:ServerDatacenter /ProductKey:KEY /AcceptEula"
_DATA_EXCHANGE = "2A34B1C2-FD73-4043-8A5B-DD2159BC743F"
_LOGONS = {"ntlm": "Negotiate", "kerberos": "Kerberos", "credssp": "CredSSP", "basic": "Basic"}
"""The scheme that a service offers for each kind of logon."""
_RECORDING = "recording.jsonl"

_Kinds = type[AvmaError] | tuple[()]


class Command:
    """The command that was given: a host and options by their names, which a next one repeats but for what changes."""

    def __init__(self, host: str, options: Mapping[str, Any]) -> None:
        self.host = host
        self.options = options

    def but(self, **changes: Any) -> str:
        """Return the command with some options changed, and without those that are None."""
        words = ["avma", "doctor", self.host]
        for name, value in {**self.options, **changes}.items():
            option = name.replace("_", "-")
            if value is None:
                continue
            if isinstance(value, bool):
                words.append(f"--{option}" if value else f"--no-{option}")
            else:
                words += [f"--{option}", str(value)]
        return shlex.join(words)


def next_command(diagnosis: Diagnosis, given: Command, username: str) -> str:
    """Return what to type next."""
    step = diagnosis.cause
    if step is None:
        return "pulumi preview"
    there = f"on {diagnosis.host}: "
    commands: dict[Rung, tuple[_Kinds, Callable[[], str]]] = {
        Rung.NAME: (Unreachable, lambda: given.but(address="ADDRESS")),
        Rung.PORT: (Unreachable, lambda: _port(step, given, there)),
        Rung.TLS: (AvmaError, lambda: _tls(step, given, there)),
        Rung.LOGON: (AvmaError, lambda: _logon(step, given)),
        Rung.CIM: (AccessDenied, lambda: f'{there}net localgroup Administrators "{username}" /add'),
        Rung.VIRTUALIZATION: (
            AccessDenied,
            lambda: f'{there}net localgroup "Hyper-V Administrators" "{username}" /add',
        ),
        Rung.SHELL: (AccessDenied, lambda: f"{there}winrm get winrm/config/winrs"),
        Rung.SYSTEM: (Refused, lambda: _system(step, there)),
        Rung.LICENSE: (Refused, lambda: f"pulumi up, with a HostLicense for {diagnosis.host}"),
        Rung.HYPER_V: (WsmanFault, lambda: _hyper_v(step, given, there)),
        Rung.DIRECT: (Refused, lambda: given.but(guest_transport="winrm")),
        Rung.VM: (Refused, lambda: _vm(step, there)),
        Rung.PEER: (AvmaError, lambda: _peer(step, there)),
    }
    kinds, command = commands.get(step.rung, ((), str))
    # What is not expected on a rung is worth a recording.
    return command() if isinstance(step.error, kinds) else given.but(record=_RECORDING)


def _port(step: Step, given: Command, there: str) -> str:
    if step.found:  # the other listener's port is open
        return given.but(port=None, https=given.options.get("https") is False)
    return f"{there}winrm quickconfig"


def _tls(step: Step, given: Command, there: str) -> str:
    if not isinstance(step.error, CertificateNotTrusted):
        return given.but(https=given.options.get("https") is False)
    if "expired" in step.error.answer:
        return f"{there}winrm enumerate winrm/config/listener"
    if "another name" in step.error.answer:
        return given.but(address="NAME-IN-THE-CERTIFICATE")
    return given.but(ca_cert="AUTHORITY.pem")


def _logon(step: Step, given: Command) -> str:
    if not isinstance(step.error, LogonRefused):
        return given.but(port="PORT")
    if "not offer" in step.error.answer:
        ways = (way.value for way in Auth if way.value in _LOGONS and _LOGONS[way.value] in step.found)
        return given.but(auth=next(ways, "WAY"))
    return given.but(username="USERNAME")


def _system(step: Step, there: str) -> str:
    if not step.found:
        return "avma doctor HYPER-V-HOST"
    return (
        f"{there}Get-VMAutomaticActivation" if compatibility.AZURE_LOCAL in step.found else f"{there}{_TO_DATACENTER}"
    )


def _hyper_v(step: Step, given: Command, there: str) -> str:
    if not isinstance(step.error, WsmanFault) or step.error.code != CANNOT_PROCESS_FILTER:
        return given.but(record=_RECORDING)
    return f"{there}Install-WindowsFeature Hyper-V -IncludeManagementTools -Restart"


def _vm(step: Step, there: str) -> str:
    if "Data Exchange off" in step.found:
        service = f"Get-VMIntegrationService '{step.subject}' | Where-Object Id -like '*{_DATA_EXCHANGE}'"
        return f"{there}{service} | Enable-VMIntegrationService"
    if step.error is not None and "evaluation" in step.error.answer:
        return f"in {step.subject}: DISM /Online /Get-TargetEditions"
    return f"{there}Move-VM '{step.subject}' -DestinationHost NEWER-HOST"


def _peer(step: Step, there: str) -> str:
    return (
        f"{there}Start-ClusterNode {step.subject}"
        if isinstance(step.error, NotReady)
        else f"avma doctor {step.subject}"
    )
