"""Facts about PowerShell Direct: sessions in Windows inside VMs, through the script `cim-in-guest`."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from avma.windows.guest_requests import GuestOperation, GuestRequest
from avma.windows.guest_runs import SCRIPT
from avma.wsman.script import Credential
from avma_conformance.fact import Area, Effect, NotHere, Observation, On, equal, fact, like, one_of, true
from avma_conformance.subject import CIMV2, Subject

_2016 = 14393
_GET_VM = "Microsoft.HyperV.PowerShell.Commands.GetVM"
_INVOKE_COMMAND = "Microsoft.PowerShell.Commands.InvokeCommandCommand"
_CIM = "Microsoft.Management.Infrastructure.CimCmdlets"
_NOBODY = Credential("avma-nobody", "avma-Nothing-1")
"""An account that does not exist, so no wrong password counts against a real one."""
_NO_KEY = "BBBBB-CCCCC-DDDDD-FFFFF-GGGGG"
"""A well-formed product key that does not exist."""
_SERVICE = "SELECT Version FROM SoftwareLicensingService"
_KEYS = "SELECT PartialProductKey FROM SoftwareLicensingProduct WHERE PartialProductKey IS NOT NULL"
_REJECTED = "PSSessionStateBroken with PSDirectException"


def _ask(subject: Subject, vm_id: str, account: Credential, *operations: GuestOperation) -> Mapping[str, Any]:
    """Return the answer of the script for one VM. Its session may have failed."""
    request = GuestRequest(vm_id, account, operations, subject.context)
    parameters = {"Guests": [request.as_parameter()], "ThrottleLimit": 1, "Timeout": 90.0}
    answers, complaint = subject.run(SCRIPT, parameters)
    return next((answer for answer in answers if "id" in answer), {"error": {"errorId": complaint}})


def _in_guest(subject: Subject, *operations: GuestOperation) -> list[Mapping[str, Any]]:
    """Return the results of operations in the guest.

    Raises:
        NotHere: the session in the guest failed.
    """
    answer = _ask(subject, subject.guest_vm.id, subject.guest_account, *operations)
    if "results" not in answer:
        raise NotHere(f"the session failed: {_error_id(answer)}")
    return list(answer["results"])


def _query(wql: str, namespace: str = CIMV2) -> GuestOperation:
    return {"namespace": namespace, "query": wql}


def _rows(result: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the rows of a query.

    Raises:
        NotHere: the query failed.
    """
    if "rows" not in result:
        raise NotHere(f"the query failed: {_error_id(result)}")
    return list(result["rows"])


def _error_id(answer: Mapping[str, Any]) -> str:
    return str(answer.get("error", {}).get("errorId", "no error"))


def _session_error(answer: Mapping[str, Any]) -> str:
    """Return the kind of a session's error: the parts that do not depend on the language."""
    error = answer.get("error", {})
    ids = str(error.get("errorId", "no error")).split(",")
    known = "PSSessionStateBroken" if "PSSessionStateBroken" in ids else ids[0]
    types = [str(name).rpartition(".")[2] for name in error.get("exceptions", [])]
    return f"{known} with {'PSDirectException' if 'PSDirectException' in types else ', '.join(types) or 'no exception'}"


def _numbered_error(result: Mapping[str, Any]) -> str:
    """Return the id and the number of an operation's error."""
    error = result.get("error")
    return f"{error['errorId']}, {error['hresult']}" if isinstance(error, Mapping) else "no error"


def _has_direct(subject: Subject) -> bool:
    return subject.server.system(subject.deadline).build >= _2016


def _require_direct(subject: Subject) -> None:
    if not _has_direct(subject):
        raise NotHere("PowerShell Direct needs Windows Server 2016")


def _host_facts(subject: Subject) -> Mapping[str, Any]:
    answers, complaint = subject.run(SCRIPT, {"Guests": [], "ThrottleLimit": 1, "Timeout": 1.0})
    return dict(answers[0].get("host", {})) if answers else {"languageMode": complaint}


@fact(Area.GUESTS, "Manage Windows virtual machines with PowerShell Direct at learn.microsoft.com")
def powershell_direct_came_with_windows_server_2016(subject: Subject) -> Observation:
    """Invoke-Command has the parameter VMId on Windows Server 2016 and later, and not on 2012 R2."""
    return equal(_has_direct(subject), _host_facts(subject).get("direct"))


@fact(Area.GUESTS, "about_Language_Modes at learn.microsoft.com")
def remote_session_is_in_full_language_mode(subject: Subject) -> Observation:
    """A remote session is in the mode FullLanguage, unless application control restricts it."""
    return equal("FullLanguage", _host_facts(subject).get("languageMode"))


@fact(Area.GUESTS, "Hyper-V module at learn.microsoft.com", on=On.HYPER_V)
def get_vm_belongs_to_the_module_hyper_v(subject: Subject) -> Observation:
    """PowerShell on a host finds Get-VM of the module Hyper-V without an import."""
    return equal("Hyper-V", _host_facts(subject).get("hyperV"))


@fact(Area.GUESTS, "PowerShell source, PSRemotingCmdlet.cs; reported in PS-AutoLab-Env#133", on=On.HYPER_V)
def missing_vm_is_invalid_parameter_of_get_vm(subject: Subject) -> Observation:
    """A session in a VM that is not on the host fails with Get-VM's error InvalidParameter."""
    _require_direct(subject)
    answer = _ask(subject, str(uuid.uuid4()), _NOBODY, _query(_SERVICE))
    return equal(f"InvalidParameter,{_GET_VM}", _error_id(answer))


@fact(Area.GUESTS, "PowerShell source, PSRemotingCmdlet.cs", on=On.HYPER_V)
def old_host_lacks_the_parameter_vm_id(subject: Subject) -> Observation:
    """On a host with 2012 R2, Invoke-Command fails with NamedParameterNotFound."""
    if _has_direct(subject):
        raise NotHere("the host has PowerShell Direct")
    answer = _ask(subject, str(uuid.uuid4()), _NOBODY, _query(_SERVICE))
    return equal(f"NamedParameterNotFound,{_INVOKE_COMMAND}", _error_id(answer))


@fact(Area.GUESTS, "PowerShell source, InvokeCommandCommand.cs", on=On.HYPER_V)
def stopped_vm_is_invalid_vm_state(subject: Subject) -> Observation:
    """A session in a VM that is not running fails with InvalidVMState."""
    _require_direct(subject)
    stopped = next((vm for vm in subject.server.virtual_machines(subject.deadline) if not vm.running), None)
    if stopped is None:
        raise NotHere("each VM is running")
    return equal(f"InvalidVMState,{_INVOKE_COMMAND}", _error_id(_ask(subject, stopped.id, _NOBODY, _query(_SERVICE))))


@fact(
    Area.GUESTS,
    "PowerShell source, clientremotesessionprotocolstatemachine.cs and remotingexceptions.cs",
    on=On.GUEST,
    effect=Effect.HARMLESS,
)
def unknown_guest_account_breaks_the_session(subject: Subject) -> Observation:
    """An account that the guest does not have breaks the session. A PSDirectException is among the exceptions."""
    return equal(_REJECTED, _session_error(_ask(subject, subject.guest_vm.id, _NOBODY, _query(_SERVICE))))


@fact(
    Area.GUESTS,
    "PowerShell source, clientremotesessionprotocolstatemachine.cs and remotingexceptions.cs",
    on=On.GUEST,
    effect=Effect.HARMLESS,
)
def wrong_guest_password_breaks_the_session(subject: Subject) -> Observation:
    """A wrong password breaks the session like an unknown account. This is one attempt against the account."""
    wrong = Credential(subject.guest_account.username, f"{uuid.uuid4()}")
    return equal(_REJECTED, _session_error(_ask(subject, subject.guest_vm.id, wrong, _query(_SERVICE))))


@fact(Area.GUESTS, "RemotingErrorIdStrings.resx, InvalidCredential", on=On.GUEST, effect=Effect.HARMLESS)
def rejected_guest_account_has_a_known_text(subject: Subject) -> Observation:
    """On an English host, the error of a rejected account contains "The credential is invalid"."""
    language = subject.row("SELECT OSLanguage FROM Win32_OperatingSystem").integer("OSLanguage") or 0
    if language & 0x3FF != 0x09:
        raise NotHere("the host is not in English")
    answer = _ask(subject, subject.guest_vm.id, _NOBODY, _query(_SERVICE))
    known = "The credential is invalid" in str(answer.get("error", {}).get("message", ""))
    return true("the known text", known, "the known text" if known else "another text")


@fact(Area.GUESTS, "inferred: WMI in a guest is the same as over the network", on=On.GUEST)
def guest_reports_one_operating_system(subject: Subject) -> Observation:
    """A query in a guest returns one row of its Windows: a version with two dots, and a SKU as a number."""
    rows = _rows(_in_guest(subject, _query("SELECT Version,OperatingSystemSKU FROM Win32_OperatingSystem"))[0])
    shown = [f"{row['Version'].count('.')} dots, {type(row['OperatingSystemSKU']).__name__}" for row in rows]
    return equal(["2 dots, int"], shown)


@fact(Area.GUESTS, "CimInstance of the CIM cmdlets, which PowerShell converts to DateTime", on=On.GUEST)
def time_in_a_guest_is_a_datetime(subject: Subject) -> Observation:
    """The CIM cmdlets return a time as DateTime, which the script writes in UTC."""
    rows = _rows(_in_guest(subject, _query("SELECT LastBootUpTime FROM Win32_OperatingSystem"))[0])
    return like(r"\d{14}\.\d{6}\+000", str(rows[0].get("LastBootUpTime") if rows else None))


@fact(Area.GUESTS, "wbemcli.h, WBEM_E_INVALID_CLASS; reported as an error id of the CIM cmdlets", on=On.GUEST)
def missing_class_in_a_guest_is_invalid_class(subject: Subject) -> Observation:
    """A query for a class that does not exist fails with WBEM_E_INVALID_CLASS in the error id."""
    (result,) = _in_guest(subject, _query("SELECT Name FROM Avma_Nothing"))
    return like(rf"HRESULT 0x80041010,{_CIM}\.GetCimInstanceCommand", _error_id(result))


@fact(Area.GUESTS, "wbemcli.h, WBEM_E_NOT_FOUND", on=On.GUEST, effect=Effect.HARMLESS)
def method_of_a_missing_instance_is_not_found(subject: Subject) -> Observation:
    """A method of an instance that does not exist fails with WBEM_E_NOT_FOUND in the error id."""
    target = {"namespace": CIMV2, "class": "SoftwareLicensingProduct", "keys": {"ID": str(uuid.uuid4())}}
    (result,) = _in_guest(subject, {**target, "method": "UninstallProductKey", "arguments": {}})
    return like(rf"HRESULT 0x80041002,{_CIM}\.InvokeCimMethodCommand", _error_id(result))


@fact(Area.GUESTS, "slerror.h, SL_E_INVALID_PRODUCT_KEY; OSLicense module", on=On.GUEST, effect=Effect.HARMLESS)
def rejected_key_in_a_guest_has_its_hresult(subject: Subject) -> Observation:
    """InstallProductKey with a key that does not exist fails with 0xC004F050, and changes no key."""
    before, (service,) = (_rows(result) for result in _in_guest(subject, _query(_KEYS), _query(_SERVICE)))
    target = {"namespace": CIMV2, "class": "SoftwareLicensingService", "keys": {"Version": service["Version"]}}
    call = {**target, "method": "InstallProductKey", "arguments": {"ProductKey": _NO_KEY}}
    (rejected,) = _in_guest(subject, call)
    (listed,) = _in_guest(subject, _query(_KEYS))
    after = _rows(listed)
    if before != after:
        subject.warn("In the VM, install your key again with `slmgr /ipk KEY`, and activate it with `slmgr /ato`")
    expected = f"HRESULT 0xc004f050,{_CIM}.InvokeCimMethodCommand, {0xC004F050 - (1 << 32)}, the same keys"
    return equal(expected, f"{_numbered_error(rejected)}, {'the same' if before == after else 'other'} keys")


@fact(Area.GUESTS, "inferred: both are the UUID of the SMBIOS that Hyper-V gives the VM", on=On.GUEST)
def firmware_uuid_of_a_guest_is_its_bios_guid(subject: Subject) -> Observation:
    """The firmware UUID in a guest is the BIOSGUID of its VM on the host, in one of two byte orders."""
    rows = _rows(_in_guest(subject, _query("SELECT UUID FROM Win32_ComputerSystemProduct"))[0])
    inside = uuid.UUID(str(rows[0]["UUID"]))
    listed = subject.server.firmware_uuids(subject.deadline).get(subject.guest_vm.id)
    if not listed:
        return equal("the same", "the host lists no BIOSGUID")
    outside = uuid.UUID(listed)
    orders = {outside.bytes: "the same", outside.bytes_le: "the same in the other byte order"}
    return one_of(orders.values(), orders.get(inside.bytes, "another"))


@fact(Area.GUESTS, "Data Exchange items at learn.microsoft.com (Hyper-V KVP)", on=On.GUEST)
def data_exchange_reports_the_build_of_a_guest(subject: Subject) -> Observation:
    """The item OSBuildNumber of Data Exchange is the build of the guest."""
    reported = subject.server.guest_facts(subject.deadline).get(subject.guest_vm.id)
    if reported is None or reported.build is None:
        raise NotHere("the guest reports no build through Data Exchange")
    return equal(subject.guest.system(subject.deadline).build, reported.build)
