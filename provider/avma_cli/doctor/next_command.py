"""The command to run after a diagnosis: one command for the first failed check.

Commands for Windows are PowerShell, and begin with the machine to run them on.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping
from typing import Any

from avma import compatibility
from avma.connection import Connection
from avma.diagnosis.step import Check, Diagnosis, Step
from avma.errors import (
    AccessDenied,
    AvmaError,
    CertificateNotTrusted,
    DataExchangeOff,
    Distrust,
    EmptyAnswer,
    Evaluation,
    InvalidInput,
    LogonRefused,
    NewerThanHost,
    NotReady,
    Refusal,
    Refused,
    Unreachable,
    WsmanFault,
    sentences,
)
from avma.resources.data_exchange import switch_data_exchange_on
from avma.settings import HTTP_PORT, HTTPS_PORT, Auth, offered_methods
from avma.windows.hyperv import on_vm
from avma.windows.powershell import literal
from avma.wsman.soap_faults import is_missing_class

_TARGET = re.compile(r"/Set-Edition:(\w+)")
_NEW_CERTIFICATE = (
    "Set-WSManInstance winrm/config/Listener -SelectorSet @{Address='*'; Transport='HTTPS'} "
    "-ValueSet @{CertificateThumbprint='THUMBPRINT-OF-A-NEW-ONE'}"
)
_BUILT_IN = "administrator"
_ADMINISTRATORS, _HYPER_V_ADMINISTRATORS = "S-1-5-32-544", "S-1-5-32-578"
"""Well-known SIDs of groups (MS-DTYP 2.4.2.4). The names of the groups depend on the language of Windows."""
_RECORDING = "recording.jsonl"

_Kinds = type[AvmaError] | tuple[type[AvmaError], ...]


class Command:
    """The current command line and its connection. The next command repeats it with some changes."""

    def __init__(self, connection: Connection, options: Mapping[str, Any]) -> None:
        self.connection = connection
        self._options = options

    def but(self, **changes: Any) -> str:
        """Return the command with some options changed. A value of None removes an option."""
        return self._said(self.connection.name, {**self._options, **changes})

    def at(self, host: str) -> str:
        """Return the command for another host."""
        return self._said(host, {**self._options, "address": None})

    def other_listener(self) -> str:
        """Return the command for the other WinRM listener. It overrides port and TLS of the environment."""
        https = not self.connection.https
        return self.but(https=https, port=HTTPS_PORT if https else HTTP_PORT)

    @staticmethod
    def _said(host: str, options: Mapping[str, Any]) -> str:
        words = ["avma", "doctor", host]
        for name, value in options.items():
            option = name.replace("_", "-")
            if value is None:
                continue
            if isinstance(value, bool):
                words.append(f"--{option}" if value else f"--no-{option}")
            else:
                words += [f"--{option}", str(value)]
        return shlex.join(words)


def _listen(given: Command) -> str:
    return "winrm quickconfig -transport:https" if given.connection.https else "winrm quickconfig"


def _scripts(step: Step) -> str:
    """Return the command for a host that cannot run the script for guests."""
    if isinstance(step.error, Refused):
        return "Install-WindowsFeature Hyper-V-PowerShell"
    return "winrm get winrm/config/winrs"


def next_command(diagnosis: Diagnosis, given: Command) -> str:
    """Return the command to run next."""
    step = diagnosis.cause
    if step is None:
        return "pulumi preview"
    there = f"on {diagnosis.host}: "
    commands: dict[Check, tuple[_Kinds, Callable[[], str]]] = {
        Check.NAME: (Unreachable, lambda: given.but(address="ADDRESS")),
        Check.PORT: (Unreachable, lambda: given.other_listener() if step.found else f"{there}{_listen(given)}"),
        Check.TLS: (AvmaError, lambda: _tls(step, given, there)),
        Check.LOGON: (AvmaError, lambda: _logon(step, given, there)),
        Check.CIM: (AccessDenied, lambda: _membership(_ADMINISTRATORS, given, there)),
        Check.VIRTUALIZATION: ((AccessDenied, EmptyAnswer), lambda: _virtualization(step, given, there)),
        Check.SHELL: ((AccessDenied, Refused), lambda: f"{there}{_scripts(step)}"),
        Check.SYSTEM: (Refused, lambda: _system(step, given, there)),
        Check.LICENSE: (Refused, lambda: f"pulumi up, with a HostLicense for {diagnosis.host}"),
        Check.HYPER_V: (WsmanFault, lambda: _hyper_v(step, given, there)),
        Check.DIRECT: (Refused, lambda: given.but(guest_transport="winrm")),
        Check.VM: (Refused, lambda: _vm(step, there)),
        Check.PEER: (AvmaError, lambda: _peer(step, given, there)),
    }
    kinds, command = commands.get(step.check, ((), str))
    # An error without an entry here is unexpected, so a recording of it helps.
    return command() if isinstance(step.error, kinds) else given.but(record=_RECORDING)


def _tls(step: Step, given: Command, there: str) -> str:
    if isinstance(step.error, InvalidInput):
        return given.but(ca_cert="AUTHORITY.pem")
    if not isinstance(step.error, CertificateNotTrusted):
        return given.but(https=not given.connection.https)
    return {
        Distrust.EXPIRED: f"{there}{_NEW_CERTIFICATE}",
        Distrust.NOT_YET_VALID: f"{there}w32tm /resync",
        Distrust.NAME: given.but(address="NAME-IN-THE-CERTIFICATE"),
        Distrust.ISSUER: given.but(ca_cert="AUTHORITY.pem"),
    }[step.error.distrust]


def _logon(step: Step, given: Command, there: str) -> str:
    if isinstance(step.error, InvalidInput):
        return sentences(step.error.remedy)
    if not isinstance(step.error, LogonRefused):
        return given.but(port="PORT")
    if step.error.refusal in (Refusal.TICKET, Refusal.KDC):
        negotiate = given.connection.auth is Auth.NEGOTIATE
        return given.but(auth="ntlm") if negotiate else f"kinit {given.connection.username or 'NAME@REALM'}"
    if step.error.refusal is Refusal.ACCOUNT:
        return given.but(username="USERNAME")
    auth = next(offered_methods(step.found, given.connection.https), None)
    return given.but(auth=auth.value) if auth else f"{there}winrm get winrm/config/service/auth"


def _virtualization(step: Step, given: Command, there: str) -> str:
    if isinstance(step.error, EmptyAnswer) and _is_built_in(given):
        return f"{there}Start-Service vmms"
    return _membership(_HYPER_V_ADMINISTRATORS, given, there)


def _is_built_in(given: Command) -> bool:
    """Return True for the built-in Administrator, a member of every group of administrators."""
    return given.connection.username.rpartition("\\")[2].lower() == _BUILT_IN


def _membership(group: str, given: Command, there: str) -> str:
    if _is_built_in(given):  # already a member, so membership is not the problem
        return given.but(record=_RECORDING)
    return f"{there}Add-LocalGroupMember -SID {group} -Member {literal(given.connection.username)}"


def _system(step: Step, given: Command, there: str) -> str:
    if not step.found:
        return given.at("HYPER-V-HOST")
    if compatibility.AZURE_LOCAL in step.found:
        return f"{there}Get-VMAutomaticActivation"
    named = _TARGET.search(step.error.remedy) if step.error else None
    target = named[1] if named else compatibility.dism_target(compatibility.DATACENTER, core=False)
    return f"{there}DISM /Online /Set-Edition:{target} /ProductKey:KEY /AcceptEula"


def _hyper_v(step: Step, given: Command, there: str) -> str:
    if step.error is None or not is_missing_class(step.error):
        return given.but(record=_RECORDING)
    return f"{there}Install-WindowsFeature Hyper-V -IncludeManagementTools -Restart"


def _vm(step: Step, there: str) -> str:
    if isinstance(step.error, DataExchangeOff):
        return f"{there}{switch_data_exchange_on(step.vm_id)}"
    if isinstance(step.error, Evaluation):
        return f"in {step.subject}: DISM /Online /Get-TargetEditions"
    if isinstance(step.error, NewerThanHost):
        return f"{there}{on_vm(step.vm_id, 'Move-VM -DestinationHost NEWER-HOST')}"
    return f"{there}{on_vm(step.vm_id, 'Format-List *')}"


def _peer(step: Step, given: Command, there: str) -> str:
    return (
        f"{there}Start-ClusterNode {literal(step.subject)}"
        if isinstance(step.error, NotReady)
        else given.at(step.subject)
    )
