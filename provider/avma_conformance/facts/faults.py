"""Facts about the faults that the product distinguishes: codes, numbers and forms (wsmerror.h, MS-WSMV 2.2.4.44)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from avma.wsman import envelope
from avma.wsman.envelope import XSI, CimMethod, local_name
from avma_conformance.fact import Area, Effect, NotHere, Observation, On, equal, fact, like, true
from avma_conformance.fault_form import NO_FAULT, fault_form
from avma_conformance.licenses import must_reject
from avma_conformance.raw_http import raw
from avma_conformance.subject import CIMV2, HYPER_V, Subject
from avma_conformance.xml_parts import first, text

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

_OS, _SERVICE, _PRODUCT = "Win32_OperatingSystem", "SoftwareLicensingService", "SoftwareLicensingProduct"
_NO_ID = "00000000-0000-0000-0000-000000000000"
_NO_KEY = "BCDFG-HJKMN-PQRTV-WXY22-22222"
"""A product key that does not exist. It has the right characters, but the wrong check digits."""
_LANGUAGE = "{http://www.w3.org/XML/1998/namespace}lang"
_SLOW = "SELECT Name FROM CIM_DataFile WHERE FileSize = 123456789012345"
"""Windows looks at each file of each disk for it, and ends the search at the time limit."""
_NO_FILTER = "Sender, CannotProcessFilter, 0x8033801A, MSFT_WmiError"
_NO_INSTANCE = "Sender, DestinationUnreachable, 0x80338000, WSManFault, InvalidResourceURI, WMI Provider"
_SHORT = ("ErrorSourceFormat", "ErrorType", "PerceivedSeverity", "ProbableCause")
_PROPERTIES = (
    *("CIMStatusCode", "CIMStatusCodeDescription", "ErrorSource", "ErrorSourceFormat", "ErrorType", "Message"),
    *("MessageID", "OtherErrorSourceFormat", "OtherErrorType", "OwningEntity", "PerceivedSeverity", "ProbableCause"),
    *("ProbableCauseDescription", "error_Category", "error_Code", "error_Type", "error_WindowsErrorMessage"),
)


def _query_fault(subject: Subject, wql: str, namespace: str = CIMV2) -> str:
    return str(subject.fault(envelope.enumerate_query(namespace, wql)))


@fact(Area.FAULTS, "virt-who on Hyper-V, WinRb/WinRM")
def query_of_missing_class_is_cannot_process_filter(subject: Subject) -> Observation:
    """A query of a class that does not exist is rejected with CannotProcessFilter."""
    return equal(_NO_FILTER, _query_fault(subject, "SELECT Name FROM AvmaHasNoSuchClass"))


@fact(Area.FAULTS, "virt-who on Hyper-V")
def query_of_missing_namespace_is_cannot_process_filter(subject: Subject) -> Observation:
    """A query in a namespace that does not exist is rejected with CannotProcessFilter."""
    return equal(
        _NO_FILTER, _query_fault(subject, "SELECT Name FROM AvmaHasNoSuchClass", "root/avmahasnosuchnamespace")
    )


@fact(Area.FAULTS, "wsmerror.h 0x8033801A, recorded by users of WinRM")
def malformed_query_is_cannot_process_filter(subject: Subject) -> Observation:
    """A text that is not WQL is rejected with CannotProcessFilter."""
    return equal(_NO_FILTER, _query_fault(subject, f"SELECT FROM {_OS}"))


@fact(Area.FAULTS, "inferred: WMI rejects the query with WBEM_E_INVALID_QUERY, as a malformed one")
def query_of_missing_property_is_cannot_process_filter(subject: Subject) -> Observation:
    """A query of a property that the class does not have is rejected with CannotProcessFilter."""
    return equal(_NO_FILTER, _query_fault(subject, f"SELECT AvmaHasNoSuchProperty FROM {_OS}"))


@fact(Area.FAULTS, "inferred: the fault for a missing instance, because no filter is involved")
def listing_of_missing_class_is_destination_unreachable(subject: Subject) -> Observation:
    """An Enumerate without a filter of a class that does not exist is rejected with DestinationUnreachable."""
    uri = envelope.class_uri(CIMV2, "AvmaHasNoSuchClass")
    found = str(subject.fault(envelope.Message(f"{envelope.ENUMERATION}/Enumerate", uri, "<n:Enumerate/>")))
    return true(_UNREACHABLE, found.startswith(_UNREACHABLE), found)


_UNREACHABLE = "Sender, DestinationUnreachable, 0x80338000"


@fact(Area.FAULTS, "inferred: MS-WSMV 4.10, with the number of a missing instance")
def missing_class_is_destination_unreachable(subject: Subject) -> Observation:
    """A Get from a class that does not exist is rejected with DestinationUnreachable."""
    found = str(subject.fault(envelope.get(CIMV2, "AvmaHasNoSuchClass", {"ID": _NO_ID})))
    return true(_UNREACHABLE, found.startswith(_UNREACHABLE), found)


@fact(Area.FAULTS, "recorded by OMI's tests and go-wsman")
def missing_instance_is_destination_unreachable(subject: Subject) -> Observation:
    """A Get of an instance that does not exist is rejected with DestinationUnreachable, by the WMI plug-in."""
    return equal(_NO_INSTANCE, str(subject.fault(envelope.get(CIMV2, _PRODUCT, {"ID": _NO_ID}))))


@fact(Area.FAULTS, "virt-who, go-wsman", on=On.HYPER_V)
def some_keys_do_not_find_an_instance(subject: Subject) -> Observation:
    """A Get with only some of the keys finds no instance, even if a single one has them."""
    name = subject.row("SELECT Name FROM Msvm_ComputerSystem", HYPER_V).text("Name") or ""
    return equal(_NO_INSTANCE, str(subject.fault(envelope.get(HYPER_V, "Msvm_ComputerSystem", {"Name": name}))))


@fact(Area.FAULTS, "inferred: the fault for a missing shell, recorded by pypsrp")
def wrong_keys_are_invalid_selectors(subject: Subject) -> Observation:
    """A Get with a property that is not a key of the class is rejected with InvalidSelectors."""
    expected = "Sender, InvalidSelectors, 0x8033805B, WSManFault, UnexpectedSelectors"
    return equal(expected, str(subject.fault(envelope.get(CIMV2, _PRODUCT, {"AvmaHasNoSuchKey": "1"}))))


@fact(Area.FAULTS, "DSP0226, recorded by go-wsman")
def keys_find_an_instance(subject: Subject) -> Observation:
    """A Get with the keys of an instance returns it. The key of the licensing service is its version."""
    version = subject.row(f"SELECT Version FROM {_SERVICE}").text("Version") or ""
    answer = subject.exchange(envelope.get(CIMV2, _SERVICE, {"Version": version}))
    fault = fault_form(answer)
    found = str(fault) if fault else "the same version" if text(answer, "Version") == version else "another version"
    return equal("the same version", found)


@fact(Area.FAULTS, "inferred: the fault for a Get of a missing instance", effect=Effect.HARMLESS)
def method_of_missing_instance_is_destination_unreachable(subject: Subject) -> Observation:
    """A method of an instance that does not exist is rejected with DestinationUnreachable. Nothing is activated."""
    message = envelope.invoke(CimMethod(CIMV2, _PRODUCT, "Activate"), {"ID": _NO_ID}, {})
    return equal(_NO_INSTANCE, str(subject.fault(message)))


@fact(Area.FAULTS, "inferred: the fault for an unknown action", effect=Effect.HARMLESS)
def missing_method_is_action_not_supported(subject: Subject) -> Observation:
    """A method that the class does not have is rejected with ActionNotSupported."""
    message = envelope.invoke(CimMethod(CIMV2, _PRODUCT, "AvmaHasNoSuchMethod"), {"ID": _NO_ID}, {})
    return equal("Sender, ActionNotSupported, 0x80338013, WSManFault", str(subject.fault(message)))


@fact(Area.FAULTS, "recorded by pypsrp for shells, and by users of Get-CimInstance")
def short_operation_timeout_is_timed_out(subject: Subject) -> Observation:
    """A request that takes longer than its OperationTimeout ends with the fault TimedOut."""
    answer = subject.send(subject.rendered(envelope.enumerate_query(CIMV2, _SLOW), timeout=1.0))
    found = fault_form(answer)
    if found is None:
        raise NotHere("the machine finds each file within a second")
    return true("Receiver, TimedOut, 0x80338029", str(found).startswith("Receiver, TimedOut, 0x80338029"), found)


@fact(Area.FAULTS, "MS-WSMV 2.1, recorded by pypsrp")
def fault_has_http_500(subject: Subject) -> Observation:
    """A fault has the HTTP status 500."""
    message = subject.rendered(envelope.enumerate_query(CIMV2, "SELECT Name FROM AvmaHasNoSuchClass"))
    with raw(subject, signs_in=True) as connection:
        connection.sign_in()
        return equal("HTTP 500 with a body", str(connection.post_encrypted(message)))


def _rejected_key(subject: Subject) -> Element:
    """Install a product key that does not exist, and return the fault."""
    version = subject.row(f"SELECT Version FROM {_SERVICE}").text("Version") or ""
    method = CimMethod(CIMV2, _SERVICE, "InstallProductKey")
    with must_reject(subject) as unchanged:
        answer = subject.exchange(envelope.invoke(method, {"Version": version}, {"ProductKey": _NO_KEY}))
        unchanged.accepted = fault_form(answer) is None
        return answer


@fact(Area.FAULTS, "slmgr.vbs and Microsoft's documentation of SoftwareLicensingService", effect=Effect.HARMLESS)
def rejected_key_changes_no_license(subject: Subject) -> Observation:
    """A key that Windows rejects changes nothing: the key before it is still installed."""
    query = f"SELECT ID,LicenseStatus,PartialProductKey FROM {_PRODUCT} WHERE PartialProductKey IS NOT NULL"

    def licenses() -> list[tuple[str | None, ...]]:
        return sorted(
            tuple(row.text(name) for name in ("ID", "LicenseStatus", "PartialProductKey"))
            for row in subject.query(query)
        )

    before = licenses()
    if not before:
        raise NotHere("no product key is installed")
    fault = fault_form(_rejected_key(subject))
    same = "the same licenses" if licenses() == before else "other licenses"
    return equal("a fault, the same licenses", f"{'a fault' if fault else 'no fault'}, {same}")


@fact(
    Area.FAULTS,
    "inferred: the error_Code of Microsoft's OSLicense module, and OMI's table of codes for errors of providers",
    effect=Effect.HARMLESS,
)
def licensing_error_is_internal_error(subject: Subject) -> Observation:
    """An error of the licensing service is Receiver, InternalError, with its HRESULT in an MSFT_WmiError."""
    found = fault_form(_rejected_key(subject))
    return like("Receiver, InternalError, 0xC004[0-9A-F]{4}, MSFT_WmiError", str(found or NO_FAULT))


@fact(Area.FAULTS, "inferred: MI_RESULT_FAILED, which mi.h has for all other errors", effect=Effect.HARMLESS)
def licensing_error_has_the_status_failed(subject: Subject) -> Observation:
    """An error of the licensing service has the CIM status 1, which means failed, and the error category 0."""
    return equal("status 1, category 0", _status(_rejected_key(subject)))


def _status(answer: Element) -> str:
    status, category = (text(answer, name) or "nothing" for name in ("CIMStatusCode", "error_Category"))
    return f"status {status}, category {category}"


def _wmi_error(subject: Subject) -> Element:
    """Return the MSFT_WmiError for a query that Windows rejects."""
    answer = subject.exchange(envelope.enumerate_query(CIMV2, "SELECT Name FROM AvmaHasNoSuchClass"))
    found = first(answer, "MSFT_WmiError")
    if found is None:
        raise NotHere("the fault has another form")
    return found


def _type(element: Element) -> str:
    return element.get(f"{{{XSI}}}type", "no type").rpartition(":")[2]


@fact(Area.FAULTS, "recorded by WinRb/WinRM")
def wmi_error_has_seventeen_properties(subject: Subject) -> Observation:
    """An MSFT_WmiError contains all of its properties in alphabetical order, also those without a value."""
    return equal(_PROPERTIES, tuple(local_name(each) for each in _wmi_error(subject)))


@fact(Area.FAULTS, "recorded by WinRb/WinRM")
def null_of_a_wmi_error_has_a_type(subject: Subject) -> Observation:
    """A null property of an MSFT_WmiError has xsi:nil and a type."""
    nil = [each for each in _wmi_error(subject) if each.get(f"{{{XSI}}}nil") == "true"]
    return equal(["cimString"], sorted({_type(each) for each in nil}))


@fact(Area.FAULTS, "recorded by WinRb/WinRM")
def numbers_of_a_wmi_error_have_two_types(subject: Subject) -> Observation:
    """Four properties of an MSFT_WmiError are cimUnsignedShort. Its codes are cimUnsignedInt."""
    error = _wmi_error(subject)
    types = [_type(each) for each in error if local_name(each) in (*_SHORT, "CIMStatusCode", "error_Code")]
    return equal(
        "4 cimUnsignedShort, 2 cimUnsignedInt",
        "{} cimUnsignedShort, {} cimUnsignedInt".format(types.count("cimUnsignedShort"), types.count("cimUnsignedInt")),
    )


@fact(Area.FAULTS, "recorded by WinRb/WinRM, MessageID in errors of PowerShell")
def message_id_of_a_wmi_error_is_its_hresult(subject: Subject) -> Observation:
    """The MessageID of an MSFT_WmiError is `HRESULT` and its error_Code, in lower case. Its error_Type is HRESULT."""
    error = _wmi_error(subject)
    code = int(text(error, "error_Code") or "0")
    return equal(f"HRESULT 0x{code:08x}, HRESULT", f"{text(error, 'MessageID')}, {text(error, 'error_Type')}")


@fact(Area.FAULTS, "recorded by pypsrp and WinRb/WinRM")
def text_of_a_fault_names_its_language(subject: Subject) -> Observation:
    """The text of a fault has a language, so only its numbers are the same on all machines."""
    answer = subject.exchange(envelope.enumerate_query(CIMV2, "SELECT Name FROM AvmaHasNoSuchClass"))
    reason = first(answer, "Text")
    return like("[a-z]{2,3}-[A-Z]{2}", "" if reason is None else reason.get(_LANGUAGE, ""))


def _denied(subject: Subject) -> Element:
    """Query a namespace as an account without a right to it, and return the answer."""
    message = envelope.enumerate_query(HYPER_V, "SELECT Name FROM Msvm_ComputerSystem")
    answer = subject.exchange(message, subject.user)
    fault = fault_form(answer)
    if fault is None or fault.subcode == "CannotProcessFilter":
        raise NotHere("the machine has no Hyper-V, or the account has a right to its namespace")
    if fault.form == "WSManFault":
        raise NotHere("the account has no right to WinRM")
    return answer


@fact(Area.FAULTS, "inferred: wsmerror.h 0x80338104 and logs of DSC, which do not show the codes", on=On.USER)
def denied_namespace_is_internal_error(subject: Subject) -> Observation:
    """A query in a namespace without a right is Receiver, InternalError, with a number of WS-Management."""
    expected = "Receiver, InternalError, 0x80338104, MSFT_WmiError"
    return equal(expected, str(fault_form(_denied(subject)) or NO_FAULT))


@fact(Area.FAULTS, "inferred: MI_RESULT_ACCESS_DENIED, and the category in logs of DSC", on=On.USER)
def denied_namespace_has_the_status_access_denied(subject: Subject) -> Observation:
    """A query in a namespace without a right has the CIM status 2 and the category 18, which mean access denied."""
    return equal("status 2, category 18", _status(_denied(subject)))
