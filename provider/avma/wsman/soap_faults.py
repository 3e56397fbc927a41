"""SOAP faults, in both of the forms that Windows sends.

Older services and the WS-Man layer itself send a `WSManFault` element with a `Code` attribute (MS-WSMV 2.2.4.44). WMI
operations on Windows Server 2012 and later send an `MSFT_WmiError` instance with `error_Code`. Texts are localized, so
numbers and subcodes decide, and errors only quote the text.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from avma import characters, errors, hresult
from avma.context import Context
from avma.wording import RUN_AGAIN
from avma.wsman.envelope import CimMethod, local_name

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

OPERATION_TIMEOUT = 0x80338029
CANNOT_PROCESS_FILTER = 0x8033801A
UNEXPECTED_SELECTORS = 0x8033805B
"""No such instance. For a shell: it has ended."""

_DENIED = frozenset({0x80070005, 0x80041003, 0x80041062, 0x80338104, 0x80338105, 0x80338106, 0x80070522})
_OF_NAMESPACES = frozenset({0x80041003, 0x80338104, 0x80338106})
_OF_WINRM = frozenset({0, 0x80070005})
_MANAGE = "add it to Remote Management Users (`Add-LocalGroupMember -SID S-1-5-32-580 -Member ACCOUNT` on the machine)"
# Windows reports most of them as CANNOT_PROCESS_FILTER. Other WS-Man services name the class or the namespace.
_MISSING_CLASS = frozenset({CANNOT_PROCESS_FILTER, 0x80041010, 0x8004100E})
_MI_DENIED = 2
# The HRESULT for each MI_Result. A CIM status has the same numbers (mi.h, DSP0200 CIMStatusCode).
_OF_MI = {
    1: 0x80041001,
    _MI_DENIED: 0x80041003,
    3: 0x8004100E,
    4: 0x80041008,
    5: 0x80041010,
    6: 0x80041002,
    7: 0x8004100C,
    15: 0x80041017,
    27: 0x8004106C,
    28: 0x80041033,
}
_WITHOUT_NUMBER = f"check the event logs of the machine (Windows Remote Management, WMI-Activity); then {RUN_AGAIN}"
_LONGEST_TEXT = 256
_NUMBER = re.compile(r"\s*([+-]?\d{1,10}|0[xX][0-9A-Fa-f]{1,8})\s*")
_CLASS = re.compile(r"\bFROM\s+(\w+)", re.IGNORECASE)
_MESSAGE_ID = re.compile(
    r"\s*(?:HRESULT (0x[0-9A-Fa-f]{1,8})|WIN32 (\d{1,5})|(?:MI RESULT |OMI:MI_Result:)(\d{1,3}))\s*"
)
"""CIM's name of an error: `MessageID` in messages, the first part of PowerShell's error id. The last form is OMI's."""
_CODE_AND_TYPE = (("error_Code", "error_Type"), ("OMI_Code", "OMI_Type"))
"""The properties with the number and its type, in MSFT_WmiError and in OMI_Error."""


@dataclass(frozen=True)
class Fault:
    """The contents of a SOAP fault.

    Attributes:
        code: the number, or 0 if the fault has no number. An MI result becomes the HRESULT of the same meaning.
        subcode: the SOAP subcode without its prefix.
        text: Windows' own text.
        status: `CIMStatusCode` or an MI result, which share their numbers, or 0.
    """

    code: int
    subcode: str
    text: str
    status: int = 0


def find_fault(body: Element) -> Fault | None:
    """Return the fault in a Body, or None."""
    fault = next((child for child in body if local_name(child) == "Fault"), None)
    if fault is None:
        return None
    subcode = next((child for child in fault.iter() if local_name(child) == "Subcode"), None)
    value = _text(fault if subcode is None else subcode, "Value").strip().rpartition(":")[2]
    said = next(filter(None, _texts(fault)), "")
    status = _integer(_text(fault, "CIMStatusCode")) or _mi_result(fault)
    return Fault(_number(fault), value, characters.shortened(said, _LONGEST_TEXT), status)


def to_error(fault: Fault, context: Context) -> errors.AvmaError:
    """Return the error to raise for a fault."""
    code = hresult.canonical(fault.code)
    if code == OPERATION_TIMEOUT or (code == 0 and fault.subcode == "TimedOut"):
        answer = "the machine did not finish within the time limit of one request"
        return context.error(errors.OperationTimedOut, answer, f"{RUN_AGAIN} to continue from the current state")
    if _denied(code, fault):
        return _access_denied(code, fault, context)
    if code == 0:
        return _unnumbered(fault, context)
    return hresult_error(code, context, fault)


def hresult_error(code: int, context: Context, fault: Fault | None = None) -> errors.WsmanFault:
    """Return the error for a number from WMI or from a provider behind it."""
    entry = hresult.lookup(code)
    kind = errors.LicensingFault if hresult.is_licensing(entry.value) else errors.WsmanFault
    said = f"{_named(fault.subcode)}{fault.text}" if fault and fault.text else ""
    return context.error(kind, hresult.describe(entry.value, said), entry.remedy, entry.value)


def returned_error(code: int, method: CimMethod, context: Context) -> errors.WsmanFault:
    """Return the error for the `ReturnValue` of a method: an HRESULT, or a number of the method's own."""
    if code & 0xFFFFFFFF > 0xFFFF:
        return hresult_error(code, context)
    # Win32 uses the same small numbers for other errors, so the table must neither explain nor retry them.
    answer = f"{method.cim_class}.{method.name} returned {code}"
    remedy = f"look up the return values of {method.name} in the documentation of {method.cim_class}"
    return context.error(errors.WsmanFault, answer, remedy, 0)


def number_of(message_id: str) -> int:
    """Return the number in CIM's name of an error, such as `HRESULT 0x80041033`, or 0 if the name has no number."""
    found = _MESSAGE_ID.fullmatch(message_id)
    if not found:
        return 0
    code, win32, result = found.groups()
    return _OF_MI.get(int(result), 0) if result else _integer(code or win32)


def shown_id(message_id: str) -> str:
    """Return CIM's name of an error as a message quotes it, or an empty text if its number is 0."""
    first = message_id.partition(",")[0]
    return "" if _MESSAGE_ID.fullmatch(first) and not number_of(first) else message_id


def is_missing_class(error: errors.AvmaError) -> bool:
    """Return True if the machine does not have the requested WMI class or namespace."""
    return isinstance(error, errors.WsmanFault) and error.code in _MISSING_CLASS


@contextlib.contextmanager
def naming_missing_class(namespace: str, wql: str) -> Iterator[None]:
    """Run a query. If the machine does not have its class, the error names it. If it denies access, also the right."""
    try:
        yield
    except errors.AccessDenied as error:
        raise _reading_denied(error, namespace) from error
    except errors.WsmanFault as error:
        found = _CLASS.search(wql)
        if not found or not is_missing_class(error):
            raise
        answer = f"{error.answer} ({namespace}, {found[1]})"
        raise type(error)(error.tried, error.where, answer, error.remedy, error.code) from error


def _reading_denied(error: errors.AccessDenied, namespace: str) -> errors.AccessDenied:
    """Return the error for a query. A namespace denies access with numbers of its own, otherwise WinRM does."""
    answer, remedy = error.answer, hresult.ELEVATE
    if error.code in _OF_NAMESPACES:
        answer = f"{answer} ({namespace})"
        grant = f"grant it Enable Account and Remote Enable on {namespace} of the machine (wmimgmt.msc)"
        remedy = f"{grant}, or {remedy}"
    elif error.code in _OF_WINRM:
        remedy = f"{_MANAGE}, or {remedy}"
    return errors.AccessDenied(error.tried, error.where, answer, remedy, error.code)


def _denied(code: int, fault: Fault) -> bool:
    """Return True if the account lacks the right.

    A known number decides. Without one, the status or the subcode decides, because they are less specific.
    """
    if code in _DENIED:
        return True
    return not hresult.known(code) and (fault.status == _MI_DENIED or fault.subcode == "AccessDenied")


def _access_denied(code: int, fault: Fault, context: Context) -> errors.AccessDenied:
    number = f" ({f'0x{code:08X} {hresult.lookup(code).name}'.rstrip()})" if code else ""
    said = f": {fault.text}" if fault.text and not hresult.known(code) else ""
    answer = f"access is denied{number}, although the sign-in succeeded{said}"
    return context.error(errors.AccessDenied, answer, hresult.ELEVATE, code)


def _unnumbered(fault: Fault, context: Context) -> errors.WsmanFault:
    if fault.subcode == "DestinationUnreachable":
        entry = hresult.by_name("ERROR_WSMAN_RESOURCE_NOT_FOUND")
        said = f" ({fault.text})" if fault.text else ""
        return context.error(errors.WsmanFault, f"{entry.meaning}{said}", entry.remedy, entry.value)
    said = f"{_named(fault.subcode)}{fault.text or 'no text'}"
    what = f"with the CIM status {fault.status}" if fault.status else "without a number"
    answer = f"the machine returned a fault {what}: {said}"
    return context.error(errors.WsmanFault, answer, _WITHOUT_NUMBER, 0)


def _named(subcode: str) -> str:
    return f"{subcode}: " if subcode else ""


def _number(fault: Element) -> int:
    """Return the innermost number, because a protocol error can wrap the provider's own error."""
    result = _mi_result(fault)
    if result:
        return _OF_MI.get(result, 0)
    number = next(filter(None, (_integer(_text(fault, name)) for name, _ in _CODE_AND_TYPE)), 0)
    codes = [_integer(e.get("Code", "")) for e in fault.iter() if local_name(e) == "WSManFault"]
    named, status = number_of(_text(fault, "MessageID")), _OF_MI.get(_integer(_text(fault, "CIMStatusCode")), 0)
    return next((code for code in (number, *reversed(codes), named, status) if code), 0)


def _mi_result(fault: Element) -> int:
    """Return the MI result (mi.h, MI_RESULT_TYPE_MI), or 0 if the number is missing or has another type.

    The type decides, because the same property can contain HRESULTs and Win32 errors.
    """
    results = (
        _integer(_text(fault, code)) for code, kind in _CODE_AND_TYPE if _text(fault, kind).strip().upper() == "MI"
    )
    return next(filter(None, results), 0)


def _texts(fault: Element) -> Iterator[str]:
    """Yield the texts of a fault: its reason, then those of its details from the inside out."""
    names = (("Text",), ("error_WindowsErrorMessage", "OMI_ErrorMessage", "Message"))
    for wanted in names:
        parts = [part for part in fault.iter() if local_name(part) in wanted]
        for part in parts if wanted == names[0] else reversed(parts):
            yield characters.one_line("".join(part.itertext()))


def _text(element: Element, name: str) -> str:
    """Return the text of the first element of that name, or an empty text."""
    return next((child.text or "" for child in element.iter() if local_name(child) == name), "")


def _integer(text: str) -> int:
    """Return a number that Windows wrote as unsigned, or 0 if the text is not a number."""
    found = _NUMBER.fullmatch(text)
    if not found:
        return 0
    return int(found[1], 16 if "x" in found[1].lower() else 10) & 0xFFFFFFFF
