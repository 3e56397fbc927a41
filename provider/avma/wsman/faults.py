"""SOAP faults: the number in them, in both of the forms in which Windows sends it.

Older services and the WS-Man layer itself send a `WSManFault` element with a `Code` attribute (MS-WSMV 2.2.4.44); WMI
operations on Windows Server 2012 and later send an `MSFT_WmiError` instance with `error_Code`. Texts are localised, so
only numbers and subcodes are looked at.
"""

from __future__ import annotations

from dataclasses import dataclass
from xml.etree.ElementTree import Element

from avma import errors, hresult
from avma.wsman.envelope import local_name

OPERATION_TIMEOUT = 0x80338029
INVALID_SELECTORS = 0x8033805B
CANNOT_PROCESS_FILTER = 0x8033801A

_DENIED = frozenset({5, 0x80070005, 0x80041003})
_LICENSING_FACILITY = 0x0004

_MEANINGS = {
    INVALID_SELECTORS: ("there is no such instance", "run again; if it stays, repair WMI on the machine"),
    CANNOT_PROCESS_FILTER: (
        "the WMI class or namespace does not exist there",
        "check that this is the machine you mean; a Hyper-V host needs the Hyper-V role",
    ),
    0x803381A6: ("the account has too many requests under way there", "wait, or lower maxConcurrency"),
    0x803381A5: ("the account has too many shells open there", "wait, or close them"),
}


@dataclass(frozen=True)
class Fault:
    """What a SOAP fault says: the number (0 when it gives none), the subcode, and the text as it came."""

    code: int
    subcode: str
    text: str


def find_fault(body: Element) -> Fault | None:
    """Return the fault that a Body holds, None when it holds none."""
    fault = next((child for child in body if local_name(child) == "Fault"), None)
    if fault is None:
        return None
    subcode = next((child for child in fault.iter() if local_name(child) == "Subcode"), None)
    value = _text(fault if subcode is None else subcode, "Value").strip().rpartition(":")[2]
    return Fault(_number(fault), value, " ".join(_text(fault, "Text").split()))


def to_error(fault: Fault, tried: str, where: str) -> errors.AvmaError:
    """Return the error to raise for a fault."""
    if fault.code in _DENIED or fault.subcode == "AccessDenied":
        answer = f"access is denied (0x{fault.code & 0xFFFFFFFF:08X}), although the logon succeeded"
        remedy = (
            "use an administrator of that machine; local accounts other than the built-in Administrator also need "
            "LocalAccountTokenFilterPolicy = 1"
        )
        return errors.AccessDenied(tried, where, answer, remedy)
    if fault.code == OPERATION_TIMEOUT or (fault.code == 0 and fault.subcode == "TimedOut"):
        answer = "the machine did not finish within the time that one request may take"
        return errors.OperationTimedOut(tried, where, answer, "run again; what was reached by then is found")
    if fault.code in _MEANINGS:
        answer, remedy = _MEANINGS[fault.code]
        return errors.WsmanFault(tried, where, f"{answer} (0x{fault.code:08X})", remedy, fault.code)
    return hresult_error(fault.code, tried, where, fault)


def hresult_error(code: int, tried: str, where: str, fault: Fault | None = None) -> errors.WsmanFault:
    """Return the error for a number that WMI or a provider behind it gave."""
    known = hresult.lookup(code)
    kind = errors.LicensingFault if _is_licensing(code) else errors.WsmanFault
    answer = str(known)
    if known.name == "HRESULT" and fault and fault.text:
        answer = f"0x{known.value:08X} {fault.subcode}: {fault.text[:256]}"
    return kind(tried, where, answer, known.remedy, known.value)


def _is_licensing(code: int) -> bool:
    return bool(code & 0x80000000) and (code >> 16) & 0x1FFF == _LICENSING_FACILITY


def _number(fault: Element) -> int:
    """Return the innermost number: a provider's own error stands inside the protocol's."""
    codes = [_integer(e.get("Code", "0")) for e in fault.iter() if local_name(e) == "WSManFault"]
    return _integer(_text(fault, "error_Code")) or next((code for code in reversed(codes) if code), 0)


def _text(element: Element, name: str) -> str:
    """Return the text of the first element of that name, empty when there is none."""
    return next((child.text or "" for child in element.iter() if local_name(child) == name), "")


def _integer(text: str) -> int:
    try:
        return int(text) & 0xFFFFFFFF
    except ValueError:
        return 0
