"""Facts about remote shells of cmd.exe (WinRS), and about the opening of PowerShell shells."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from avma.wsman.envelope import Message, local_name
from avma_conformance.fact import Area, Effect, NotHere, Observation, equal, fact, like, question, true
from avma_conformance.fault_form import NO_FAULT, FaultForm, fault_form
from avma_conformance.remote_shell import (
    POWERSHELL,
    URI,
    Ended,
    RemoteShell,
    attempt,
    creation,
    element,
    fault_of_opening,
    opened,
)
from avma_conformance.subject import Subject

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

_MISSING_COMMAND = "Sender, InvalidSelectors, 0x8033805B, WSManFault, UnexpectedSelectors"
_SERVER_2012_R2 = 9600
_WITHOUT_COMMAND = "Sender, InvalidParameter, 0x00000057, WSManFault, InvalidValue, Shell cmd plugin"
_WAITS_FOR_INPUT = "sort"
_SHORT, _LONG = 8_000, 8_300
"""Characters of a command line below and above the limit of cmd.exe, with room for the way in which WinRS starts it."""
_MOST_SHELLS, _MOST_PROCESSES = 60, 60
_POWERSHELL_STREAMS = "<r:InputStreams>stdin pr</r:InputStreams><r:OutputStreams>stdout</r:OutputStreams>"
_PSRP = (("protocolversion", "2.2"),)


@fact(Area.SHELLS, "recorded by pypsrp and WinRMSharp", effect=Effect.HARMLESS)
def new_shell_has_an_address_and_a_description(subject: Subject) -> Observation:
    """The Body of the answer to Create contains ResourceCreated and then rsp:Shell."""
    with opened(subject) as shell:
        return equal(["ResourceCreated", "Shell"], [local_name(each) for each in _body(shell.created)])


@fact(Area.SHELLS, "recorded by pypsrp and WinRMSharp", effect=Effect.HARMLESS)
def new_shell_has_the_address_of_the_request(subject: Subject) -> Observation:
    """ResourceCreated contains the address that the client used."""
    with opened(subject) as shell:
        address = _text(shell.created, "ResourceCreated", "Address")
        return equal("the same", "the same" if address == subject.server.connection.endpoint else "another")


@fact(Area.SHELLS, "recorded by pypsrp and WinRMSharp", effect=Effect.HARMLESS)
def id_of_a_new_shell_is_a_guid(subject: Subject) -> Observation:
    """The selector ShellId of a new shell is a GUID in upper case, and rsp:Shell repeats it."""
    with opened(subject) as shell:
        form = "a GUID" if like("[0-9A-F]{8}(?:-[0-9A-F]{4}){3}-[0-9A-F]{12}", shell.id).holds else "another form"
        repeated = "repeated" if _text(shell.created, "Shell", "ShellId") == shell.id else "not repeated"
        return equal("a GUID, repeated", f"{form}, {repeated}")


@fact(Area.SHELLS, "recorded by WinRMSharp", effect=Effect.HARMLESS)
def new_shell_describes_itself(subject: Subject) -> Observation:
    """rsp:Shell of a cmd.exe shell lists nine properties in this order."""
    expected = "ShellId ResourceUri Owner ClientIP IdleTimeOut InputStreams OutputStreams ShellRunTime ShellInactivity"
    with opened(subject) as shell:
        found = (each for each in shell.created.iter() if local_name(each) == "Shell")
        return equal(expected, " ".join(local_name(each) for each in next(found, ())))


@fact(Area.SHELLS, "inferred: from the default of the setting IdleTimeout", effect=Effect.HARMLESS)
def shell_ends_after_two_idle_hours(subject: Subject) -> Observation:
    """If the client requests no other time, a shell ends after two idle hours."""
    with opened(subject) as shell:
        return equal("PT7200.000S", _text(shell.created, "Shell", "IdleTimeOut"))


@fact(Area.SHELLS, "MS-WSMV, pywinrm", effect=Effect.HARMLESS)
def output_of_a_command_arrives(subject: Subject) -> Observation:
    """Receive returns the standard output of a command, with the line ends of Windows."""
    with opened(subject) as shell:
        return _equal(Ended("avma\r\n", "", 0), shell.run("echo avma"), "the line")


@fact(Area.SHELLS, "MS-WSMV, pywinrm", effect=Effect.HARMLESS)
def exit_code_of_a_command_arrives(subject: Subject) -> Observation:
    """The state Done of a command contains its exit code."""
    with opened(subject) as shell:
        return equal("exit code 7", str(shell.run("exit 7")))


@fact(Area.SHELLS, "inferred: from cmd.exe", effect=Effect.HARMLESS)
def unknown_command_has_exit_code_one(subject: Subject) -> Observation:
    """A command that does not exist writes to the error output, and its exit code is 1."""
    with opened(subject) as shell:
        return equal("exit code 1, error output", str(shell.run("avma-has-no-such-command")))


@fact(Area.SHELLS, "MS-WSMV 3.1.4.11 note 117, pypsrp's documentation", effect=Effect.HARMLESS)
def cmd_starts_each_command(subject: Subject) -> Observation:
    """Windows ignores WINRS_SKIP_CMD_SHELL: a command of cmd.exe itself runs nevertheless."""
    with opened(subject) as shell:
        found = shell.run("echo avma", (("WINRS_CONSOLEMODE_STDIN", "TRUE"), ("WINRS_SKIP_CMD_SHELL", "TRUE")))
        return _equal(Ended("avma\r\n", "", 0), found, "the line")


@fact(Area.SHELLS, "limit of cmd.exe, mondoohq/mql#10072", effect=Effect.HARMLESS)
def command_line_below_8191_characters_runs(subject: Subject) -> Observation:
    """A command line of 8,000 characters runs."""
    text = "x" * (_SHORT - len("echo "))
    with opened(subject) as shell:
        return _equal(Ended(f"{text}\r\n", "", 0), shell.run(f"echo {text}"), "the line")


@fact(Area.SHELLS, "limit of cmd.exe, pywinrm#184, mondoohq/mql#10072", effect=Effect.HARMLESS)
def command_line_above_8191_characters_fails(subject: Subject) -> Observation:
    """A command line of 8,300 characters does not run: it writes only to the error output, and its exit code is 1."""
    with opened(subject) as shell:
        return equal("exit code 1, error output", str(shell.run(f"echo {'x' * (_LONG - len('echo '))}")))


@fact(Area.SHELLS, "MS-WSMV, pywinrm", effect=Effect.HARMLESS)
def input_reaches_a_command(subject: Subject) -> Observation:
    """Send passes input to a command, and its end."""
    with opened(subject) as shell:
        command = _started(shell)
        sent = fault_form(shell.type(command, b"avma\r\n"))
        return _equal(Ended("avma\r\n", "", 0), sent or shell.output(command), "the line")


@fact(Area.SHELLS, "inferred: from MS-WSMV", effect=Effect.HARMLESS)
def end_of_each_stream_is_marked(subject: Subject) -> Observation:
    """The last Receive of a command marks the end of both output streams."""
    with opened(subject) as shell:
        command, ends = shell.start("exit 0"), set[str]()
        while not isinstance(command, FaultForm) and subject.deadline.remaining() > 0:
            found = shell.receive(command)
            streams = (each for each in found.iter() if local_name(each) == "Stream")
            ends |= {each.get("Name", "") for each in streams if each.get("End", "").lower() == "true"}
            if fault_form(found) or any((each.get("State") or "").endswith("/Done") for each in found.iter()):
                break
        return equal({"stdout", "stderr"}, ends)


@fact(Area.SHELLS, "MS-WSMV, pywinrm", effect=Effect.HARMLESS)
def silent_command_times_out(subject: Subject) -> Observation:
    """Receive ends with TimedOut after its operation timeout if there is no output."""
    with opened(subject) as shell:
        command = _started(shell)
        found = fault_form(shell.receive(command, timeout=1.0))
        shell.signal(command)
        return equal("Receiver, TimedOut, 0x80338029, WSManFault", _shown(found))


@fact(Area.SHELLS, "recorded on Windows Server 2016", effect=Effect.HARMLESS)
def receive_without_a_command_is_an_invalid_parameter(subject: Subject) -> Observation:
    """Receive without a CommandId is rejected with the number 87 by the plug-in."""
    with opened(subject) as shell:
        return equal(_WITHOUT_COMMAND, _shown(fault_form(shell.receive(None))))


@fact(Area.SHELLS, "inferred: from Receive, recorded on Windows Server 2016", effect=Effect.HARMLESS)
def signal_without_a_command_is_an_invalid_parameter(subject: Subject) -> Observation:
    """Signal without a CommandId is rejected like Receive."""
    with opened(subject) as shell:
        return equal(_WITHOUT_COMMAND, _shown(fault_form(shell.signal(None))))


@fact(Area.SHELLS, "recorded by WinRMSharp: Argument instead of Arguments", effect=Effect.HARMLESS)
def unknown_element_of_a_command_is_a_schema_error(subject: Subject) -> Observation:
    """CommandLine with an unknown element is rejected with SchemaValidationError."""
    body = element("CommandLine", "<r:Command>hostname</r:Command><r:Argument>x</r:Argument>")
    with opened(subject) as shell:
        fault = fault_form(shell.send(f"{URI}/Command", body))
        return equal("Sender, SchemaValidationError, 0x80338041, WSManFault", _shown(fault))


@fact(Area.SHELLS, "recorded on Windows Server 2022", effect=Effect.HARMLESS)
def missing_command_has_invalid_selectors(subject: Subject) -> Observation:
    """Receive for a command that the shell does not have is rejected with InvalidSelectors, without a plug-in."""
    with opened(subject) as shell:
        return equal(_MISSING_COMMAND, _shown(fault_form(shell.receive(str(uuid.uuid4()).upper()))))


@fact(Area.SHELLS, "inferred: from a missing command, recorded on Windows Server 2022", effect=Effect.HARMLESS)
def terminated_command_is_forgotten(subject: Subject) -> Observation:
    """After the signal terminate, the shell does not have the command any more."""
    with opened(subject) as shell:
        command = _started(shell)
        shell.signal(command)
        return equal(_MISSING_COMMAND, _shown(fault_form(shell.receive(command))))


@fact(Area.SHELLS, "recorded on Windows Server 2022, reported for 2012 R2 in WinRb/WinRM#253")
def missing_shell_has_invalid_selectors(subject: Subject) -> Observation:
    """A message to a missing shell is rejected with InvalidSelectors, after 2012 R2 by the Shell provider."""
    body = element("Receive", "<r:DesiredStream>stdout</r:DesiredStream>")
    selectors = (("ShellId", str(uuid.uuid4()).upper()),)
    message = Message(f"{URI}/Receive", f"{URI}/cmd", body, selectors)
    return equal(_missing_shell(subject), _shown(subject.fault(message)))


@fact(Area.SHELLS, "inferred: from MS-WSMV", effect=Effect.HARMLESS)
def delete_of_a_shell_has_an_empty_answer(subject: Subject) -> Observation:
    """The answer to Delete of a shell has an empty Body."""
    with opened(subject) as shell:
        return equal(0, len(_body(shell.delete())))


@fact(Area.SHELLS, "inferred: from a missing shell, recorded on Windows Server 2022", effect=Effect.HARMLESS)
def deleted_shell_is_missing(subject: Subject) -> Observation:
    """After Delete, the shell does not exist any more."""
    with opened(subject) as shell:
        shell.delete()
        return equal(_missing_shell(subject), _shown(fault_form(shell.delete())))


@fact(Area.SHELLS, "inferred: from the number of a job's limit", effect=Effect.HARMLESS)
def too_many_processes_exceed_a_quota(subject: Subject) -> Observation:
    """A shell with its maximum of running commands rejects another one with 0x80070718."""
    with opened(subject) as shell:
        for _ in range(_MOST_PROCESSES):
            command = shell.start(_WAITS_FOR_INPUT)
            if isinstance(command, FaultForm):
                return equal("Receiver, InternalError, 0x80070718, WSManFault, Shell cmd plugin", str(command))
    raise NotHere(f"a shell may have more than {_MOST_PROCESSES} running commands")


@fact(Area.SHELLS, "recorded with a quota of one shell", effect=Effect.SPENDS)
def too_many_shells_exceed_a_quota(subject: Subject) -> Observation:
    """An account with its maximum of open shells gets a QuotaLimit fault with an MSFT_WmiError."""
    shells: list[RemoteShell] = []
    try:
        while len(shells) < _MOST_SHELLS:
            shell = attempt(subject, creation())
            if isinstance(shell, FaultForm):
                return equal("Sender, QuotaLimit, 0x803381A5, MSFT_WmiError", str(shell))
            shells.append(shell)
    finally:
        for shell in shells:
            shell.delete()
    raise NotHere(f"an account may have more than {_MOST_SHELLS} open shells")


@fact(Area.SHELLS, "recorded by pypsrp", effect=Effect.HARMLESS)
def powershell_shell_needs_its_first_messages(subject: Subject) -> Observation:
    """Create of a PowerShell shell without creationXml is rejected with 0x80540FA0 by its plug-in."""
    found = fault_of_opening(subject, creation(POWERSHELL, _POWERSHELL_STREAMS, _PSRP))
    return equal("0x80540FA0, microsoft.powershell", _number_and_plugin(found))


@fact(Area.SHELLS, "inferred: from the number for invalid parameters", effect=Effect.HARMLESS)
def unreadable_first_messages_are_an_invalid_parameter(subject: Subject) -> Observation:
    """Create of a PowerShell shell with a creationXml that is not PSRP is rejected with the number 87."""
    content = f'{_POWERSHELL_STREAMS}<creationXml xmlns="http://schemas.microsoft.com/powershell">AAAA</creationXml>'
    found = fault_of_opening(subject, creation(POWERSHELL, content, _PSRP))
    return equal("0x00000057, microsoft.powershell", _number_and_plugin(found))


DUPLICATE_SHELL = question(
    "duplicate-shell-id-already-exists",
    Area.SHELLS,
    "Create of a PowerShell shell with the ID of an open shell is rejected with 0x800700B7 by its plug-in.",
    "Record a Create of `New-PSSession`. Send it again from the same account while the session is open, and note the "
    "fault.",
)
CHUNKED = question(
    "shell-message-in-chunks-is-not-supported",
    Area.SHELLS,
    "A message to a shell with chunked transfer encoding is rejected with UnsupportedFeature and the number 50.",
    "Send a Create of a shell with `Transfer-Encoding: chunked` over HTTPS, for example with curl. Note the fault.",
)


def _equal(expected: Ended, found: Ended | FaultForm, name: str) -> Observation:
    """Compare a whole result without showing its text. `name` describes the expected output."""
    shown = f"exit code {expected.exit_code}, {name}"
    return true(shown, found == expected, shown if found == expected else str(found))


def _started(shell: RemoteShell) -> str:
    command = shell.start(_WAITS_FOR_INPUT)
    if isinstance(command, FaultForm):
        raise NotHere(f"no command started: {command}")
    return command


def _missing_shell(subject: Subject) -> str:
    """Return the fault for a missing shell. On 2012 R2 it is that for a missing command."""
    old = subject.server.system(subject.deadline).build <= _SERVER_2012_R2
    return _MISSING_COMMAND if old else f"{_MISSING_COMMAND}, Shell provider"


def _shown(fault: FaultForm | str | None) -> str:
    return str(fault or NO_FAULT)


def _number_and_plugin(fault: FaultForm | str) -> str:
    return fault if isinstance(fault, str) else f"0x{fault.number:08X}, {fault.provider}"


def _body(answer: Element) -> list[Element]:
    return [child for each in answer if local_name(each) == "Body" for child in each]


def _text(answer: Element, parent: str, name: str) -> str:
    outer = next((each for each in answer.iter() if local_name(each) == parent), None)
    return "" if outer is None else next((each.text or "" for each in outer.iter() if local_name(each) == name), "")
