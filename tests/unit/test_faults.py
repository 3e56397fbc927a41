"""The meaning of each number, subcode and status of a fault, in the forms of Windows and OMI."""

from __future__ import annotations

from xml.sax.saxutils import escape

import pytest
from defusedxml.ElementTree import fromstring

from avma import errors, hresult
from avma.context import Context
from avma.deadline import Deadline
from avma.wsman import retry, soap_faults
from avma.wsman.envelope import CimMethod

S = "http://www.w3.org/2003/05/soap-envelope"
WMI = "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/MSFT_WmiError"
WSMAN = "http://schemas.microsoft.com/wbem/wsman/1/wsmanfault"
METHOD = CimMethod("root/cimv2", "Win32_Service", "StopService")


def wmi_error(**properties: object) -> str:
    values = "".join(f"<p:{name}>{escape(str(value))}</p:{name}>" for name, value in properties.items())
    return f'<p:MSFT_WmiError xmlns:p="{WMI}">{values}</p:MSFT_WmiError>'


def omi_error(result: int, **properties: object) -> str:
    """Return an instance from OMI's own server. Its property names differ from MSFT_WmiError."""
    shown = {"MessageID": f"OMI:MI_Result:{result}", "OMI_Code": result, "OMI_Category": 10, "OMI_Type": "MI"}
    values = "".join(f"<p:{name}>{value}</p:{name}>" for name, value in (shown | properties).items() if value != "")
    return f'<p:OMI_Error xmlns:p="urn:OMI_Error"><p:ErrorType nil="true"/>{values}</p:OMI_Error>'


def wsman_fault(code: object, message: str = "") -> str:
    return f'<f:WSManFault xmlns:f="{WSMAN}" Code="{code}"><f:Message>{message}</f:Message></f:WSManFault>'


def provider_fault(outer: int, inner: int) -> str:
    return wsman_fault(
        outer, f'<f:ProviderFault provider="WMI Provider">{wsman_fault(inner, "Inner.")}</f:ProviderFault>'
    )


def error_of(detail: str, subcode: str = "w:InternalError", text: str = "Windows' own text.") -> errors.AvmaError:
    named = f"<s:Subcode><s:Value>{subcode}</s:Value></s:Subcode>" if subcode else ""
    reason = f"<s:Reason><s:Text>{escape(text)}</s:Text></s:Reason>"
    fault = f"<s:Code><s:Value>s:Receiver</s:Value>{named}</s:Code>{reason}<s:Detail>{detail}</s:Detail>"
    body = f'<s:Body xmlns:s="{S}"><s:Fault>{fault}</s:Fault></s:Body>'
    found = soap_faults.find_fault(fromstring(body))
    assert found is not None
    return soap_faults.to_error(found, Context("read the license", "hv01", Deadline(1)))


@pytest.mark.parametrize(
    ("detail", "subcode"),
    [
        *((wsman_fault(code), "w:InternalError") for code in (0x80338104, 0x80338105, 0x80338106, 5, 0x80070005)),
        *((wmi_error(error_Code=code), "w:InternalError") for code in (0x80338104, 0x80041003, 0x80041062)),
        (wmi_error(error_Code=0x80338104 - (1 << 32)), "w:InternalError"),
        (wmi_error(error_Code=2, error_Type="MI"), "w:InternalError"),
        (wmi_error(error_Code=0x80041099, CIMStatusCode=2), "w:InternalError"),
        (wmi_error(CIMStatusCode=2), "w:InternalError"),
        (wmi_error(MessageID="HRESULT 0x80338104"), "w:InternalError"),
        ("", "w:AccessDenied"),
        (wsman_fault(0x8033FFFF), "w:AccessDenied"),
    ],
)
def test_denied_access_is_recognized_by_number_status_and_subcode(detail, subcode):
    error = error_of(detail, subcode)
    assert isinstance(error, errors.AccessDenied)
    assert "0x00000000" not in str(error)


def test_a_number_decides_before_the_subcode():
    assert type(error_of(wmi_error(error_Code=0xC004F050), "w:AccessDenied")) is errors.LicensingFault


@pytest.mark.parametrize(
    ("detail", "name"),
    [
        (wmi_error(error_Code=5, error_Type="MI"), "WBEM_E_INVALID_CLASS"),
        (wmi_error(error_Code=3, error_Type="MI"), "WBEM_E_INVALID_NAMESPACE"),
        (wmi_error(error_Code=6, error_Type="MI", CIMStatusCode=6), "WBEM_E_NOT_FOUND"),
        (wmi_error(error_Code=28, error_Type="MI"), "WBEM_E_SHUTTING_DOWN"),
        (wmi_error(error_Code=0x80041010, error_Type="HRESULT", CIMStatusCode=2), "WBEM_E_INVALID_CLASS"),
        (wmi_error(error_Code=1062, error_Type="WIN32"), "ERROR_SERVICE_NOT_ACTIVE"),
        (wmi_error(CIMStatusCode=5), "WBEM_E_INVALID_CLASS"),
        (omi_error(5, CIMStatusCode=5), "WBEM_E_INVALID_CLASS"),
        (omi_error(5), "WBEM_E_INVALID_CLASS"),
        (omi_error(6, OMI_Code="", OMI_Type=""), "WBEM_E_NOT_FOUND"),
    ],
)
def test_the_type_of_a_wmi_error_determines_its_number(detail, name):
    error = error_of(detail)
    assert type(error) is errors.WsmanFault
    assert name in error.answer


@pytest.mark.parametrize(
    "detail",
    [
        omi_error(12, CIMStatusCode=12),
        omi_error(12),
        wmi_error(error_Code=12, error_Type="MI"),
        wmi_error(CIMStatusCode=12),
    ],
)
def test_a_result_that_no_hresult_means_is_shown(detail):
    error = error_of(detail, text="No such property.")
    assert error.answer == "the machine returned a fault with the CIM status 12: InternalError: No such property."
    assert error.topic == "wsman-fault"


@pytest.mark.parametrize("code", [0x80041010, 0x8004100E, 0x8033801A])
def test_a_missing_class_is_recognized(code):
    assert soap_faults.is_missing_class(error_of(wmi_error(error_Code=code)))


@pytest.mark.parametrize(
    ("detail", "subcode"),
    [
        (provider_fault(2150858752, 2150858752), "a:DestinationUnreachable"),
        (wsman_fault(0x8033805B), "w:InvalidSelectors"),
        ("", "a:DestinationUnreachable"),
    ],
)
def test_a_missing_instance_is_named(detail, subcode):
    error = error_of(detail, subcode)
    assert type(error) is errors.WsmanFault
    assert "does not exist" in error.answer


@pytest.mark.parametrize("code", [0x80041033, 0x8004106C, 0x800706BE, 0x800706BA, 0x800706BF])
def test_a_transient_error_of_wmi_is_no_licensing_fault(code):
    error = error_of(wmi_error(error_Code=code))
    assert type(error) is errors.WsmanFault
    assert hresult.lookup(code).transient
    assert not hresult.lookup(code).retryable


BROKEN = (
    "0xC0000022 0x80041002 0x80041013 0x8004100E 0x80070426 0x800706BA 0xC004D301 0xC004D401 0xC004F027 0xC004E002 "
    "0xC004E003 0x80041032 0xC0020036 577 0x80070241 0xC004F056 0xC004F034 0xC004C032"
)


@pytest.mark.parametrize("number", BROKEN.split())
def test_numbers_of_broken_services_have_a_name_and_a_remedy(number):
    code = int(number, 0)
    error = error_of(wmi_error(error_Code=code))
    entry = hresult.lookup(code)
    assert entry.name
    assert str(entry) in str(error)
    assert errors.sentences(entry.remedy) in error.message


def test_an_unknown_number_is_shown_with_subcode_and_the_text_of_windows():
    error = error_of(wmi_error(error_Code=0xC004FFF0), "w:InternalError", "Das sagt Windows.")
    assert error.answer == "0xC004FFF0: InternalError: Das sagt Windows."
    assert type(error) is errors.LicensingFault


def test_an_unknown_number_without_a_text_names_its_part_of_windows():
    assert error_of(wmi_error(error_Code=0x8004FFF0), text="").answer == "0x8004FFF0, an error of WMI or COM"


def test_an_empty_reason_gives_way_to_the_text_of_the_detail():
    error = error_of(wmi_error(error_Code=0x8004FFF0, error_WindowsErrorMessage="From the detail."), text="")
    assert error.answer == "0x8004FFF0: InternalError: From the detail."
    assert "Inner." in error_of(provider_fault(0x8033FFF0, 0x8004FFF0), text="").answer


@pytest.mark.parametrize(
    ("subcode", "text", "answer"),
    [
        (
            "w:InternalError",
            "Out of order.",
            "the machine returned a fault without a number: InternalError: Out of order.",
        ),
        ("w:InternalError", "", "the machine returned a fault without a number: InternalError: no text"),
        ("", "", "the machine returned a fault without a number: Receiver: no text"),
    ],
)
@pytest.mark.parametrize("detail", ["", wsman_fault(0), wsman_fault("9" * 5000), wsman_fault("0x"), wsman_fault("-")])
def test_a_fault_without_a_number_shows_subcode_and_text(detail, subcode, text, answer):
    error = error_of(detail, subcode, text)
    assert error.answer == answer
    assert error.topic == "wsman-fault"


@pytest.mark.parametrize("code", [0x80041033, 0x80041033 - (1 << 32)])
def test_the_return_value_of_a_method_may_be_an_hresult(code):
    assert "WBEM_E_SHUTTING_DOWN" in soap_faults.returned_error(code, METHOD, Context("t", "w", Deadline(1))).answer


def test_the_return_value_of_a_method_may_be_a_number_of_its_own():
    error = soap_faults.returned_error(5, METHOD, Context("t", "w", Deadline(1)))
    assert error.answer == "Win32_Service.StopService returned 5"
    assert error.remedy == "look up the return values of StopService in the documentation of Win32_Service"
    assert str(error).endswith("See: avma explain wsman-fault")


def test_the_own_number_of_a_method_is_not_taken_for_a_passing_error_of_windows():
    assert hresult.lookup(14).transient
    assert not retry.may_pass(soap_faults.returned_error(14, METHOD, Context("t", "w", Deadline(1))))


@pytest.mark.parametrize("code", [*range(0x803381A5, 0x803381A9), 0x803381AB, *range(0x803381E4, 0x803381EB)])
def test_a_read_is_repeated_after_every_quota_of_winrm(code):
    """The numbers after which PowerShell tries again (cimChildJobBase.cs)."""
    assert retry.may_pass(error_of(wsman_fault(code), "w:QuotaLimit"))


def test_no_entry_of_the_table_stands_twice():
    assert len({entry.value for entry in hresult.codes()}) == len(hresult.codes())
    assert len({entry.name for entry in hresult.codes()}) == len(hresult.codes())
