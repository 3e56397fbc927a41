"""The faults of remote shells (MS-WSMV 3.1.4.5.2), told by the service or by its plug-in for shells.

The module knows faults and not what led to them.
"""

from __future__ import annotations

from avma_simulator.faults import Fault, Provider

_CIM_QUOTA = 27
_PLUGIN = Provider("Shell cmd plugin", r"%systemroot%\system32\winrscmd.dll")

TOO_MANY_SHELLS = 0x803381A5
SHELLS_NOT_ALLOWED = 0x803381AC
NOT_SUPPORTED = 50
FILE_NOT_FOUND = 0x80070002
COMMAND_LINE_TOO_LONG = 0x800700CE
NOT_ENOUGH_QUOTA = 0x80070718


def not_allowed() -> Fault:
    """Return the fault of a machine that lets nobody open a remote shell."""
    text = "The WinRM service is configured to not allow remote shell requests."
    return Fault("s:Sender", "w:AccessDenied", SHELLS_NOT_ALLOWED, text)


def chunked() -> Fault:
    """Return the fault of a message that came in chunks. Inferred: its code and subcode; the number is reported."""
    return Fault("s:Sender", "w:UnsupportedFeature", NOT_SUPPORTED, "The request is not supported. ")


def too_many(most: int) -> Fault:
    """Return the fault of a user who has too many shells open."""
    text = f"This user is allowed a maximum number of {most} concurrent shells, which has been exceeded."
    return Fault("s:Sender", "w:QuotaLimit", TOO_MANY_SHELLS, text, cim_status=_CIM_QUOTA)


def not_enough_quota() -> Fault:
    """Return the fault of a shell that may start no more processes. Inferred: the number, that of a job's limit."""
    return _refused(NOT_ENOUGH_QUOTA, "Not enough quota is available to process this command. ")


def command_line_too_long() -> Fault:
    """Return the fault of a command line that Windows cannot start."""
    return _refused(COMMAND_LINE_TOO_LONG, "The filename or extension is too long. ")


def file_not_found() -> Fault:
    """Return the fault of a program that is not there, where no cmd.exe stands in between to say so."""
    return _refused(FILE_NOT_FOUND, "The system cannot find the file specified. ")


def _refused(number: int, text: str) -> Fault:
    return Fault("s:Receiver", "w:InternalError", number, text, provider=_PLUGIN)
