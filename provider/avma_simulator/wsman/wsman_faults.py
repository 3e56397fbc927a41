"""The faults of WS-Management and WMI, in the two detail forms of Windows.

`WSManFault` carries errors of the protocol. `MSFT_WmiError` (Windows Server 2012 and later) carries errors of WMI
providers. Codes, subcodes and their pairs are those of `wsmerror.h` in the Windows SDK.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import dataclass

from avma_simulator.state import language
from avma_simulator.wsman.xmltree import element

_WSMAN_FAULT = "http://schemas.microsoft.com/wbem/wsman/1/wsmanfault"
_DETAIL = "http://schemas.dmtf.org/wbem/wsman/1/wsman/faultDetail"
_WMI_ERROR = "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/MSFT_WmiError"
_EXTENDED_STATUS = "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/__ExtendedStatus"
_CIM_COMMON = "http://schemas.dmtf.org/wbem/wscim/1/common"
_XSI = "http://www.w3.org/2001/XMLSchema-instance"
_SHORT = ("ErrorSourceFormat", "ErrorType", "PerceivedSeverity", "ProbableCause")
_WSMAN_ACTION = "http://schemas.dmtf.org/wbem/wsman/1/wsman/fault"
_ADDRESSING_ACTION = "http://schemas.xmlsoap.org/ws/2004/08/addressing/fault"
_ENUMERATION_ACTION = "http://schemas.xmlsoap.org/ws/2004/09/enumeration/fault"
_CIM_FAILED, _CIM_ACCESS_DENIED, _CIM_INVALID_CLASS, _CIM_LIMITS = 1, 2, 5, 27
_PERMISSION_DENIED, _QUOTA_EXCEEDED = 18, 30
"""Values of `error_Category`, the same as in PowerShell's ErrorCategory (mi.h, MI_ErrorCategory)."""

RESOURCE_NOT_FOUND = 0x80338000
MUST_UNDERSTAND = 0x80338010
HEADER_REQUIRED = 0x80338011
ACTION_NOT_SUPPORTED = 0x80338013
FILTER_DIALECT_UNAVAILABLE = 0x80338019
CANNOT_PROCESS_FILTER = 0x8033801A
INVALID_ENUMERATION_CONTEXT = 0x8033801B
OPERATION_TIMED_OUT = 0x80338029
INVALID_RESOURCE_URI = 0x8033803B
ANSWER_TOO_LARGE = 0x80338048
ENUMERATION_MODE = 0x80338086
NAMESPACE_DENIED = 0x80338104
SCHEMA_VALIDATION = 0x80338041
UNEXPECTED_SELECTORS = 0x8033805B
SMALL_ENVELOPE = 0x8033807E
LOCALE_MUST_UNDERSTAND = 0x80338087
TOO_MANY_OPERATIONS = 0x803381A6
ACCESS_DENIED = 5
INTERNAL_ERROR = 0x8007054F


@dataclass(frozen=True)
class Provider:
    """The plug-in that failed. With `nests`, it answers in WS-Management with a nested fault of its own."""

    name: str
    path: str
    nests: bool = False


# Recorded: both paths, on Windows Server 2012 R2.
WMI_PROVIDER = Provider("WMI Provider", r"%systemroot%\system32\WsmWmiPl.dll", nests=True)


@dataclass(eq=False)
class Fault(Exception):
    """A fault: SOAP code and subcode, number, text, and the detail form of the number.

    `message` is the text of the Detail, if it differs from that of the Reason.
    """

    code: str
    subcode: str
    number: int
    reason: str
    action: str = _WSMAN_ACTION
    fault_detail: str = ""
    cim_status: int | None = None
    misunderstood: str = ""
    prefix: str = ""
    message: str = ""
    provider: Provider | None = None
    category: int = 0
    extended: ET.Element | None = None

    def element(self, machine: str, locale: str) -> ET.Element:
        """Return the `s:Fault` of the machine with that name, in its language."""
        text = language.translated(self.reason, locale)
        code = element("s:Code", element("s:Value", self.code))
        if self.subcode:
            code.append(element("s:Subcode", element("s:Value", self.subcode)))
        reason = element("s:Reason", element("s:Text", text, xml__lang=locale))
        if self.misunderstood:
            return element("s:Fault", code, reason)  # recorded: without a Detail
        detail = element("s:Detail")
        if self.fault_detail:
            detail.append(element("w:FaultDetail", f"{_DETAIL}/{self.fault_detail}"))
        message = language.translated(self.message, locale) or text
        detail.append(self._wsman_fault(machine, message) if self.cim_status is None else self._wmi_error(text))
        return element("s:Fault", code, reason, detail)

    def headers(self) -> list[ET.Element]:
        """Return the SOAP headers that go with the fault."""
        if not self.misunderstood:
            return []
        namespace, _, name = self.misunderstood.rpartition("}")
        if not namespace:
            return [element("s:NotUnderstood", qname=name)]
        header = element("s:NotUnderstood", qname=f"{self.prefix}:{name}" if self.prefix else name)
        header.set(f"xmlns:{self.prefix}" if self.prefix else "xmlns", namespace.removeprefix("{"))
        return [header]

    def _wsman_fault(self, machine: str, text: str) -> ET.Element:
        code = str(self.number)
        message = element("f:Message", text)
        if self.provider is not None:
            nested = element("f:WSManFault", message, Code=code, Machine=machine) if self.provider.nests else text
            plugin = element("f:ProviderFault", nested, provider=self.provider.name, path=self.provider.path)
            if self.extended is not None:
                plugin.append(element("f:ExtendedError", self.extended))
            message = element("f:Message", plugin)
        return element("f:WSManFault", message, xmlns__f=_WSMAN_FAULT, Code=code, Machine=machine)

    def _wmi_error(self, text: str) -> ET.Element:
        """Return the instance. Recorded: its properties, their types, and the type of null values."""
        values = {
            "CIMStatusCode": self.cim_status,
            "CIMStatusCodeDescription": None,
            "ErrorSource": None,
            "ErrorSourceFormat": 0,
            "ErrorType": 0,
            "Message": text,
            "MessageID": f"HRESULT 0x{self.number:08x}",
            "OtherErrorSourceFormat": None,
            "OtherErrorType": None,
            "OwningEntity": None,
            "PerceivedSeverity": 0,
            "ProbableCause": 0,
            "ProbableCauseDescription": None,
            "error_Category": self.category,
            "error_Code": self.number,
            "error_Type": "HRESULT",
            "error_WindowsErrorMessage": text,
        }
        return element(
            "p:MSFT_WmiError",
            *(_wmi_property(name, value) for name, value in values.items()),
            b__IsCIM_Error="true",
            xmlns__b="http://schemas.dmtf.org/wbem/wsman/1/cimbinding.xsd",
            xmlns__cim=_CIM_COMMON,
            xmlns__p=_WMI_ERROR,
            xmlns__xsi=_XSI,
            xsi__type="p:MSFT_WmiError_Type",
        )


def schema_validation() -> Fault:
    """Return the fault for a message that is not a request."""
    text = "The SOAP XML in the message does not match the corresponding XML schema definition."
    return Fault("s:Sender", "w:SchemaValidationError", SCHEMA_VALIDATION, text)


def not_understood(header: str, prefix: str) -> Fault:
    """Return the fault for an unknown header with mustUnderstand. It uses the client's prefix for the name.

    Recorded: the action and the text.
    """
    text = (
        "The WS-Management service cannot process a SOAP header in the request that is marked as mustUnderstand by the "
        "client.  This could be caused by the use of a version of the protocol which is not supported, or may be an "
        "incompatibility  between the client and server implementations. "
    )
    return Fault("s:MustUnderstand", "", MUST_UNDERSTAND, text, _ADDRESSING_ACTION, misunderstood=header, prefix=prefix)


def locale_must_be_understood() -> Fault:
    """Return the fault for a Locale header with mustUnderstand."""
    text = "The mustUnderstand attribute is not supported on the Locale header."
    return Fault("s:Sender", "w:UnsupportedFeature", LOCALE_MUST_UNDERSTAND, text, fault_detail="Locale")


def header_required(name: str) -> Fault:
    """Return the fault for a missing header."""
    text = f"The request has no {name} header."
    return Fault("s:Sender", "a:MessageInformationHeaderRequired", HEADER_REQUIRED, text, _ADDRESSING_ACTION)


def envelope_limit() -> Fault:
    """Return the fault for a MaxEnvelopeSize below the minimum."""
    text = "The maximum envelope size is too small."
    detail = "MinimumEnvelopeLimit"
    return Fault("s:Sender", "w:EncodingLimit", SMALL_ENVELOPE, text, fault_detail=detail)


def answer_too_large() -> Fault:
    """Return the fault for an answer that does not fit into the request's MaxEnvelopeSize."""
    text = "The response that the WS-Management service computed exceeds the maximum envelope size in the request."
    return Fault("s:Sender", "w:EncodingLimit", ANSWER_TOO_LARGE, text, fault_detail="MaxEnvelopeSizeExceeded")


def enumeration_mode() -> Fault:
    """Return the fault for an unknown EnumerationMode."""
    text = "The WS-Management service does not support the specified enumeration mode."
    return Fault("s:Sender", "w:UnsupportedFeature", ENUMERATION_MODE, text, fault_detail="EnumerationMode")


def action_not_supported() -> Fault:
    """Return the fault for an action that the resource does not support."""
    text = "The WS-Management service does not support the action specified in the request."
    return Fault("s:Sender", "a:ActionNotSupported", ACTION_NOT_SUPPORTED, text, _ADDRESSING_ACTION)


def resource_not_found() -> Fault:
    """Return the fault for a missing class in a request without a filter."""
    text = "The service cannot find the resource identified by the resource URI and selectors."
    detail, subcode = "ResourceNotFound", "a:DestinationUnreachable"
    return Fault("s:Sender", subcode, RESOURCE_NOT_FOUND, text, _ADDRESSING_ACTION, fault_detail=detail)


def invalid_resource() -> Fault:
    """Return the fault for a resource URI that the service does not have."""
    text = "The resource URI is missing or it has an incorrect format."
    return Fault(
        "s:Sender",
        "a:DestinationUnreachable",
        INVALID_RESOURCE_URI,
        text,
        _ADDRESSING_ACTION,
        fault_detail="InvalidResourceURI",
    )


def invalid_selectors() -> Fault:
    """Return the fault for selectors that are not keys of an instance."""
    text = "The request has invalid selectors for the resource."
    detail = "UnexpectedSelectors"
    return Fault("s:Sender", "w:InvalidSelectors", UNEXPECTED_SELECTORS, text, fault_detail=detail)


def instance_not_found(operation: str, path: str, provider: str) -> Fault:
    """Return the fault for a missing instance.

    Recorded: the whole form, for a Get of `Win32_Process` on Windows Server 2012 R2.
    """
    text = (
        "The WS-Management service cannot process the request. The service cannot find the resource identified by the "
        "resource URI and selectors. "
    )
    status = element(
        "p:__ExtendedStatus",
        element("p:Description", xsi__nil="true", xsi__type="cim:cimString"),
        element("p:Operation", operation, xsi__type="cim:cimString"),
        element("p:ParameterInfo", path, xsi__type="cim:cimString"),
        element("p:ProviderName", provider, xsi__type="cim:cimString"),
        element("p:StatusCode", xsi__nil="true", xsi__type="cim:cimUnsignedInt"),
        xmlns__xsi=_XSI,
        xmlns__p=_EXTENDED_STATUS,
        xmlns__cim=_CIM_COMMON,
        xsi__type="p:__ExtendedStatus_Type",
    )
    return Fault(
        "s:Sender",
        "a:DestinationUnreachable",
        RESOURCE_NOT_FOUND,
        text,
        _ADDRESSING_ACTION,
        fault_detail="InvalidResourceURI",
        provider=WMI_PROVIDER,
        extended=status,
    )


def cannot_process_filter() -> Fault:
    """Return the fault for a query with a wrong text, class or namespace."""
    text = "The data source could not process the filter. The filter might be missing or it might be invalid."
    return Fault(
        "s:Sender",
        "n:CannotProcessFilter",
        CANNOT_PROCESS_FILTER,
        text,
        _ENUMERATION_ACTION,
        cim_status=_CIM_INVALID_CLASS,
    )


def filter_dialect_unavailable() -> Fault:
    """Return the fault for a filter in a language other than WQL."""
    text = "The requested filter dialect is not supported."
    subcode = "n:FilterDialectRequestedUnavailable"
    return Fault("s:Sender", subcode, FILTER_DIALECT_UNAVAILABLE, text, _ENUMERATION_ACTION)


def invalid_enumeration_context() -> Fault:
    """Return the fault for an expired or unknown context."""
    text = "The WS-Enumeration context is not valid. Start a new enumeration."
    subcode = "n:InvalidEnumerationContext"
    return Fault("s:Receiver", subcode, INVALID_ENUMERATION_CONTEXT, text, _ENUMERATION_ACTION)


def timed_out() -> Fault:
    """Return the fault for an operation that exceeds its OperationTimeout."""
    text = "The operation cannot be completed within the time specified in OperationTimeout."
    return Fault("s:Receiver", "w:TimedOut", OPERATION_TIMED_OUT, text)


def access_denied() -> Fault:
    """Return the fault for a known account without rights."""
    return Fault("s:Sender", "w:AccessDenied", ACCESS_DENIED, "Access is denied.")


def namespace_denied() -> Fault:
    """Return the fault for an account with access to WinRM but not to a WMI namespace.

    Recorded: number, text and category.
    Inferred (denied-namespace-is-internal-error, denied-namespace-has-the-status-access-denied): the form, the CIM
    status and the subcode, as no log shows them.
    """
    text = "The WS-Management service cannot process the request. The WMI service returned an 'access denied' error. "
    return Fault(
        "s:Receiver",
        "w:InternalError",
        NAMESPACE_DENIED,
        text,
        cim_status=_CIM_ACCESS_DENIED,
        category=_PERMISSION_DENIED,
    )


def too_many_operations() -> Fault:
    """Return the fault for a user with too many concurrent operations. Recorded: status and category."""
    text = "The maximum number of concurrent operations for this user has been exceeded."
    return Fault(
        "s:Receiver",
        "w:InternalError",
        TOO_MANY_OPERATIONS,
        text,
        cim_status=_CIM_LIMITS,
        category=_QUOTA_EXCEEDED,
    )


def provider_failed(hresult: int, text: str, form: str = "MSFT_WmiError") -> Fault:
    """Return the fault for a WMI method that fails with an HRESULT. `form` is the form of the detail.

    Inferred (licensing-error-is-internal-error, licensing-error-has-the-status-failed): Receiver, InternalError, the
    CIM status and the category of licensing errors.
    """
    if form == "WSManFault":
        return Fault("s:Receiver", "w:InternalError", hresult, text, provider=WMI_PROVIDER)
    return Fault("s:Receiver", "w:InternalError", hresult, text, cim_status=_CIM_FAILED)


def internal_error() -> Fault:
    """Return the fault for an internal error of the service."""
    return Fault("s:Receiver", "w:InternalError", INTERNAL_ERROR, "An internal error occurred.")


def _wmi_property(name: str, value: str | int | None) -> ET.Element:
    unsigned = "cim:cimUnsignedShort" if name in _SHORT else "cim:cimUnsignedInt"
    cim_type = unsigned if isinstance(value, int) else "cim:cimString"
    if value is None:
        return element(f"p:{name}", xsi__type=cim_type, xsi__nil="true")
    return element(f"p:{name}", str(value), xsi__type=cim_type)
