"""The whole form of a SOAP fault: codes, number, detail and the plug-in behind it. Its texts are not part of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from avma.wsman.envelope import local_name

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

NO_FAULT = "no fault"


@dataclass(frozen=True)
class FaultForm:
    """A fault as a machine sent it.

    Attributes:
        code: the SOAP code without its prefix, such as `Sender`.
        subcode: the SOAP subcode without its prefix, such as `AccessDenied`.
        number: the number of the outermost detail, such as 0x80338000.
        form: the name of the detail: `WSManFault`, `MSFT_WmiError`, or empty.
        detail: the last part of the FaultDetail URI, such as `InvalidResourceURI`.
        provider: the plug-in that failed, such as `WMI Provider`.
    """

    code: str
    subcode: str
    number: int
    form: str
    detail: str = ""
    provider: str = ""

    def __str__(self) -> str:
        parts = (self.code, self.subcode, f"0x{self.number:08X}", self.form, self.detail, self.provider)
        return ", ".join(part for part in parts if part)


def fault_form(envelope: Element) -> FaultForm | None:
    """Return the fault in an answer, or None if it is not a fault."""
    fault = _first(envelope, "Fault")
    if fault is None:
        return None
    code, subcode = _first(fault, "Code"), _first(fault, "Subcode")
    forms = {local_name(each): each for each in fault.iter() if local_name(each) in ("WSManFault", "MSFT_WmiError")}
    wmi, wsman = forms.get("MSFT_WmiError"), _first(fault, "WSManFault")
    plugin = _first(fault, "ProviderFault")
    number = _text(wmi, "error_Code") if wmi is not None else "" if wsman is None else wsman.get("Code", "")
    return FaultForm(
        _unprefixed(_text(code, "Value")),
        _unprefixed(_text(subcode, "Value")),
        int(number) if number.isdecimal() else 0,
        "MSFT_WmiError" if wmi is not None else "" if wsman is None else "WSManFault",
        _text(fault, "FaultDetail").rpartition("/")[2],
        "" if plugin is None else plugin.get("provider", ""),
    )


def _first(element: Element, name: str) -> Element | None:
    return next((each for each in element.iter() if local_name(each) == name), None)


def _text(element: Element | None, name: str) -> str:
    found = None if element is None else _first(element, name)
    return (found.text or "").strip() if found is not None else ""


def _unprefixed(name: str) -> str:
    return name.rpartition(":")[2]
