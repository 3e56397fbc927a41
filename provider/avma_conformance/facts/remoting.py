"""Facts about PowerShell remoting: runspace pools over WS-Management ([MS-PSRP], MS-WSMV 3.1.4.1.31)."""

from __future__ import annotations

from avma import errors
from avma.wsman.envelope import TRANSFER, Message, local_name
from avma.wsman.script import Credential, Secret
from avma_conformance.fact import Area, NotHere, Observation, equal, fact, like, one_of, true
from avma_conformance.remote import BYTE_ORDER_MARK, POWERSHELL, SHELL, RemoteSession, new_id
from avma_conformance.subject import Subject

_2012_R2 = 9600
_OUT_OF_BOUNDS = 0x803381F2
"""ERROR_WINRS_IDLETIMEOUT_OUTOFBOUNDS."""
_UNKNOWN_CONFIGURATION = ("0x80338000", "0x8033803B")
"""ERROR_WSMAN_RESOURCE_NOT_FOUND, ERROR_WSMAN_INVALID_RESOURCE_URI."""
_NEVER_ENDS = "Start-Sleep -Seconds 100"
_PIPELINE_STOPPED = "3"
"""`PSInvocationState.Stopped` ([MS-PSRP] 2.2.3.5)."""


def _sameness(expected: object, found: object) -> str:
    return "the same" if expected == found else "another"


def _build(subject: Subject) -> int:
    return subject.server.system(subject.deadline).build


@fact(Area.REMOTING, "MS-PSRP 3.2.5.3.1, recorded by pypsrp")
def pool_opens_with_three_messages(subject: Subject) -> Observation:
    """A pool that opens sends its capability, its private data and its state."""
    with RemoteSession(subject) as session:
        found = {each.kind for each in session.messages}
    return equal({"SESSION_CAPABILITY", "APPLICATION_PRIVATE_DATA", "RUNSPACEPOOL_STATE"}, found)


@fact(Area.REMOTING, "MS-PSRP 2.2.2.1, recorded by pypsrp")
def pool_speaks_protocol_2_3(subject: Subject) -> Observation:
    """A pool of Windows PowerShell 5.1 speaks protocol 2.3 with serialization 1.1.0.1. PowerShell 4.0 speaks 2.2."""
    with RemoteSession(subject) as session:
        capability = session.of_kind("SESSION_CAPABILITY")
    names = ("protocolversion", "PSVersion", "SerializationVersion")
    found = ", ".join(capability.text(name) for name in names)
    newest = "2.3, 2.0, 1.1.0.1"
    # 2012 R2 came with 4.0, and an update brings 5.1.
    return one_of((newest, "2.2, 2.0, 1.1.0.1") if _build(subject) == _2012_R2 else (newest,), found)


@fact(Area.REMOTING, "recorded by pypsrp; inferred for 2012 R2: Windows came with PowerShell 4.0")
def pool_runs_windows_powershell_5_1(subject: Subject) -> Observation:
    """A pool runs Windows PowerShell 5.1, whatever newer PowerShell is installed. 2012 R2 can have 4.0."""
    with RemoteSession(subject) as session:
        found = session.of_kind("APPLICATION_PRIVATE_DATA").entry("PSVersion")
    return like(r"5\.1(\.\d+){0,2}|4\.0" if _build(subject) == _2012_R2 else r"5\.1(\.\d+){0,2}", found)


@fact(Area.REMOTING, "recorded by pypsrp")
def message_data_begins_with_a_byte_order_mark(subject: Subject) -> Observation:
    """The data of each message of PowerShell begins with a byte order mark."""
    with RemoteSession(subject) as session:
        marked = [each.data.startswith(BYTE_ORDER_MARK) for each in session.messages]
    found = f"{sum(marked)} of {len(marked)} messages"
    return true("all messages", bool(marked) and all(marked), found)


@fact(Area.REMOTING, "recorded by pypsrp")
def pool_has_the_id_that_its_client_chose(subject: Subject) -> Observation:
    """The ShellId of a pool is the id that the client chose, so a client can delete a pool after a lost answer."""
    with RemoteSession(subject) as session:
        chosen = session.pool.id
        found = session.shell_element("ShellId")
    return equal("the same", _sameness(chosen.upper(), found.upper()))


@fact(Area.REMOTING, "New-PSSessionOption at learn.microsoft.com")
def idle_timeout_of_a_minute_is_accepted(subject: Subject) -> Observation:
    """A pool can have an idle timeout of one minute, and Windows reports it."""
    with RemoteSession(subject, idle_timeout=60.0) as session:
        return equal("PT60.000S", session.shell_element("IdleTimeOut"))


@fact(Area.REMOTING, "inferred: wsmerror.h has a number for it, and New-PSSessionOption documents the minimum")
def idle_timeout_below_a_minute_is_rejected(subject: Subject) -> Observation:
    """Windows rejects a pool with an idle timeout below one minute."""
    session = RemoteSession(subject, idle_timeout=30.0)
    try:
        with session:
            return equal(f"0x{_OUT_OF_BOUNDS:08X}", f"a pool with {session.shell_element('IdleTimeOut')}")
    except errors.WsmanFault as error:
        return equal(f"0x{_OUT_OF_BOUNDS:08X}", f"0x{error.code:08X}")


@fact(Area.REMOTING, "inferred: the texts of both numbers in wsmerror.h")
def unknown_session_configuration_is_not_found(subject: Subject) -> Observation:
    """A pool in a session configuration that does not exist is an unknown resource."""
    streams = "<rsp:InputStreams>stdin pr</rsp:InputStreams><rsp:OutputStreams>stdout</rsp:OutputStreams>"
    body = f'<rsp:Shell xmlns:rsp="{SHELL}">{streams}</rsp:Shell>'
    fault = subject.fault(Message(f"{TRANSFER}/Create", f"{POWERSHELL}/AvmaNothing", body))
    return one_of(_UNKNOWN_CONFIGURATION, fault if isinstance(fault, str) else f"0x{fault.number:08X}")


@fact(Area.REMOTING, "MS-WSMV 3.1.4.14, recorded by pypsrp")
def receive_without_output_times_out(subject: Subject) -> Observation:
    """A Receive without any output ends with the fault TimedOut after its OperationTimeout."""
    with RemoteSession(subject) as session:
        fault = session.fault(session.receive(), timeout=2.0)
    return equal("Receiver, TimedOut, 0x80338029, WSManFault", str(fault))


@fact(Area.REMOTING, "recorded on Windows Server 2022")
def receive_of_an_unknown_pipeline_is_invalid_selectors(subject: Subject) -> Observation:
    """A Receive of a pipeline that does not exist fails with InvalidSelectors."""
    with RemoteSession(subject) as session:
        fault = session.fault(session.receive(new_id()))
    return equal("Sender, InvalidSelectors, 0x8033805B, WSManFault, UnexpectedSelectors", str(fault))


@fact(Area.REMOTING, "MS-PSRP 3.1.5.3.10, recorded by pypsrp")
def closed_pipeline_no_longer_exists(subject: Subject) -> Observation:
    """A pipeline that the client has terminated no longer exists, so it does not count against the quota."""
    with RemoteSession(subject) as session:
        session.run("Write-Output 'text'")
        fault = session.fault(session.receive(session.command_id))
    return equal("0x8033805B", fault if isinstance(fault, str) else f"0x{fault.number:08X}")


@fact(Area.REMOTING, "recorded on Windows Server 2022")
def deleted_pool_is_invalid_selectors(subject: Subject) -> Observation:
    """A pool can be deleted once. A second Delete fails with InvalidSelectors, after 2012 R2 by the Shell provider."""
    with RemoteSession(subject) as session:
        faults = [session.fault(session.delete()) for _ in range(2)]
    nested = "" if _build(subject) == _2012_R2 else ", Shell provider"
    second = f"Sender, InvalidSelectors, 0x8033805B, WSManFault, UnexpectedSelectors{nested}"
    return equal(f"no fault; {second}", "; ".join(map(str, faults)))


@fact(Area.REMOTING, "MS-PSRP 2.2.5.3.2")
def output_keeps_every_character(subject: Subject) -> Observation:
    """A text outside of ASCII, with a surrogate pair and an underscore escape, arrives as it was sent."""
    text = "\u00fc \u6f22 \U0001f600 _x0041_"
    with RemoteSession(subject) as session:
        found = session.run(f"Write-Output '{text}'").objects
    return equal((text,), found)


@fact(Area.REMOTING, "MS-PSRP 2.2.2.19")
def output_arrives_before_the_script_ends(subject: Subject) -> Observation:
    """The output of a script arrives while the script still runs."""
    with RemoteSession(subject) as session:
        output = session.run(f"Write-Output 'first'\n{_NEVER_ENDS}", until=lambda output: bool(output.objects))
        state = "running" if session.is_running else "ended"
    return equal("first, running", ", ".join((*map(str, output.objects), state)))


@fact(Area.REMOTING, "MS-PSRP 2.2.5.1.24, recorded by pypsrp")
def secure_string_is_decrypted(subject: Subject) -> Observation:
    """PowerShell decrypts a SecureString with the session key, and encrypts it again for the way back."""
    sent = Secret("a secret of \u00e4\u00f6\U0001f600")
    with RemoteSession(subject) as session:
        found = session.run("param($Value)\n$Value", {"Value": sent}).objects
        clear = any(sent.text in each.data for each in session.messages)
    return equal("the same, encrypted", f"{_sameness((sent.text,), found)}, {'in clear' if clear else 'encrypted'}")


@fact(Area.REMOTING, "MS-PSRP 2.2.3.25")
def credential_becomes_a_pscredential(subject: Subject) -> Observation:
    """PowerShell receives a user name and a SecureString as PSCredential, and sends its password encrypted."""
    with RemoteSession(subject) as session:
        session.run("param($Value)\n$Value", {"Value": Credential("avma", "not a password")})
        data = session.of_kind("PIPELINE_OUTPUT")
    types = [each.text for each in data.root.iter() if local_name(each) == "T"]
    found = [
        "PSCredential" if "System.Management.Automation.PSCredential" in types else "another type",
        "the same user" if data.text("UserName") == "avma" else "another user",
        "an encrypted password" if "not a password" not in data.data and data.text("Password") else "a clear password",
    ]
    return equal("PSCredential, the same user, an encrypted password", ", ".join(found))


@fact(Area.REMOTING, "MS-PSRP 2.2.5.1")
def parameters_keep_their_values(subject: Subject) -> Observation:
    """A list with numbers of 32 and 64 bits, a fraction and null returns as it was sent."""
    sent = [16, 1 << 40, 0.25, None, "text"]
    with RemoteSession(subject) as session:
        found = session.run("param($Value)\n$Value", {"Value": sent}).objects
    return equal(tuple(sent), found)


@fact(Area.REMOTING, "PowerShell source, CommandDiscovery.cs, recorded by pypsrp")
def unknown_command_does_not_end_a_script(subject: Subject) -> Observation:
    """An unknown command writes the error CommandNotFoundException, and the script goes on."""
    with RemoteSession(subject) as session:
        output = session.run("Get-AvmaNothing\nWrite-Output 'after'")
    found = [*(each.error_id for each in output.errors), *output.objects, "completed" if output.completed else "failed"]
    return equal("CommandNotFoundException, after, completed", ", ".join(map(str, found)))


@fact(Area.REMOTING, "MS-PSRP 2.2.3.15, recorded by pypsrp")
def error_record_has_the_number_of_its_category(subject: Subject) -> Observation:
    """The record of an unknown command has the category ObjectNotFound, which is 13."""
    with RemoteSession(subject) as session:
        session.run("Get-AvmaNothing")
        return equal("13", session.of_kind("ERROR_RECORD").text("ErrorCategory_Category"))


@fact(Area.REMOTING, "PowerShell source, write.cs")
def error_record_has_the_id_of_its_author(subject: Subject) -> Observation:
    """The FullyQualifiedErrorId of an error record begins with the id that its author gave."""
    with RemoteSession(subject) as session:
        output = session.run("Write-Error -Message 'text' -ErrorId 'AvmaNothing'")
    return like("AvmaNothing(,.*)?", ", ".join(each.error_id for each in output.errors))


@fact(Area.REMOTING, "recorded by pypsrp")
def terminating_error_is_in_the_state_alone(subject: Subject) -> Observation:
    """A terminating error ends the pipeline as failed. It is part of the state, and not of the error stream."""
    with RemoteSession(subject) as session:
        output = session.run("throw 'avma'")
        state = session.of_kind("PIPELINE_STATE")
        in_stream = any(each.kind == "ERROR_RECORD" for each in session.messages)
    found = [state.text("FullyQualifiedErrorId"), "completed" if output.completed else "failed"]
    return equal("avma, failed", ", ".join([*found, *(["in the error stream"] if in_stream else [])]))


@fact(Area.REMOTING, "PowerShell source, ParseException")
def syntax_error_runs_nothing(subject: Subject) -> Observation:
    """A script with a syntax error fails as a whole with the category ParserError, which is 17."""
    with RemoteSession(subject) as session:
        output = session.run("Write-Output 'first'\n& { Write-Output 'second'")
        category = session.of_kind("PIPELINE_STATE").text("ErrorCategory_Category")
    found = f"{len(output.objects)} objects, category {category}, {'completed' if output.completed else 'failed'}"
    return equal("0 objects, category 17, failed", found)


@fact(Area.REMOTING, "MS-PSRP 3.1.5.3.9, recorded by pypsrp")
def stopped_pipeline_reports_its_end(subject: Subject) -> Observation:
    """The signal crtl_c stops a running script. The pipeline reports the state Stopped, and its output ends."""
    with RemoteSession(subject) as session:
        session.run(_NEVER_ENDS, until=lambda _: True)
        fault = session.fault(session.signal(session.command_id))
        while session.is_running:
            subject.context.wait(0.1)
        state = session.of_kind("PIPELINE_STATE").text("PipelineState")
    return equal(f"no fault, state {_PIPELINE_STOPPED}", f"{fault}, state {state}")


@fact(Area.REMOTING, "MS-PSRP 1.3")
def two_pools_run_in_parallel(subject: Subject) -> Observation:
    """A script in one pool does not wait for a script in another pool of the same account."""
    with RemoteSession(subject) as slow, RemoteSession(subject) as quick:
        slow.run(_NEVER_ENDS, until=lambda _: True)
        output = quick.run("Write-Output 'text'")
        state = "running" if slow.is_running else "ended"
    return equal("text, running", ", ".join((*map(str, output.objects), state)))


@fact(Area.REMOTING, "inferred: a pool runs one script after the other in the same runspace")
def pool_runs_several_scripts(subject: Subject) -> Observation:
    """A pool runs a second script after the first one has failed."""
    with RemoteSession(subject) as session:
        session.run("throw 'avma'")
        return equal(("second",), session.run("Write-Output 'second'").objects)


@fact(Area.REMOTING, "PowerShell source, ImportModuleCommand.cs")
def missing_module_is_module_not_found(subject: Subject) -> Observation:
    """Import-Module of a module that is not installed fails with Modules_ModuleNotFound and E_FILENOTFOUND."""
    if subject.server.system(subject.deadline).azure_local:
        raise NotHere("the machine has the module ServerAVMAManager")
    answers, _ = subject.run("server-avma-manager", {"Action": "get"})
    trouble = answers[0].get("error", {}) if answers else {}
    found = f"{trouble.get('errorId')}, {trouble.get('hresult')}"
    return equal("Modules_ModuleNotFound,Microsoft.PowerShell.Commands.ImportModuleCommand, -2147024894", found)
