"""The faults of remote shells (MS-WSMV 3.1.4.5.2), from the service or from its plug-in for shells."""

from __future__ import annotations

from dataclasses import replace

from avma_simulator.wsman import wsman_faults
from avma_simulator.wsman.wsman_faults import Fault, Provider

_CIM_QUOTA = 27
_PLUGIN = Provider("Shell cmd plugin", r"%systemroot%\system32\winrscmd.dll")
_SHELLS = Provider("Shell provider", r"%systemroot%\system32\WsmSvc.dll", nests=True)
_POWERSHELL = Provider("microsoft.powershell", r"C:\Windows\system32\pwrshplugin.dll")

TOO_MANY_SHELLS = 0x803381A5
SHELLS_NOT_ALLOWED = 0x803381AC
NOT_SUPPORTED = 50
TOO_MANY_COMMANDS = 0x803381E9
INVALID_PARAMETER = 87
ALREADY_EXISTS = 0x800700B7
NO_CREATION_XML = 0x80540FA0
NOT_ENOUGH_QUOTA = 0x80070718
IDLE_TIMEOUT = 0x803381F2


def not_allowed() -> Fault:
    """Return the fault of a machine that does not allow remote shells."""
    text = "The WinRM service is configured to not allow remote shell requests."
    return Fault("s:Sender", "w:AccessDenied", SHELLS_NOT_ALLOWED, text)


def chunked() -> Fault:
    """Return the fault for a message in chunks. Reported: the number.

    Inferred (shell-message-in-chunks-is-not-supported): the code and subcode.
    """
    return Fault("s:Sender", "w:UnsupportedFeature", NOT_SUPPORTED, "The request is not supported. ")


def too_many(most: int) -> Fault:
    """Return the fault for a user with too many open shells."""
    text = f"This user is allowed a maximum number of {most} concurrent shells, which has been exceeded."
    return Fault("s:Sender", "w:QuotaLimit", TOO_MANY_SHELLS, text, cim_status=_CIM_QUOTA)


def too_many_commands() -> Fault:
    """Return the fault for a shell with too many unclosed commands. Reported: the text and the subcode."""
    text = (
        "The WS-Management service cannot process the request. The maximum number of concurrent commands per shell has "
        "been exceeded. Retry the request later or raise the Maximum Commands per Shell quota. "
    )
    return Fault("s:Receiver", "w:InternalError", TOO_MANY_COMMANDS, text, cim_status=_CIM_QUOTA)


def not_enough_quota() -> Fault:
    """Return the fault for a shell with too many processes.

    Inferred (too-many-processes-exceed-a-quota): the number, that of a job's limit.
    """
    return failed(NOT_ENOUGH_QUOTA, "Not enough quota is available to process this command. ", powershell=False)


def idle_timeout_out_of_bounds() -> Fault:
    """Return the fault for an idle timeout below one minute. The number is ERROR_WINRS_IDLETIMEOUT_OUTOFBOUNDS.

    Inferred (idle-timeout-below-a-minute-is-rejected): that Windows rejects it, and all of the fault but its number.
    """
    text = "The WS-Management service cannot process the request. The requested idle timeout is out of bounds. "
    return Fault("s:Sender", "w:InvalidParameter", IDLE_TIMEOUT, text)


def not_found(nests: bool) -> Fault:
    """Return the fault for a missing shell. Recorded on Windows Server 2022: it nests that of a provider.

    Reported for 2012 R2: it does not (WinRb/WinRM#253).
    """
    text = "The request for the Windows Remote Shell failed because the shell was not found on the server. "
    return replace(_invalid_selectors(), **({"provider": _SHELLS} if nests else {"message": text}))


def command_not_found() -> Fault:
    """Return the fault for a missing command. Recorded on Windows Server 2022."""
    text = (
        "The Windows Remote Shell received a request to perform an operation on a command identifier that does not "
        "exist. Either the command has completed execution or the client specified an invalid command identifier. "
    )
    return replace(_invalid_selectors(), message=text)


def _invalid_selectors() -> Fault:
    text = (
        "The WS-Management service cannot process the request because the request contained invalid selectors for the "
        "resource. "
    )
    return replace(wsman_faults.invalid_selectors(), reason=text)


def invalid_parameter() -> Fault:
    """Return the fault for a Receive or Signal without a command. Recorded on Windows Server 2016."""
    text, detail = "The parameter is incorrect. ", "InvalidValue"
    return Fault("s:Sender", "w:InvalidParameter", INVALID_PARAMETER, text, fault_detail=detail, provider=_PLUGIN)


def unknown_configuration(resource: str) -> Fault:
    """Return the fault for an unregistered session configuration. Reported: the number and the text."""
    text = (
        f"The WS-Management service cannot process the request. The resource URI ({resource}) was not found in the "
        "WS-Management catalog. The catalog contains the metadata that describes resources, or logical endpoints. "
    )
    fault = wsman_faults.invalid_resource()
    return replace(fault, reason=text)


def already_exists() -> Fault:
    """Return the fault for a duplicate shell ID. Inferred (duplicate-shell-id-already-exists): the whole fault."""
    return failed(ALREADY_EXISTS, "Cannot create a file when that file already exists. ", powershell=True)


def failed(number: int, text: str, powershell: bool) -> Fault:
    """Return the fault of a shell plug-in that failed with a number."""
    return Fault("s:Receiver", "w:InternalError", number, text, provider=_POWERSHELL if powershell else _PLUGIN)


def no_creation_xml() -> Fault:
    """Return the fault for a PowerShell shell without its first messages. Recorded."""
    return failed(NO_CREATION_XML, "Element 'creationXml' was not found. Line 1, position 2.\r\n", powershell=True)


def unreadable_fragments() -> Fault:
    """Return the fault for invalid PSRP messages.

    Inferred (unreadable-first-messages-are-an-invalid-parameter): the number and the text.
    """
    return failed(INVALID_PARAMETER, "The data from the client is not valid. ", powershell=True)
